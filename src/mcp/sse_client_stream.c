/* The event stream of a client of HTTP+SSE, and the session that lives as long as it. */
#include "base/clock.h"
#include "core/services.h"
#include "io/fiber.h"
#include "io/sse.h"
#include "mcp/inbound.h"
#include "mcp/proxied.h"
#include "mcp/sse_client_parts.h"

enum {
    CHECK_EVERY_MS = 500,
    CHECK_ARENA = 4 * 1024 * 1024,
    STREAM_AGAIN_MS = 1000,
    STREAM_AGAIN_MAX = 64, /* times that the inner stream is opened anew */
};

static bool is_events(struct str content_type)
{
    return str_starts(content_type, STR("text/event-stream"));
}

/* ---- the inner session's own stream ---- */

/* The inner session's own stream, fed by callbacks of this worker. */
struct own_stream {
    struct http_inner in;
    const struct sse_door *door;
    struct fiber *fiber; /* while the handler runs */
    struct fiber_wait done;
    bool is_open;  /* begun and not closed by us yet */
    bool is_ended; /* by the server */
    int n_opened;
    int64_t again_ms;
};

struct stream {
    struct http_request *rq;
    struct sse_client *client;
    const struct sse_door *door;
    struct own_stream own;
    uint64_t seq;
};

static bool own_begin(struct http_inner *in, struct str content_type, struct err *e)
{
    struct stream *st = in->arg;
    st->own.is_open = true;
    return is_events(content_type) || err_set(e, ERR_UPSTREAM, "no event stream");
}

static bool own_bytes(struct http_inner *in, struct str bytes, bool may_wait unused_arg,
                      struct err *e)
{
    struct stream *st = in->arg;
    return sse_client_add(st->client, bytes, false) ||
           err_set(e, ERR_CANCELLED, "there is no room");
}

static void own_end(struct http_inner *in, bool is_whole unused_arg)
{
    struct stream *st = in->arg;
    st->own.is_ended = true;
    wakeup_set(st->client->reader);
}

static void own_answer(struct http_inner *in unused_arg, struct str content_type unused_arg,
                       struct str body unused_arg)
{
    /* There is none (405), or not now: nothing to tell the client. */
}

static void own_run(void *arg)
{
    struct stream *st = arg;
    struct own_stream *own = &st->own;
    own->door->get(&own->in.rq);
    http_inner_returned(&own->in);
    own->fiber = NULL;
    fiber_wake(&own->done);
}

static void own_open(struct stream *st)
{
    static const struct http_inner_ops ops = {own_answer, own_begin, own_bytes, own_end};
    struct own_stream *own = &st->own;
    struct err ignored;
    own->n_opened++;
    own->is_ended = false;
    own->done = (struct fiber_wait){0};
    http_inner_init(&own->in, st->rq, STR_NONE, &ops, st);
    if (!sse_client_headers(&own->in, st->rq, st->client) ||
        !fiber_start(st->rq->loop, own_run, st, &own->fiber, &ignored))
        own->fiber = NULL;
}

static void own_close(struct stream *st)
{
    struct own_stream *own = &st->own;
    struct err ignored;
    if (own->fiber) {
        fiber_cancel(own->fiber);
        (void)!fiber_wait(&own->done, INT64_MAX, &ignored);
    }
    if (own->is_open)
        http_inner_close(&own->in);
    own->is_open = false;
}

/* Opens the inner stream when its time has come; a little later again when the server ended it. */
static void own_tend(struct stream *st)
{
    struct own_stream *own = &st->own;
    int64_t now = clock_mono_ms();
    if (own->fiber)
        return;
    if (own->is_open && own->is_ended) {
        own_close(st);
        own->again_ms = now + STREAM_AGAIN_MS * own->n_opened;
    }
    bool is_due = own->n_opened == 0 || (own->again_ms > 0 && own->again_ms <= now);
    if (!st->door->get || own->is_open || !is_due || own->n_opened > STREAM_AGAIN_MAX)
        return;
    pthread_mutex_lock(&st->client->table->lock);
    bool is_wanted = st->client->wants_stream && st->client->session;
    pthread_mutex_unlock(&st->client->table->lock);
    own->again_ms = 0;
    own->door = st->door;
    if (is_wanted)
        own_open(st);
}

/* Writes what waits. False: the client left, or something is lost. */
static bool drain(struct stream *st, struct err *e)
{
    for (;;) {
        struct arena *a = arena_new(SSE_EVENT_MAX);
        struct str bytes;
        if (!a)
            return err_set(e, ERR_UNAVAILABLE, "out of memory");
        enum replay_step step = replay_next(st->client->out, a, &st->seq, &bytes);
        bool is_good = step == REPLAY_MESSAGE ? http_stream_write(st->rq, bytes, e)
                       : step == REPLAY_WAIT  ? true
                                              : err_set(e, ERR_CANCELLED, "the stream is over");
        arena_end(a);
        if (!is_good || step != REPLAY_MESSAGE)
            return is_good;
        replay_trim(st->client->out, st->seq);
    }
}

