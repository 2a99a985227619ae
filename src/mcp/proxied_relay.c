/*
 * A stream that may stay silent for hours: two detached ends and a parser between them, no fiber.
 * Its memory is the request's arena, which ends with the client's connection.
 */
#include "base/clock.h"
#include "base/limits.h"
#include "auth/token_check.h"
#include "io/fiber.h"
#include "io/sse.h"
#include "mcp/client_sessions.h"
#include "mcp/m2s.h"
#include "mcp/aggregate.h"
#include "mcp/proxied.h"
#include "mcp/proxied_call.h"
#include "mcp/resume.h"

enum { WATCH_EVERY_MS = 500, CHECK_ARENA = 4 * 1024 * 1024 };

struct relay {
    struct list link;          /* in the worker's list of relays */
    uint64_t serial;           /* names it across waits */
    uint64_t checked_epoch;    /* of the store, when its credential last held */
    bool is_expired;           /* its credential was, when it was last checked */
    struct proxied p;          /* a copy: the fiber that made it is gone */
    struct exchange *exchange; /* NULL once it has ended */
    struct sse_parser parser;
    struct replay *replay;      /* of a session's own stream; else NULL */
    void (*on_over)(void *arg); /* of a stream without an exchange */
    void *arg;
};

static bool on_event(void *arg, const struct sse_event *event, struct err *e)
{
    struct relay *r = arg;
    if (event->data.n == 0 || (event->event.n > 0 && !str_eq(event->event, STR("message"))))
        return true;
    struct arena *a = arena_new((size_t)2 * LIMIT_SSE_EVENT);
    struct rpc_message message;
    struct str text = STR_NONE;
    struct buf out;
    bool is_good = a != NULL && rpc_parse(a, event->data, &message, e);
    if (is_good && message.kind == RPC_RESPONSE)
        text =
            r->p.kind == METHOD_LISTEN ? message.raw : STR_NONE; /* the listen stream's own end */
    else if (is_good)
        is_good = proxied_translate(&r->p, a, &message, &text, e);
    if (is_good && !str_is_absent(text)) {
        buf_init(&out, (size_t)2 * LIMIT_SSE_EVENT);
        resume_write(&out, r->replay, text);
        is_good = buf_ok(&out) && http_stream_push(r->p.rq, buf_str(&out));
        if (r->replay)
            (void)replay_add(r->replay, text, clock_mono_ms());
        buf_end(&out);
    }
    arena_end(a);
    return is_good;
}

static bool on_data(void *arg, struct str bytes)
{
    struct relay *r = arg;
    struct err e;
    return sse_parser_feed(&r->parser, bytes, &e);
}

static void on_end(void *arg, const struct err *e unused_arg)
{
    struct relay *r = arg;
    r->exchange = NULL;
    http_stream_end(r->p.rq);
}

static void on_close(void *arg)
{
    struct relay *r = arg;
    list_remove(&r->link);
    exchange_close(r->exchange);
    r->exchange = NULL;
    if (r->replay)
        replay_note_origin(r->replay, buf_str(&r->parser.last_id));
    replay_release(r->replay);
    sse_parser_end(&r->parser);
    if (r->on_over)
        r->on_over(r->arg);
}

/* The record of a stream that has begun. NULL: the client has left, or memory is out. */
static struct relay *relay_begin(struct proxied *p, struct err *e)
{
    struct relay *r = arena_alloc(p->a, sizeof(*r));
    if (!r) {
        err_set(e, ERR_UNAVAILABLE, "out of memory");
        return NULL;
    }
    http_set_header(p->rq, STR("Cache-Control"), STR("no-cache, no-transform"));
    http_set_header(p->rq, STR("X-Accel-Buffering"), STR("no"));
    if (!http_stream_begin(p->rq, 200, STR("text/event-stream"), -1, e))
        return NULL;
    if (!str_is_absent(p->session.key)) /* may wait: before anybody else sees the record */
        r->replay = resume_get(p->rq, p->session.key);
    r->p = *p;
    r->p.cred = (struct credential){0}; /* it has been sent; the fiber wipes its own */
    /* The request's body ends with its fiber, and these point into it. Nothing here needs them:
     * progress never travels on a stream of this kind. */
    r->p.in.msg = (struct rpc_message){0};
    r->p.hop_id = r->p.hop_token = STR_NONE;
    static _Thread_local uint64_t next_serial;
    r->serial = ++next_serial;
    r->checked_epoch = p->caller->epoch; /* opening may have taken long */
    list_push(&p->sv->relays, &r->link);
    sse_parser_init(&r->parser, on_event, r);
    http_stream_keepalive(p->rq, LIMIT_KEEPALIVE_MS, STR(": ping\n\n"));
    return r;
}

