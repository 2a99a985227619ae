/* Supervised programs. */
#include "io/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/limits.h"
#include "io/lines.h"
#include "io/process_guard.h"

enum {
    READ_AT_ONCE = 64 * 1024,
    READS_PER_TURN = 4, /* then others have their turn */
    DRAIN_TURNS = 8,    /* more than a pipe holds */
    SAFE_FD = 10,       /* above those that the child's are put to */
    ARGS_OF_GUARD = 5,
    ARGS_MAX = 256,
    SAID_BYTES = 256,
};

/* One end of a pipe, on the loop. fd -1: closed. */
struct pipe_end {
    struct loop_fd on_loop;
    struct process *process;
};

struct process {
    struct loop *loop;
    const struct process_events *events;
    void *arg;
    pid_t guard;
    struct pipe_end in, out, err, talk, death; /* its stdin, stdout, stderr; the guard's socket; the
                                                  guard itself */
    struct lines out_lines, err_lines;
    struct buf unsent;
    struct buf said; /* what the guard has told */
    struct process_end end;
    bool is_paused, is_stopping, is_dead; /* is_dead: the guard has been reaped */
};

/* ---- descriptors ---- */

static void end_close(struct pipe_end *x)
{
    if (x->on_loop.fd < 0)
        return;
    loop_fd_remove(x->process->loop, &x->on_loop);
    (void)close(x->on_loop.fd);
    x->on_loop.fd = -1;
}

static bool end_watch(struct process *p, struct pipe_end *x, int fd, uint32_t events,
                      void (*on_event)(struct loop_fd *f, uint32_t ready), struct err *e)
{
    x->process = p;
    x->on_loop = (struct loop_fd){.fd = fd, .on_event = on_event};
    (void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    if (loop_fd_add(p->loop, &x->on_loop, events, e))
        return true;
    x->on_loop.fd = -1;
    (void)close(fd);
    return false;
}

static void process_free(struct process *p)
{
    end_close(&p->in);
    end_close(&p->out);
    end_close(&p->err);
    end_close(&p->talk);
    end_close(&p->death);
    lines_end(&p->out_lines);
    lines_end(&p->err_lines);
    buf_end(&p->unsent);
    buf_end(&p->said);
    free(p);
}

static struct process *of(struct loop_fd *f)
{
    return CONTAINER_OF(f, struct pipe_end, on_loop)->process;
}

/* ---- its end ---- */

static void said_read(struct process *p)
{
    struct str rest = buf_str(&p->said), line;
    while (str_next(&rest, '\n', &line)) {
        int64_t n;
        if (line.n < 2 || !str_to_i64(str_slice(line, 1, line.n), 0, INT32_MAX, &n))
            continue;
        if (line.p[0] == 'S')
            p->end.was_started = true;
        if (line.p[0] == 'F')
            p->end.start_errno = (int)n;
        if (line.p[0] == 'X' && WIFEXITED((int)n))
            p->end.exit_code = WEXITSTATUS((int)n);
        if (line.p[0] == 'X' && WIFSIGNALED((int)n))
            p->end.signal = WTERMSIG((int)n);
    }
}

/* The end is told when all was read that it had written, and its guard has gone. */
static void end_when_over(struct process *p)
{
    if (!p->is_dead || p->out.on_loop.fd >= 0 || p->err.on_loop.fd >= 0 || p->talk.on_loop.fd >= 0)
        return;
    said_read(p);
    const struct process_events *events = p->events;
    struct process_end end = p->end;
    void *arg = p->arg;
    process_free(p);
    events->on_end(arg, &end);
}

/* ---- reading ---- */

static char *read_room(void)
{
    static _Thread_local char room[READ_AT_ONCE];
    return room;
}

/* Reads what is there into the lines. False at the end of the pipe, or when the lines refuse. */
static bool pipe_read(struct pipe_end *x, struct lines *lines)
{
    char *room = read_room();
    for (int i = 0; i < READS_PER_TURN; i++) {
        ssize_t n = read(x->on_loop.fd, room, READ_AT_ONCE);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return true;
        if (n <= 0) {
            (void)!lines_finish(lines);
            return false;
        }
        if (!lines_feed(lines, (struct str){room, (size_t)n}))
            return false;
        if (x->process->is_paused)
            return true;
    }
    return true;
}

static void on_out(struct loop_fd *f, uint32_t ready unused_arg)
{
    struct process *p = of(f);
    bool goes_on = pipe_read(&p->out, &p->out_lines);
    p->end.has_overrun = p->end.has_overrun || p->out_lines.is_over;
    if (goes_on && !p->end.has_overrun)
        return;
    end_close(&p->out);
    process_stop(p); /* without a stdout that is read it answers nothing any more */
    end_when_over(p);
}

static void on_err(struct loop_fd *f, uint32_t ready unused_arg)
{
    struct process *p = of(f);
    if (pipe_read(&p->err, &p->err_lines))
        return;
    end_close(&p->err);
    end_when_over(p);
}

/* Reads what is there now, and no more: who got away from a guard that was killed may hold the
 * pipe open for ever. */
static void pipe_drain(struct pipe_end *x, struct lines *lines)
{
    int left = 0;
    for (int i = 0; i < DRAIN_TURNS && x->on_loop.fd >= 0; i++) {
        x->process->is_paused = false;
        if (!pipe_read(x, lines) || ioctl(x->on_loop.fd, FIONREAD, &left) != 0 || left == 0)
            break;
    }
    (void)!lines_finish(lines);
    end_close(x);
}

/* Its guard is a zombie now, so its process group can be no other's: what is left in it goes too.
 */
static void on_death(struct loop_fd *f, uint32_t ready unused_arg)
{
    struct process *p = of(f);
    int status;
    (void)kill(-p->guard, SIGKILL);
    (void)waitpid(p->guard, &status, 0);
    p->is_dead = true;
    end_close(&p->death);
    end_close(&p->in);
    pipe_drain(&p->out, &p->out_lines);
    pipe_drain(&p->err, &p->err_lines);
    end_when_over(p);
}

static void on_talk(struct loop_fd *f, uint32_t ready unused_arg)
{
    struct process *p = of(f);
    char text[64];
    ssize_t n = read(f->fd, text, sizeof(text));
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n > 0) {
        buf_add(&p->said, (struct str){text, (size_t)n});
        return;
    }
    end_close(&p->talk);
    end_when_over(p);
}

