/* Channels over the pipes of a supervised process (MCP, stdio transport). */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/limits.h"
#include "core/redact.h"
#include "io/process.h"
#include "json/jscan.h"
#include "log/log.h"
#include "log/metrics.h"
#include "mcp/channel_parts.h"

enum {
    ARGS_MAX = 200,
    ENV_MAX = LIMIT_HEADERS_INJECTED + 8,
    LIVED_MS = 10 * 1000, /* who lived this long is not of those that end at once */
    SECRET_BYTES_MIN = 6, /* shorter values are words that occur anywhere */
    STDERR_BYTES = 3 * LIMIT_STDERR_LINE,
};

/* The folder that programs run in: nobody but root can put anything there. */
static const char folder[] = "/";

struct stdio {
    struct channel *c;
    struct process *process;
    struct secret env; /* as JSON: to find its values in what the program says */
    int64_t window_began;
    int64_t n_lines, n_dropped; /* of stderr, in this window */
    bool is_stopping;
};

/* ---- stderr ---- */

/* The first occurrence of `value` cut out. */
static bool cut_out(struct buf *line, struct str value)
{
    size_t at = str_find(buf_str(line), value);
    if (at == SIZE_MAX)
        return false;
    struct str text = buf_str(line);
    struct buf out;
    buf_init(&out, STDERR_BYTES);
    buf_add(&out, str_slice(text, 0, at));
    buf_add(&out, STR("***"));
    buf_add(&out, str_slice(text, at + value.n, text.n));
    buf_end(line);
    *line = out;
    return true;
}

/* The line without the values that were given to the program as secrets. */
static void redact(const struct stdio *s, struct buf *line)
{
    struct arena *a = arena_new((size_t)2 * LIMIT_CREDENTIAL);
    struct jiter it;
    if (a && s->env.n > 0)
        for (jscan_iter(&it, secret_reveal(&s->env)); jscan_next(&it);) {
            struct str value;
            if (!jscan_string(a, it.value, &value) || value.n < SECRET_BYTES_MIN)
                continue;
            while (cut_out(line, value))
                ;
        }
    arena_end(a);
}

static void window_turn(struct stdio *s, int64_t now)
{
    if (now - s->window_began < LIMIT_STDERR_MS)
        return;
    if (s->n_dropped > 0)
        LOG(EV_PROCESS_NOISE, LF_STR("connection_id", s->c->connection_id),
            LF_INT("dropped_lines", s->n_dropped));
    s->window_began = now;
    s->n_lines = s->n_dropped = 0;
}

static void on_stderr(void *arg, struct str text)
{
    struct stdio *s = arg;
    struct buf line;
    window_turn(s, clock_mono_ms());
    if (++s->n_lines > LIMIT_STDERR_LINES) {
        s->n_dropped++;
        return;
    }
    buf_init(&line, STDERR_BYTES);
    buf_add(&line, text);
    redact(s, &line);
    struct str clean = redact_text_is_secret(buf_str(&line)) ? STR("***") : buf_str(&line);
    if (clean.n > 0)
        LOG(EV_PROCESS_STDERR, LF_STR("connection_id", s->c->connection_id), LF_STR("line", clean));
    buf_end(&line);
}

/* ---- stdout, with back-pressure ---- */

/* Under the lock: what readers have not read yet. */
static size_t unread(struct channel *c)
{
    size_t n = c->listener ? c->listener->in.n : 0;
    LIST_FOR(pos, &c->waiting)
    n += CONTAINER_OF(pos, struct channel_exchange, link)->in.n;
    return n;
}

/* A process that serves several must not be stopped for the slowest of them. */
static void pressure_apply(struct stdio *s)
{
    struct channel *c = s->c;
    pthread_mutex_lock(&c->lock);
    bool is_paused = str_is_absent(c->key) && unread(c) > LIMIT_PAUSE_HIGH;
    c->is_paused = is_paused;
    pthread_mutex_unlock(&c->lock);
    process_pause(s->process, is_paused);
}

static void on_line(void *arg, struct str line)
{
    struct stdio *s = arg;
    channel_incoming(s->c, line);
    pressure_apply(s);
}

/* ---- stdin ---- */

