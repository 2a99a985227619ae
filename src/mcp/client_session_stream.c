/*
 * A session's GET stream and the messages that wait for it. They are put in on any thread and
 * written on the stream's own; no fiber is held.
 */
#include <stdlib.h>

#include "auth/token_check.h"
#include "base/clock.h"
#include "base/limits.h"
#include "core/services.h"
#include "io/sse.h"
#include "mcp/client_session_parts.h"
#include "mcp/resume.h"
#include "store/db.h"

enum { RETRY_MS = 200, CHECK_ARENA = 4 * 1024 * 1024 };

struct client_stream {
    struct list link; /* in the worker's list */
    struct services *sv;
    struct http_request *rq; /* on its own thread only */
    struct client_session *session;
    struct replay *replay; /* NULL: its events have no ids */
    struct loop_task wake;
    struct loop_timer again; /* when the client does not read fast enough */
    bool is_closed;          /* on its own thread only */
    client_stream_check_fn *still_holds;
    uint64_t serial, checked_epoch;
    bool is_expired; /* its credential was, when it was last checked */
    /* under the table's lock */
    int refs;
    bool is_woken;
};

/* ---- messages ---- */

void client_outbox_free(struct client_session *s)
{
    while (s->out_first) {
        struct outbox_item *item = s->out_first;
        s->out_first = item->next;
        free(item);
    }
    s->out_last = NULL;
    s->out_n = s->out_bytes = 0;
}

/* With the lock held. NULL when there is none. */
static struct outbox_item *take_locked(struct client_session *s)
{
    struct outbox_item *item = s->out_first;
    if (!item)
        return NULL;
    s->out_first = item->next;
    if (!s->out_first)
        s->out_last = NULL;
    s->out_n--;
    s->out_bytes -= item->n;
    return item;
}

void client_stream_wake_locked(struct client_session *s)
{
    struct client_stream *st = s->stream;
    if (!st || st->is_woken)
        return;
    st->is_woken = true;
    st->refs++;
    loop_post(st->sv->loop, &st->wake);
}

bool client_session_push(struct client_session *s, struct str message)
{
    if (message.n > LIMIT_OUTBOX_BYTES)
        return false;
    if (client_session_is_branch(s))
        return client_branch_push(s, message);
    struct outbox_item *item = malloc(sizeof(*item) + message.n);
    if (!item)
        return false;
    item->next = NULL;
    item->n = message.n;
    memcpy(item->bytes, message.p, message.n);
    pthread_mutex_lock(&s->table->lock);
    bool is_kept = !s->is_ended;
    if (is_kept) {
        while (s->out_n >= LIMIT_OUTBOX || s->out_bytes + message.n > LIMIT_OUTBOX_BYTES)
            free(take_locked(s));
        if (s->out_last)
            s->out_last->next = item;
        else
            s->out_first = item;
        s->out_last = item;
        s->out_n++;
        s->out_bytes += item->n;
        client_stream_wake_locked(s);
    }
    pthread_mutex_unlock(&s->table->lock);
    if (!is_kept)
        free(item);
    return is_kept;
}

bool client_session_has_stream(const struct client_session *s)
{
    pthread_mutex_lock(&s->table->lock);
    bool has = s->stream != NULL;
    pthread_mutex_unlock(&s->table->lock);
    return has;
}

/* ---- the stream, on its own thread ---- */

static void stream_release(struct client_stream *st)
{
    struct client_session *s = st->session;
    pthread_mutex_lock(&s->table->lock);
    bool is_last = --st->refs == 0;
    pthread_mutex_unlock(&s->table->lock);
    if (!is_last)
        return;
    replay_release(st->replay);
    free(st);
    client_session_release(s);
}

/* Puts back what the client could not take yet. */
static void put_back(struct client_session *s, struct outbox_item *item)
{
    pthread_mutex_lock(&s->table->lock);
    item->next = s->out_first;
    s->out_first = item;
    if (!s->out_last)
        s->out_last = item;
    s->out_n++;
    s->out_bytes += item->n;
    pthread_mutex_unlock(&s->table->lock);
}

static bool item_write(struct client_stream *st, const struct outbox_item *item)
{
    struct buf out;
    buf_init(&out, (size_t)2 * LIMIT_OUTBOX_BYTES + 64);
    struct str message = {item->bytes, item->n};
    resume_write(&out, st->replay, message);
    bool is_taken = !buf_ok(&out) || http_stream_push(st->rq, buf_str(&out));
    if (is_taken && st->replay)
        (void)replay_add(st->replay, message, clock_mono_ms());
    buf_end(&out);
    return is_taken;
}

static void drain(struct client_stream *st)
{
    struct client_session *s = st->session;
    for (;;) {
        pthread_mutex_lock(&s->table->lock);
        bool is_over = s->is_ended || s->stream != st;
        struct outbox_item *item = is_over ? NULL : take_locked(s);
        pthread_mutex_unlock(&s->table->lock);
        if (is_over)
            http_stream_end(st->rq);
        if (!item)
            return;
        if (!item_write(st, item)) {
            put_back(s, item);
            loop_timer_set(st->sv->loop, &st->again, clock_mono_ms() + RETRY_MS);
            return;
        }
        free(item);
    }
}

