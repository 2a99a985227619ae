#include "cli/remote_hint.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/str.h"

static const char *set_or_null(const char *name)
{
    const char *value = getenv(name); /* NOLINT(concurrency-mt-unsafe): nobody changes it */
    return value && value[0] ? value : NULL;
}

void remote_place_read(struct remote_place *out, char *host, size_t host_size)
{
    *out = (struct remote_place){.ssh_connection = set_or_null("SSH_CONNECTION"),
                                 .display = set_or_null("DISPLAY"),
                                 .user = set_or_null("SUDO_USER")};
    if (!out->display)
        out->display = set_or_null("WAYLAND_DISPLAY");
    if (!out->user)
        out->user = set_or_null("LOGNAME");
    if (!out->user)
        out->user = set_or_null("USER");
    if (gethostname(host, host_size) == 0) {
        host[host_size - 1] = '\0';
        out->host_name = host;
    }
}

/* It is pasted into a shell: nothing there that a shell, or ssh, reads as anything else. */
static bool is_plain(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool is_word =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == ':';
        if (!is_word && (i == 0 || str_find_char(STR("._-%"), c) == SIZE_MAX))
            return false;
    }
    return s.n > 0;
}

/* The address and port of this machine as the person's ssh reached them. */
static void ssh_server(const char *connection, struct str *address, int64_t *port)
{
    struct str rest = str_c(connection), field[4] = {{0}};
    for (size_t i = 0; i < ARRAY_LEN(field); i++)
        if (!str_next(&rest, ' ', &field[i]))
            return;
    *address = field[2];
    if (!str_to_i64(field[3], 1, 65535, port))
        *port = 22;
}

bool remote_hint_write(const struct remote_place *place, int public_port, int port, char *out,
                       size_t out_size)
{
    struct str host = place->host_name ? str_c(place->host_name) : STR_NONE;
    struct str user = place->user ? str_c(place->user) : STR_NONE;
    int64_t ssh_port = 22;
    char option[16] = "";
    if (place->display && !place->ssh_connection)
        return false;
    if (place->ssh_connection)
        ssh_server(place->ssh_connection, &host, &ssh_port);
    if (!is_plain(host))
        return false;
    if (ssh_port != 22)
        (void)snprintf(option, sizeof(option), "-p %d ", (int)ssh_port);
    bool has_user = is_plain(user);
    int n = snprintf(out, out_size, "ssh %s-L %d:localhost:%d %.*s%s%.*s", option, public_port,
                     port, has_user ? (int)user.n : 0, has_user ? user.p : "", has_user ? "@" : "",
                     STR_FMT(host));
    return n > 0 && (size_t)n < out_size;
}