static bool stdio_send(struct services *sv unused_arg, struct arena *a unused_arg,
                       struct channel *c, const struct upstream_message *m unused_arg,
                       struct str body, struct channel_exchange *x unused_arg, struct err *e)
{
    pthread_mutex_lock(&c->lock);
    size_t waiting = c->backlog + c->out.n;
    bool is_alive = c->state != CHANNEL_ENDED && !c->wants_stop;
    bool has_room = waiting == 0 || waiting + body.n < LIMIT_STDIO_QUEUE;
    if (is_alive && has_room) {
        buf_add(&c->out, body);
        buf_add_char(&c->out, '\n');
        channel_wake(c);
    } else if (!is_alive) {
        *e = c->why;
    }
    pthread_mutex_unlock(&c->lock);
    if (!is_alive && e->code == ERR_NONE)
        return err_set(e, ERR_UPSTREAM, "the server's process is ending");
    return is_alive && (has_room || err_set(e, ERR_UNAVAILABLE,
                                            "the server does not read its input: %zu bytes are "
                                            "waiting; try again later",
                                            waiting));
}

static void backlog_note(struct stdio *s)
{
    pthread_mutex_lock(&s->c->lock);
    s->c->backlog = process_unsent(s->process);
    pthread_mutex_unlock(&s->c->lock);
}

static void on_drain(void *arg)
{
    backlog_note(arg);
}

static void stdio_turn(struct channel *c)
{
    struct stdio *s = c->carried;
    struct buf out;
    pthread_mutex_lock(&c->lock);
    out = c->out;
    buf_init(&c->out, (size_t)2 * LIMIT_STDIO_QUEUE);
    pthread_mutex_unlock(&c->lock);
    if (out.n > 0 && !process_write(s->process, buf_str(&out)))
        channel_stop(c);
    buf_end(&out);
    backlog_note(s);
    if (!s->is_stopping)
        pressure_apply(s);
}

/* ---- its end ---- */

static void end_explain(const struct stdio *s, const struct process_end *end, struct err *why)
{
    if (!end->was_started)
        err_set(why, ERR_UNPROCESSABLE, "the server's program cannot be started: %s",
                end->start_errno ? strerrordesc_np(end->start_errno) : "its guard ended");
    else if (end->has_overrun)
        err_set(why, ERR_UPSTREAM, "the server wrote a line longer than %d bytes and was ended",
                LIMIT_STDIO_LINE);
    else if (s->is_stopping)
        err_set(why, ERR_UPSTREAM, "the server's process was ended");
    else if (end->signal)
        err_set(why, ERR_UPSTREAM, "the server's process was ended by signal %s",
                sigabbrev_np(end->signal) ? sigabbrev_np(end->signal) : "?");
    else
        err_set(why, ERR_UPSTREAM, "the server's process ended (exit code %d)", end->exit_code);
}

static void stdio_free(struct stdio *s)
{
    secret_end(&s->env);
    free(s);
}

static void on_end(void *arg, const struct process_end *end)
{
    struct stdio *s = arg;
    struct channel *c = s->c;
    struct err why;
    end_explain(s, end, &why);
    pthread_mutex_lock(&c->lock);
    bool has_answered = c->has_answered;
    bool was_probe = c->is_probe;
    pthread_mutex_unlock(&c->lock);
    bool is_old = has_answered && clock_mono_ms() - c->started_at > LIVED_MS;
    /* Old servers may end at the first message of the new era: that is an answer, no failure. */
    bool is_probe = was_probe && !has_answered && end->was_started;
    bool is_failure = end->has_overrun || !s->is_stopping;
    if (is_failure && !is_probe) {
        metric_add(M_PROCESS_FAILURES, 1);
        channel_trouble_note(c->table, c, has_answered, is_old ? NULL : &why);
    } else if (has_answered) {
        channel_trouble_note(c->table, c, true, NULL);
    }
    window_turn(s, INT64_MAX);
    LOG(EV_PROCESS_ENDED, LF_STR("connection_id", c->connection_id), LF_STR("why", str_c(why.msg)));
    stdio_free(s);
    c->carried = NULL;
    channel_ended(c, &why);
}

static void stdio_stop(struct channel *c)
{
    struct stdio *s = c->carried;
    s->is_stopping = true;
    process_stop(s->process);
}

static void stdio_abandon(struct channel *c)
{
    struct stdio *s = c->carried;
    process_abandon(s->process);
    stdio_free(s);
    c->carried = NULL;
}

/* ---- its beginning ---- */

struct words {
    char *v[ENV_MAX > ARGS_MAX ? ENV_MAX + 1 : ARGS_MAX + 2];
    size_t n;
};

static bool words_add(struct words *w, size_t max, char *word, struct err *e)
{
    if (!word || w->n == max)
        return err_set(e, ERR_UNPROCESSABLE,
                       "the command of this connection has too many arguments, or one holds NUL");
    w->v[w->n++] = word;
    return true;
}

