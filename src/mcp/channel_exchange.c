/* The reader's side of a channel: one request's answer, or the stream of GET. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/limits.h"
#include "io/sse.h"
#include "mcp/channel_parts.h"

static struct channel_exchange *of(struct exchange *x)
{
    return CONTAINER_OF(x, struct channel_exchange, base);
}

/* ---- the channel's side, under its lock ---- */

void channel_exchange_push(struct channel_exchange *x, struct str message)
{
    if (x->is_ended)
        return;
    sse_write_event(&x->in, STR("message"), STR_NONE, message);
    if (!buf_ok(&x->in)) {
        struct err why;
        err_set(&why, ERR_TOO_LARGE, "the server sent more than %d bytes that were not read",
                LIMIT_CHANNEL_HELD);
        channel_exchange_fail(x, &why);
        return;
    }
    wakeup_set(x->wake);
}

void channel_exchange_fail(struct channel_exchange *x, const struct err *why)
{
    if (x->is_ended)
        return;
    x->is_ended = true;
    if (why)
        x->why = *why;
    list_remove(&x->link);
    if (x->c->listener == x)
        x->c->listener = NULL;
    wakeup_set(x->wake);
}

/* ---- the reader's ---- */

/* Takes what has come. *is_ended: nothing follows. */
static void take(struct channel_exchange *x, bool *is_ended)
{
    struct channel *c = x->c;
    buf_reset(&x->reading);
    if (!c) {
        *is_ended = true;
        return;
    }
    pthread_mutex_lock(&c->lock);
    struct buf taken = x->in;
    x->in = x->reading;
    x->reading = taken;
    x->reading.failed = false;
    *is_ended = x->is_ended;
    if (c->is_paused)
        channel_wake(c);
    pthread_mutex_unlock(&c->lock);
    if (x->reading.n > 0) {
        x->since = clock_mono_ms();
        x->has_read = true;
    }
}

static bool is_ready(struct exchange *base)
{
    struct channel_exchange *x = of(base);
    if (!x->c)
        return true;
    pthread_mutex_lock(&x->c->lock);
    bool is = x->in.n > 0 || x->is_ended;
    pthread_mutex_unlock(&x->c->lock);
    return is;
}

/* By when the next byte must be here, and what is said if it is not. */
static int64_t patience_end(const struct channel_exchange *x, struct err *why)
{
    int64_t ms = x->has_read ? x->idle_ms : x->first_byte_ms;
    int64_t at = ms < 0 ? INT64_MAX : x->since + ms;
    err_set(why, ERR_TIMEOUT, "the server said nothing for %lld s", (long long)(ms / 1000));
    if (x->deadline < at) {
        at = x->deadline;
        err_set(why, ERR_TIMEOUT, "the server took too long over its answer");
    }
    return at;
}

bool channel_exchange_wait(struct channel_exchange *x, int64_t deadline_mono_ms, struct err *e)
{
    while (!is_ready(&x->base)) {
        struct fiber_wait wait = {0};
        x->reader = &wait;
        /* What came between the look and the wait has set off a wake-up that is still to come. */
        bool is_woken = fiber_wait(&wait, deadline_mono_ms, e);
        x->reader = NULL;
        if (!is_woken)
            return false;
    }
    return true;
}

static bool exchange_read_some(struct exchange *base, struct str *chunk, int64_t deadline_mono_ms,
                               struct err *e)
{
    struct channel_exchange *x = of(base);
    bool is_ended;
    for (;;) {
        take(x, &is_ended);
        *chunk = buf_str(&x->reading);
        if (chunk->n > 0)
            return true;
        if (is_ended && x->why.code != ERR_NONE) {
            *e = x->why;
            return false;
        }
        if (is_ended)
            return true;
        struct err late;
        int64_t at = patience_end(x, &late);
        bool is_callers = deadline_mono_ms > 0 && deadline_mono_ms < at;
        if (channel_exchange_wait(x, is_callers ? deadline_mono_ms : at, e))
            continue;
        if (e->code == ERR_TIMEOUT && !is_callers)
            *e = late;
        return false;
    }
}

/* ---- its end ---- */

static void exchange_free(struct channel_exchange *x)
{
    if (x->wake) {
        wakeup_mute(x->wake);
        wakeup_unref(x->wake);
    }
    if (x->c) {
        atomic_fetch_sub(&x->c->n_open, 1);
        channel_unref(x->c);
    }
    buf_end(&x->in);
    buf_end(&x->reading);
    free((void *)(uintptr_t)x->id.p);
    free((void *)(uintptr_t)x->token.p);
    free(x);
}