static bool still_holds(struct http_request *rq, uint64_t *epoch)
{
    struct services *sv = rq->context;
    uint64_t now = db_epoch(db_store_of(sv->db));
    if (now == *epoch && !caller_is_expired(rq->user, clock_wall_ms()))
        return true;
    *epoch = now;
    struct arena *a = arena_new(CHECK_ARENA);
    bool holds = !a || proxied_still_holds(sv, a, rq->user, STR_NONE);
    arena_end(a);
    return holds;
}

static void serve(struct stream *st)
{
    const struct caller *caller = st->rq->user;
    uint64_t epoch = caller->epoch;
    struct err e;
    while (drain(st, &e) && !sse_client_is_over(st->client) && still_holds(st->rq, &epoch)) {
        own_tend(st);
        if (!wakeup_wait(st->client->reader, clock_mono_ms() + CHECK_EVERY_MS, &e) &&
            e.code != ERR_TIMEOUT)
            break;
    }
    http_stream_end(st->rq);
}

/* The session ends with its stream, and its calls with it. */
static void finish(struct stream *st)
{
    struct sse_client *c = st->client;
    struct services *sv = st->rq->context;
    struct http_inner *in = arena_alloc(st->rq->arena, sizeof(*in));
    static const struct http_inner_ops ops = {own_answer, own_begin, own_bytes, own_end};
    fiber_shield(true);
    pthread_mutex_lock(&c->table->lock);
    c->is_over = true;
    (void)!map_take(c->table->by_key, str_c(c->key));
    bool has_session = c->session != NULL;
    pthread_mutex_unlock(&c->table->lock);
    replay_unread(c->out, c->reader);
    own_close(st);
    if (in && has_session && st->door->delete_session) {
        http_inner_init(in, st->rq, STR_NONE, &ops, st);
        in->rq.method = HTTP_DELETE;
        in->rq.method_name = STR("DELETE");
        if (sse_client_headers(in, st->rq, c))
            st->door->delete_session(&in->rq);
    }
    replay_forget(sv->replays, str_c(c->key));
    fiber_shield(false);
}

static bool endpoint_write(struct http_request *rq, const struct sse_client *c, struct err *e)
{
    struct services *sv = rq->context;
    struct buf sealed, event;
    buf_init(&sealed, SSE_HANDLE_MAX);
    buf_init(&event, LIMIT_BODY_SMALL);
    bool is_good = keyring_seal(sv->sse_clients->keys, STR(SSE_PURPOSE), sse_client_aad(rq),
                                str_c(c->key), &sealed) &&
                   buf_ok(&sealed);
    bool has_query = rq->query.n > 0;
    struct str address =
        arena_printf(rq->arena, "%.*s?%.*s%ssessionId=%.*s", STR_FMT(rq->path), STR_FMT(rq->query),
                     has_query ? "&" : "", STR_FMT(buf_str(&sealed)));
    sse_write_event(&event, STR("endpoint"), STR_NONE, address);
    is_good = is_good && buf_ok(&event) && !str_is_absent(address)
                  ? http_stream_write(rq, buf_str(&event), e)
                  : err_set(e, ERR_UNAVAILABLE, "out of memory");
    buf_end(&sealed);
    buf_end(&event);
    return is_good;
}

void sse_client_stream(struct http_request *rq, const struct sse_door *door)
{
    struct inbound in = {.era = ERA_SESSION};
    struct str version;
    struct err e;
    struct stream *st = arena_alloc(rq->arena, sizeof(*st));
    if (!door->admit(rq, &version, &e)) {
        inbound_fail(rq, &in, 0, &e);
        return;
    }
    if (!st)
        err_set(&e, ERR_UNAVAILABLE, "out of memory");
    else
        *st = (struct stream){
            .rq = rq, .client = sse_client_new(rq->context, rq->user, &e), .door = door};
    if (!st || !st->client) {
        inbound_fail(rq, &in, 0, &e);
        return;
    }
    http_set_header(rq, STR("Cache-Control"), STR("no-cache, no-transform"));
    http_set_header(rq, STR("X-Accel-Buffering"), STR("no"));
    if (http_stream_begin(rq, 200, STR("text/event-stream"), -1, &e)) {
        http_stream_keepalive(rq, LIMIT_KEEPALIVE_MS, STR(": ping\n\n"));
        if (endpoint_write(rq, st->client, &e))
            serve(st);
    }
    finish(st);
    sse_client_release(st->client);
}