bool proxied_relay(struct proxied *p, struct exchange *x, struct err *e)
{
    struct relay *r = relay_begin(p, e);
    if (!r) {
        exchange_close(x);
        return false;
    }
    r->exchange = x;
    http_stream_detach(p->rq, on_close, r);
    exchange_detach(x, on_data, on_end, r);
    return true;
}

bool proxied_relay_own(struct proxied *p, struct str first, void (*on_over)(void *arg), void *arg,
                       struct err *e)
{
    struct relay *r = relay_begin(p, e);
    if (!r)
        return false;
    (void)!http_stream_push(p->rq, first); /* a client that left is found out below */
    r->on_over = on_over;
    r->arg = arg;
    http_stream_detach(p->rq, on_close, r);
    return true;
}

/* ---- revocation: a stream ends when what opened it no longer holds ---- */

static struct relay *relay_unchecked(struct services *sv, uint64_t epoch)
{
    LIST_FOR(pos, &sv->relays)
    {
        struct relay *r = CONTAINER_OF(pos, struct relay, link);
        bool is_over = !r->is_expired && caller_is_expired(r->p.caller, clock_wall_ms());
        if (r->checked_epoch != epoch || is_over)
            return r;
    }
    return NULL;
}

static struct relay *relay_find(struct services *sv, uint64_t serial)
{
    LIST_FOR(pos, &sv->relays)
    {
        struct relay *r = CONTAINER_OF(pos, struct relay, link);
        if (r->serial == serial)
            return r;
    }
    return NULL;
}

bool proxied_still_holds(struct services *sv, struct arena *a, const struct caller *before,
                         struct str connection_id)
{
    const struct caller *now;
    struct registry_entry *entry;
    struct err e;
    if (!token_check_again(sv, a, before, clock_wall_ms(), &now, &e))
        return e.code != ERR_UNAUTHENTICATED;
    if (str_is_absent(connection_id)) /* an aggregate's: it looks after its members itself */
        return true;
    if (!registry_get(sv, a, now->org_id, connection_id, &entry, &e))
        return e.code != ERR_NOT_FOUND;
    struct policy_target target = {.connection_id = entry->conn.id};
    return entry->conn.enabled && policy_decide(now, POLICY_CONNECT, &target).is_allowed;
}

/* Checks one relay. It may be gone when the look-ups have returned, so it is found again by its
 * number. */
static void relay_check(struct services *sv, struct relay *r, uint64_t epoch)
{
    struct arena *a = arena_new(CHECK_ARENA);
    uint64_t serial = r->serial;
    struct caller before = *r->p.caller;
    r->checked_epoch = epoch;
    r->is_expired = caller_is_expired(&before, clock_wall_ms());
    if (!a)
        return;
    before.client_id = arena_dup(a, before.client_id);
    struct str connection_id = r->p.entry ? arena_dup(a, r->p.entry->conn.id) : STR_NONE;
    if (!proxied_still_holds(sv, a, &before, connection_id)) {
        r = relay_find(sv, serial);
        if (r)
            http_stream_end(r->p.rq);
    }
    arena_end(a);
}

static void watch_run(void *arg)
{
    struct services *sv = arg;
    struct err e;
    while (fiber_sleep_until(clock_mono_ms() + WATCH_EVERY_MS, &e)) {
        if (sv->worker == 0)
            m2s_reap(sv->m2s, clock_mono_ms());
        uint64_t epoch = db_epoch(db_store_of(sv->db));
        struct relay *r;
        while ((r = relay_unchecked(sv, epoch)) != NULL)
            relay_check(sv, r, epoch);
        client_streams_check(sv, epoch);
        aggregate_streams_check(sv, epoch);
    }
}

bool proxied_relay_watch_start(struct services *sv, struct err *e)
{
    return fiber_start(sv->loop, watch_run, sv, &sv->relay_watch, e);
}