static bool out_line(void *arg, struct str line, bool is_cut)
{
    struct process *p = arg;
    if (is_cut) {
        p->end.has_overrun = true;
        return false;
    }
    p->events->on_line(p->arg, line);
    return true;
}

static bool err_line(void *arg, struct str line, bool is_cut unused_arg)
{
    struct process *p = arg;
    p->events->on_stderr(p->arg, line);
    return true;
}

void process_pause(struct process *p, bool is_paused)
{
    if (p->is_paused == is_paused || p->out.on_loop.fd < 0)
        return;
    p->is_paused = is_paused;
    loop_fd_change(p->loop, &p->out.on_loop, is_paused ? 0 : EPOLLIN);
}

/* ---- writing ---- */

static void unsent_write(struct process *p)
{
    while (p->unsent.n > 0) {
        ssize_t n = write(p->in.on_loop.fd, p->unsent.p, p->unsent.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            break;
        if (n < 0) { /* it reads no more: what it still says is heard */
            end_close(&p->in);
            buf_end(&p->unsent);
            return;
        }
        buf_consume(&p->unsent, (size_t)n);
    }
    if (p->unsent.n == 0)
        buf_end(&p->unsent);
    loop_fd_change(p->loop, &p->in.on_loop, p->unsent.n > 0 ? EPOLLOUT : 0);
}

static void on_in(struct loop_fd *f, uint32_t ready)
{
    struct process *p = of(f);
    if (ready & EPOLLERR) { /* the reading end is closed */
        end_close(&p->in);
        buf_end(&p->unsent);
        return;
    }
    unsent_write(p);
    if (p->unsent.n == 0)
        p->events->on_drain(p->arg);
}

size_t process_unsent(const struct process *p)
{
    return p->unsent.n;
}

bool process_write(struct process *p, struct str bytes)
{
    if (p->in.on_loop.fd < 0)
        return true; /* it has closed its stdin or has ended: on_end says so */
    buf_add(&p->unsent, bytes);
    if (!buf_ok(&p->unsent)) {
        p->unsent.failed = false; /* nothing of it was added */
        return false;
    }
    unsent_write(p);
    return true;
}

void process_stop(struct process *p)
{
    if (p->is_stopping)
        return;
    p->is_stopping = true;
    end_close(&p->in);
    process_pause(p, false);
    if (p->talk.on_loop.fd >= 0)
        (void)shutdown(p->talk.on_loop.fd, SHUT_WR);
}

void process_abandon(struct process *p)
{
    if (!p->is_dead)
        (void)waitpid(p->guard, NULL, WNOHANG);
    process_free(p);
}

/* ---- starting ---- */

struct child_ends {
    int fd[4]; /* stdin, stdout, stderr, the guard's socket */
};

static void ends_close(struct child_ends *c)
{
    for (size_t i = 0; i < ARRAY_LEN(c->fd); i++)
        if (c->fd[i] >= 0)
            (void)close(c->fd[i]);
}

/* Our end, and the child's as a number above those it will be put to. */
static bool pair_make(bool is_socket, bool is_stdin, int *ours, int *theirs, struct err *e)
{
    int fd[2];
    int failed =
        is_socket ? socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) : pipe2(fd, O_CLOEXEC);
    if (failed != 0)
        return err_set(e, ERR_UNAVAILABLE, "a pipe cannot be made: %s", strerrordesc_np(errno));
    int child_end = is_stdin ? fd[0] : fd[1];
    *ours = is_stdin ? fd[1] : fd[0];
    *theirs = fcntl(child_end, F_DUPFD_CLOEXEC, SAFE_FD);
    (void)close(child_end);
    if (*theirs >= 0)
        return true;
    (void)close(*ours);
    return err_set(e, ERR_UNAVAILABLE, "too many files are open");
}