/* Its id may still be named by a cancellation that is on its way. */
static void remember(struct channel *c, const struct channel_exchange *x)
{
    struct channel_recent *r = &c->recent[c->n_recent++ % CHANNEL_RECENT];
    (void)snprintf(r->id, sizeof(r->id), "%.*s", STR_FMT(x->id));
    r->wire_id = x->wire_id;
}

/* A process of the stateless era learns of a reader's leaving by a message: there is no stream to
 * close (MCP 2026-07-28, Cancellation). */
static void tell_cancelled(struct channel *c, const struct channel_exchange *x)
{
    if (c->state == CHANNEL_OPEN)
        buf_addf(&c->out,
                 "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{"
                 "\"requestId\":%llu}}\n",
                 (unsigned long long)x->wire_id);
    if (!buf_ok(&c->out))
        c->out.failed = false;
    channel_wake(c);
}

static void exchange_leave(struct channel_exchange *x)
{
    struct channel *c = x->c;
    pthread_mutex_lock(&c->lock);
    bool is_unanswered = !x->is_ended;
    if (is_unanswered) {
        x->is_ended = true;
        list_remove(&x->link);
        if (c->listener == x)
            c->listener = NULL;
        if (!x->is_get)
            remember(c, x);
        if (!x->is_get && x->is_stateless && x->has_sent)
            tell_cancelled(c, x);
        if (x->is_first && !x->is_stateless) /* nobody knows of this session */
            c->wants_stop = true;
    }
    if (c->is_paused || c->wants_stop)
        channel_wake(c);
    pthread_mutex_unlock(&c->lock);
    atomic_store(&c->used_at, clock_mono_ms());
}

static void exchange_end(struct exchange *base)
{
    struct channel_exchange *x = of(base);
    if (x->c)
        exchange_leave(x);
    if (x->is_delivering)
        x->is_closed = true;
    else
        exchange_free(x);
}

/* ---- without a fiber ---- */

static void deliver(struct channel_exchange *x)
{
    bool is_ended, goes_on = true;
    take(x, &is_ended);
    x->is_delivering = true;
    if (x->reading.n > 0)
        goes_on = x->on_data(x->arg, buf_str(&x->reading));
    if (!x->is_closed && (is_ended || !goes_on)) {
        struct err why = x->why;
        if (!goes_on)
            err_set(&why, ERR_UPSTREAM, "the stream was broken off");
        if (!is_ended)
            exchange_leave(x);
        x->is_closed = true;
        x->on_end(x->arg, why.code == ERR_NONE ? NULL : &why);
    }
    x->is_delivering = false;
    if (x->is_closed)
        exchange_free(x);
}

static void on_wake(void *arg)
{
    struct channel_exchange *x = arg;
    if (x->on_data)
        deliver(x);
    else if (x->reader)
        fiber_wake(x->reader);
}

static void exchange_detach_reader(struct exchange *base,
                                   bool (*on_data)(void *arg, struct str bytes),
                                   void (*on_end)(void *arg, const struct err *e), void *arg)
{
    struct channel_exchange *x = of(base);
    x->on_data = on_data;
    x->on_end = on_end;
    x->arg = arg;
    wakeup_set(x->wake);
}

static const struct exchange_ops ops = {exchange_read_some, is_ready, exchange_end,
                                        exchange_detach_reader};

/* ---- its beginning ---- */

struct channel_exchange *channel_exchange_new(struct channel *c, struct err *e)
{
    struct channel_exchange *x = calloc(1, sizeof(*x));
    if (x)
        x->wake = wakeup_for(fiber_loop(), on_wake, x);
    if (!x || !x->wake) {
        free(x);
        err_set(e, ERR_UNAVAILABLE, "out of memory");
        return NULL;
    }
    x->base.ops = &ops;
    list_init(&x->link);
    buf_init(&x->in, LIMIT_CHANNEL_HELD);
    buf_init(&x->reading, LIMIT_CHANNEL_HELD);
    x->since = clock_mono_ms();
    x->deadline = INT64_MAX;
    x->c = c;
    if (c) {
        atomic_fetch_add(&c->refs, 1);
        atomic_fetch_add(&c->n_open, 1);
    }
    return x;
}

struct exchange *channel_exchange_plain(int status, struct http_answer_head *head, struct err *e)
{
    struct channel_exchange *x = channel_exchange_new(NULL, e);
    if (!x)
        return NULL;
    x->is_ended = true;
    *head = (struct http_answer_head){.status = status};
    return &x->base;
}
