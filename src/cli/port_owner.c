/* The listener of a port: /proc/net/tcp* names the socket, /proc/PID/fd who holds it (proc(5)). */
#include "cli/port_owner.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TCP_LISTEN = 0x0A };

/* The inode of the socket that listens on the port, or 0. */
static unsigned long listener_inode(const char *table, int port)
{
    char line[512];
    unsigned long found = 0;
    FILE *f = fopen(table, "re");
    while (f && !found && fgets(line, sizeof(line), f)) {
        /* "sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode": hexadecimal
         * ports */
        char *local = strchr(line, ':'), *colon = local ? strchr(local + 1, ':') : NULL;
        char *rest = colon ? strchr(colon, ' ') : NULL,
             *state = rest ? strchr(rest + 1, ' ') : NULL;
        if (!state || strtol(colon + 1, NULL, 16) != port ||
            strtol(state + 1, NULL, 16) != TCP_LISTEN)
            continue;
        char *field = state + 1, *at = NULL;
        for (int i = 0; i < 7; i++)
            field = strtok_r(i == 0 ? field : NULL, " ", &at);
        found = field ? strtoul(field, NULL, 10) : 0;
    }
    if (f)
        (void)fclose(f);
    return found;
}

static bool process_holds(const char *pid, const char *socket)
{
    char path[300], target[64];
    bool holds = false;
    (void)snprintf(path, sizeof(path), "/proc/%.20s/fd", pid);
    DIR *fds = opendir(path);
    struct dirent *entry;
    while (fds && !holds &&
           (entry = readdir(fds)) != NULL) { // NOLINT(concurrency-mt-unsafe): own DIR
        (void)snprintf(path, sizeof(path), "/proc/%.20s/fd/%.20s", pid, entry->d_name);
        ssize_t n = readlink(path, target, sizeof(target) - 1);
        if (n > 0) {
            target[n] = '\0';
            holds = strcmp(target, socket) == 0;
        }
    }
    if (fds)
        (void)closedir(fds);
    return holds;
}

static void name_read(const char *pid, char *out, size_t out_size)
{
    char path[64], name[64] = "a program";
    (void)snprintf(path, sizeof(path), "/proc/%.20s/comm", pid);
    FILE *f = fopen(path, "re");
    if (f && fgets(name, sizeof(name), f))
        name[strcspn(name, "\n")] = '\0';
    if (f)
        (void)fclose(f);
    (void)snprintf(out, out_size, "%s (pid %.20s)", name, pid);
}

void port_owner_describe(int port, char *out, size_t out_size)
{
    unsigned long inode = listener_inode("/proc/net/tcp", port);
    if (!inode)
        inode = listener_inode("/proc/net/tcp6", port);
    (void)snprintf(out, out_size, "another program");
    if (!inode)
        return;
    char socket[64];
    (void)snprintf(socket, sizeof(socket), "socket:[%lu]", inode);
    DIR *processes = opendir("/proc");
    struct dirent *entry;
    while (processes &&
           (entry = readdir(processes)) != NULL) { // NOLINT(concurrency-mt-unsafe): own DIR
        if (entry->d_name[0] < '0' || entry->d_name[0] > '9' ||
            !process_holds(entry->d_name, socket))
            continue;
        name_read(entry->d_name, out, out_size);
        break;
    }
    if (processes)
        (void)closedir(processes);
}