static bool pipes_make(struct process *p, struct child_ends *c, struct err *e)
{
    int ours = -1;
    return pair_make(false, true, &ours, &c->fd[0], e) && end_watch(p, &p->in, ours, 0, on_in, e) &&
           pair_make(false, false, &ours, &c->fd[1], e) &&
           end_watch(p, &p->out, ours, EPOLLIN, on_out, e) &&
           pair_make(false, false, &ours, &c->fd[2], e) &&
           end_watch(p, &p->err, ours, EPOLLIN, on_err, e) &&
           pair_make(true, false, &ours, &c->fd[3], e) &&
           end_watch(p, &p->talk, ours, EPOLLIN, on_talk, e);
}

static int spawn(pid_t *pid, const struct child_ends *c, char *const *argv, char *const *envp)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    if (posix_spawn_file_actions_init(&actions) != 0)
        return ENOMEM;
    if (posix_spawnattr_init(&attr) != 0) {
        (void)posix_spawn_file_actions_destroy(&actions);
        return ENOMEM;
    }
    int failed = 0;
    for (int i = 0; i < (int)ARRAY_LEN(c->fd); i++)
        failed |= posix_spawn_file_actions_adddup2(&actions, c->fd[i], i);
    failed |= posix_spawn_file_actions_addclosefrom_np(&actions, (int)ARRAY_LEN(c->fd));
    failed |= posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK |
                                                  POSIX_SPAWN_SETSIGDEF);
    failed |= posix_spawnattr_setsigmask(&attr, &none);
    failed |= posix_spawnattr_setsigdefault(&attr, &all);
    /* Our own executable, which is in memory: nothing here waits for a disk. */
    int status = failed ? ENOMEM : posix_spawn(pid, "/proc/self/exe", &actions, &attr, argv, envp);
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)posix_spawnattr_destroy(&attr);
    return status;
}

/* argv[0] is what the guard is called in a list of processes. */
static bool guard_spawn(struct process *p, const struct child_ends *c,
                        const struct process_spec *spec, struct err *e)
{
    char name[] = "tulle", command[] = PROCESS_GUARD_COMMAND, close_ms[16], term_ms[16];
    char *argv[ARGS_OF_GUARD + ARGS_MAX + 1] = {name, command, close_ms, term_ms, NULL};
    char folder[256];
    size_t n = 0;
    (void)snprintf(close_ms, sizeof(close_ms), "%d", LIMIT_STDIO_CLOSE_MS);
    (void)snprintf(term_ms, sizeof(term_ms), "%d", LIMIT_STDIO_TERM_MS);
    (void)snprintf(folder, sizeof(folder), "%s", spec->folder);
    argv[ARGS_OF_GUARD - 1] = folder;
    for (; spec->argv[n] && n < ARGS_MAX; n++)
        argv[ARGS_OF_GUARD + n] = spec->argv[n];
    if (spec->argv[n])
        return err_set(e, ERR_UNPROCESSABLE, "the program has more than %d arguments", ARGS_MAX);
    int status = spawn(&p->guard, c, argv, spec->envp);
    if (status != 0)
        return err_set(e, ERR_UNAVAILABLE, "no process can be started: %s",
                       strerrordesc_np(status));
    int fd = pidfd_open(p->guard, 0);
    if (fd >= 0 && end_watch(p, &p->death, fd, EPOLLIN, on_death, e))
        return true;
    (void)kill(-p->guard, SIGKILL);
    (void)waitpid(p->guard, NULL, 0);
    return err_set(e, ERR_UNAVAILABLE, "a process cannot be watched");
}

struct process *process_start(struct loop *l, const struct process_spec *spec,
                              const struct process_events *events, void *arg, struct err *e)
{
    struct process *p = calloc(1, sizeof(*p));
    if (!p) {
        err_set(e, ERR_UNAVAILABLE, "out of memory");
        return NULL;
    }
    p->loop = l;
    p->events = events;
    p->arg = arg;
    p->end.exit_code = -1;
    p->in.on_loop.fd = p->out.on_loop.fd = p->err.on_loop.fd = p->talk.on_loop.fd =
        p->death.on_loop.fd = -1;
    lines_init(&p->out_lines, LIMIT_STDIO_LINE, out_line, p);
    lines_init(&p->err_lines, LIMIT_STDERR_LINE, err_line, p);
    buf_init(&p->unsent, (size_t)2 * LIMIT_STDIO_QUEUE);
    buf_init(&p->said, SAID_BYTES);
    struct child_ends child = {.fd = {-1, -1, -1, -1}};
    bool is_started = pipes_make(p, &child, e) && guard_spawn(p, &child, spec, e);
    ends_close(&child);
    if (is_started)
        return p;
    process_free(p);
    return NULL;
}