static void wake_run(struct loop_task *task)
{
    struct client_stream *st = CONTAINER_OF(task, struct client_stream, wake);
    pthread_mutex_lock(&st->session->table->lock);
    st->is_woken = false;
    pthread_mutex_unlock(&st->session->table->lock);
    if (!st->is_closed)
        drain(st);
    stream_release(st);
}

static void again_fire(struct loop_timer *timer)
{
    drain(CONTAINER_OF(timer, struct client_stream, again));
}

static void on_close(void *arg)
{
    struct client_stream *st = arg;
    struct client_session *s = st->session;
    st->is_closed = true;
    loop_timer_stop(st->sv->loop, &st->again);
    list_remove(&st->link);
    pthread_mutex_lock(&s->table->lock);
    if (s->stream == st)
        s->stream = NULL;
    s->used_at = clock_wall_ms();
    pthread_mutex_unlock(&s->table->lock);
    stream_release(st);
}

/* Makes it the session's stream; the one before ends. */
static bool stream_install(struct client_stream *st)
{
    struct client_session *s = st->session;
    pthread_mutex_lock(&s->table->lock);
    bool is_good = !s->is_ended;
    if (is_good) {
        client_stream_wake_locked(s); /* it will see that it was replaced */
        s->stream = st;
        client_stream_wake_locked(s);
    }
    pthread_mutex_unlock(&s->table->lock);
    return is_good;
}

bool client_session_stream(struct client_session *s, struct http_request *rq,
                           client_stream_check_fn *still_holds, struct err *e)
{
    static _Thread_local uint64_t next_serial;
    struct services *sv = rq->context;
    const struct caller *caller = rq->user;
    struct client_stream *st = calloc(1, sizeof(*st));
    if (!st)
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    *st = (struct client_stream){.sv = sv,
                                 .rq = rq,
                                 .session = s,
                                 .wake = {.run = wake_run},
                                 .again = {.on_fire = again_fire},
                                 .still_holds = still_holds,
                                 .serial = ++next_serial,
                                 .checked_epoch = caller->epoch,
                                 .refs = 1};
    client_session_hold(s);
    http_set_header(rq, STR("Cache-Control"), STR("no-cache, no-transform"));
    http_set_header(rq, STR("X-Accel-Buffering"), STR("no"));
    if (!http_stream_begin(rq, 200, STR("text/event-stream"), -1, e)) {
        stream_release(st);
        return false;
    }
    st->replay = resume_get(rq, client_session_key(s));
    list_push(&sv->client_streams, &st->link);
    http_stream_keepalive(rq, LIMIT_KEEPALIVE_MS, STR(": ping\n\n"));
    http_stream_detach(rq, on_close, st);
    if (!stream_install(st))
        http_stream_end(rq);
    return true;
}

/* ---- revocation ---- */

static struct client_stream *stream_find(struct services *sv, uint64_t serial, uint64_t epoch)
{
    LIST_FOR(pos, &sv->client_streams)
    {
        struct client_stream *st = CONTAINER_OF(pos, struct client_stream, link);
        bool is_over = !st->is_expired && caller_is_expired(st->rq->user, clock_wall_ms());
        if (serial ? st->serial == serial : st->checked_epoch != epoch || is_over)
            return st;
    }
    return NULL;
}

/* A store that does not answer is no evidence. */
static bool holds(struct services *sv, struct arena *a, const struct caller *before,
                  struct str audience, client_stream_check_fn *still_holds)
{
    const struct caller *now;
    struct err e;
    if (!token_check_again(sv, a, before, clock_wall_ms(), &now, &e))
        return e.code != ERR_UNAUTHENTICATED;
    return still_holds(sv, a, now, audience);
}

/* The stream may be gone when the look-ups have returned: it is found again by its number. */
static void stream_check(struct services *sv, struct client_stream *st, uint64_t epoch)
{
    struct arena *a = arena_new(CHECK_ARENA);
    uint64_t serial = st->serial;
    client_stream_check_fn *still_holds = st->still_holds;
    struct caller before = *(const struct caller *)st->rq->user;
    st->checked_epoch = epoch;
    st->is_expired = caller_is_expired(&before, clock_wall_ms());
    if (!a)
        return;
    before.client_id = arena_dup(a, before.client_id);
    struct str audience = arena_dup(a, st->session->who.audience);
    if (!holds(sv, a, &before, audience, still_holds)) {
        st = stream_find(sv, serial, epoch);
        if (st)
            http_stream_end(st->rq);
    }
    arena_end(a);
}

void client_streams_check(struct services *sv, uint64_t epoch)
{
    struct client_stream *st;
    while ((st = stream_find(sv, 0, epoch)) != NULL)
        stream_check(sv, st, epoch);
}
