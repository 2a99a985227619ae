/* The guard. One thread, no library of ours: it must work when everything else has gone. */
#include "io/process_guard.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

enum {
    TULLE_FD = 3,
    ARGS_BEFORE = 4,
    LEFTOVER_MS = 1000, /* for what the program left behind, after SIGTERM */
    KILL_EVERY_MS = 20,
    KILL_MS = 5000, /* then something cannot be killed (it belongs to root) */
    EXIT_NOT_STARTED = 127,
    PROC_STAT_BYTES = 512,
};

enum stage { RUNNING, CLOSING, TERMINATING, KILLING };

struct guard {
    int signal_fd;
    pid_t program;
    bool has_ended;
    enum stage stage;
    int64_t until; /* when the next stage begins */
    int64_t close_ms, term_ms;
};

static void tell(const char *what, int number)
{
    char line[32];
    int n = snprintf(line, sizeof(line), "%s%d\n", what, number);
    /* Nobody may be there to hear it. */
    (void)!send(TULLE_FD, line, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* ---- the program ---- */

static void program_run(const char *folder, char **argv, pid_t guard, int failure_fd)
{
    sigset_t none;
    struct rlimit no_core = {0, 0};
    sigemptyset(&none);
    (void)setrlimit(RLIMIT_CORE, &no_core);
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    (void)signal(SIGPIPE, SIG_DFL);
    (void)pthread_sigmask(SIG_SETMASK, &none, NULL);
    if (getppid() == guard && chdir(folder) == 0)
        (void)execvp(argv[0], argv);
    int why = errno;
    (void)!write(failure_fd, &why, sizeof(why));
    _exit(EXIT_NOT_STARTED);
}

/* What the program uses is not held open here: its ends must be seen. */
static void let_go_of_its_pipes(void)
{
    int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; fd <= 2 && nowhere >= 0; fd++)
        (void)dup2(nowhere, fd);
    if (nowhere > 2)
        (void)close(nowhere);
}

/* Returns 0, or the errno that the program could not be started for. */
static int program_start(struct guard *g, const char *folder, char **argv)
{
    int failure[2], why = 0;
    if (pipe2(failure, O_CLOEXEC) != 0)
        return errno;
    pid_t self = getpid();
    g->program = fork();
    if (g->program == 0)
        program_run(folder, argv, self, failure[1]);
    if (g->program < 0)
        why = errno;
    (void)close(failure[1]);
    let_go_of_its_pipes();
    if (g->program > 0 && read(failure[0], &why, sizeof(why)) != sizeof(why))
        why = 0; /* closed by exec */
    (void)close(failure[0]);
    return why;
}

/* ---- its end ---- */

static void stage_begin(struct guard *g, enum stage stage, int64_t ms)
{
    g->stage = stage;
    g->until = clock_mono_ms() + ms;
    if (stage == TERMINATING)
        (void)kill(0, SIGTERM); /* blocked here */
}

/* Reaps whoever has ended. False when there is nobody left. */
static bool reap(struct guard *g)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid != g->program)
            continue;
        g->has_ended = true;
        tell("X", status);
        if (g->stage < TERMINATING)
            stage_begin(g, TERMINATING, LEFTOVER_MS);
    }
    return pid == 0;
}

/* The parent of a process, by /proc/PID/stat: "PID (name) S PPID ...". The name may hold anything.
 */
static pid_t parent_of(int proc_fd, const char *pid)
{
    char path[64], text[PROC_STAT_BYTES];
    if (snprintf(path, sizeof(path), "%.20s/stat", pid) >= (int)sizeof(path))
        return -1;
    int fd = openat(proc_fd, path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
    if (fd >= 0)
        (void)close(fd);
    if (n <= 0)
        return -1;
    text[n] = 0;
    const char *after = strrchr(text, ')');
    return after && strlen(after) > 4 ? (pid_t)strtol(after + 4, NULL, 10) : -1;
}

/* Every child is killed; what they leave behind becomes our child and is killed in the next round.
 */
static void kill_children(void)
{
    pid_t self = getpid();
    DIR *proc = opendir("/proc");
    if (!proc)
        return;
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): the guard has one thread */
    for (struct dirent *d; (d = readdir(proc)) != NULL;) {
        if (d->d_name[0] >= '1' && d->d_name[0] <= '9' && parent_of(dirfd(proc), d->d_name) == self)
            (void)kill((pid_t)strtol(d->d_name, NULL, 10), SIGKILL);
    }
    (void)closedir(proc);
}

static void stage_next(struct guard *g)
{
    switch (g->stage) {
    case RUNNING:
        break;
    case CLOSING:
        stage_begin(g, TERMINATING, g->term_ms);
        break;
    case TERMINATING:
        stage_begin(g, KILLING, KILL_MS);
        break;
    case KILLING:
        (void)kill(0, SIGKILL); /* the last word; it ends this process too */
        break;
    }
}

static int wait_ms(const struct guard *g)
{
    if (g->stage == RUNNING)
        return -1;
    int64_t left = g->until - clock_mono_ms();
    if (g->stage == KILLING && left > KILL_EVERY_MS)
        left = KILL_EVERY_MS;
    return left < 0 ? 0 : (int)left;
}

static void watch(struct guard *g)
{
    struct pollfd fds[] = {{.fd = g->signal_fd, .events = POLLIN},
                           {.fd = TULLE_FD, .events = POLLIN}};
    while (reap(g)) {
        if (g->stage == KILLING)
            kill_children();
        (void)poll(fds, 2, wait_ms(g));
        struct signalfd_siginfo info[8];
        if (fds[0].revents)
            (void)!read(g->signal_fd, info, sizeof(info));
        if (fds[1].revents) { /* Tulle never writes: this is the end of it */
            fds[1].fd = -1;
            if (g->stage == RUNNING)
                stage_begin(g, CLOSING, g->close_ms);
        }
        if (g->stage != RUNNING && clock_mono_ms() >= g->until)
            stage_next(g);
    }
}

int process_guard_main(int argc, char **argv)
{
    struct guard g = {.stage = RUNNING};
    struct stat st;
    sigset_t all;
    if (argc <= ARGS_BEFORE || fstat(TULLE_FD, &st) != 0 || !S_ISSOCK(st.st_mode)) {
        (void)fprintf(stderr, "tulle: %s is for Tulle's own use\n", PROCESS_GUARD_COMMAND);
        return 2;
    }
    sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, NULL);
    (void)fcntl(TULLE_FD, F_SETFD, FD_CLOEXEC);
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    g.close_ms = strtol(argv[1], NULL, 10);
    g.term_ms = strtol(argv[2], NULL, 10);
    g.signal_fd = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
    int why = program_start(&g, argv[3], argv + ARGS_BEFORE);
    tell(why ? "F" : "S", why);
    watch(&g);
    _exit(why ? EXIT_NOT_STARTED : 0);
}