static bool args_read(struct arena *a, const struct connection *conn, struct words *args,
                      struct err *e)
{
    struct jiter it;
    struct str text;
    if (!words_add(args, ARGS_MAX, arena_cstr(a, conn->command), e))
        return false;
    if (str_is_absent(conn->args))
        return true;
    for (jscan_iter(&it, conn->args); jscan_next(&it);)
        if (!jscan_string(a, it.value, &text) || !words_add(args, ARGS_MAX, arena_cstr(a, text), e))
            return err_set(e, ERR_UNPROCESSABLE, "the arguments of this connection are no texts");
    return true;
}

/* What the program needs of ours, unless the connection says otherwise; nothing else of Tulle's
 * environment, which holds its settings. */
static bool env_read(struct arena *a, struct str object, struct words *env, struct err *e)
{
    static const char *const ours[] = {"PATH", "HOME", "LANG"};
    struct jiter it;
    struct jwant given[ARRAY_LEN(ours)];
    for (size_t i = 0; i < ARRAY_LEN(ours); i++)
        given[i] = (struct jwant){.name = str_c(ours[i])};
    if (object.n > 0 && !jscan_object(object, given, ARRAY_LEN(given), e))
        return err_set(e, ERR_INTERNAL, "a stored credential is damaged");
    for (size_t i = 0; i < ARRAY_LEN(ours); i++) {
        /* NOLINTNEXTLINE(concurrency-mt-unsafe): nobody changes it */
        const char *value = getenv(ours[i]);
        if (!value || !str_is_absent(given[i].value))
            continue;
        struct str word = arena_printf(a, "%s=%s", ours[i], value);
        if (!words_add(env, ENV_MAX, arena_cstr(a, word), e))
            return false;
    }
    if (object.n == 0)
        return true;
    for (jscan_iter(&it, object); jscan_next(&it);) {
        struct str name, value;
        if (!jscan_string(a, it.key, &name) || !jscan_string(a, it.value, &value))
            return err_set(e, ERR_INTERNAL, "a stored credential is damaged");
        struct str word = arena_printf(a, "%.*s=%.*s", STR_FMT(name), STR_FMT(value));
        if (!words_add(env, ENV_MAX, arena_cstr(a, word), e))
            return false;
    }
    return true;
}

static struct str env_of(const struct credential *cred)
{
    struct jwant wants[] = {{.name = STR("env")}};
    struct err ignored;
    return cred->plain.n > 0 && jscan_object(secret_reveal(&cred->plain), wants, 1, &ignored)
               ? wants[0].value
               : STR_NONE;
}

static const struct process_events events = {on_line, on_stderr, on_drain, on_end};

static bool run(struct services *sv, struct stdio *s, const struct connection *conn,
                struct str env_json, struct err *e)
{
    struct arena *a = arena_new((size_t)8 * LIMIT_CREDENTIAL);
    struct words *args = a ? arena_alloc(a, sizeof(*args)) : NULL;
    struct words *env = a ? arena_alloc(a, sizeof(*env)) : NULL;
    if (!args || !env) {
        arena_end(a);
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    }
    if (args_read(a, conn, args, e) && env_read(a, env_json, env, e)) {
        struct process_spec spec = {.argv = args->v, .envp = env->v, .folder = folder};
        s->process = process_start(sv->loop, &spec, &events, s, e);
    }
    for (size_t i = 0; i < env->n; i++)
        secret_wipe(env->v[i], strlen(env->v[i]));
    arena_end(a);
    return s->process != NULL;
}

static bool stdio_start(struct services *sv, struct arena *a unused_arg, struct channel *c,
                        const struct upstream_message *m, struct err *e)
{
    struct str env = env_of(m->credential);
    struct stdio *s = calloc(1, sizeof(*s));
    if (!s || (!str_is_absent(env) && !secret_set(&s->env, env.p, env.n))) {
        free(s);
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    }
    s->c = c;
    s->window_began = clock_mono_ms();
    if (!run(sv, s, &m->entry->conn, secret_reveal(&s->env), e)) {
        stdio_free(s);
        return false;
    }
    c->carried = s;
    metric_add(M_PROCESS_STARTS, 1);
    LOG(EV_PROCESS_STARTED, LF_STR("connection_id", c->connection_id),
        LF_STR("program", m->entry->conn.command));
    return true;
}

const struct channel_carrier channel_stdio = {"stdio",    stdio_start, stdio_send,
                                              stdio_turn, stdio_stop,  stdio_abandon};
