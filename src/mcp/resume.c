/* Streams that go on after their connection broke. */
#include "mcp/resume.h"

#include "auth/token_check.h"
#include "base/clock.h"
#include "base/limits.h"
#include "io/fiber.h"
#include "io/sse.h"
#include "mcp/client_sessions.h"
#include "mcp/proxied.h"
#include "mcp/wakeup.h"

enum { CHECK_EVERY_MS = 500, CHECK_ARENA = 4 * 1024 * 1024, EVENT_MAX = 2 * LIMIT_SSE_EVENT };

static struct str last_event_id(struct http_request *rq)
{
    return str_trim(http_request_header(rq, STR("Last-Event-ID")));
}

static bool write_event(struct http_request *rq, const struct replay *r, uint64_t seq,
                        struct str message, struct err *e)
{
    char id[REPLAY_ID_SIZE];
    struct buf out;
    replay_id(r, seq, id);
    buf_init(&out, EVENT_MAX);
    sse_write_event(&out, STR("message"), str_c(id), message);
    bool is_written = buf_ok(&out) ? http_stream_write(rq, buf_str(&out), e)
                                   : err_set(e, ERR_TOO_LARGE, "an event is too large");
    buf_end(&out);
    return is_written;
}

/* ---- the answer to a call, read again ---- */

/* Writes what there is after *seq. False with *e: the reader is gone, or something is lost. */
static bool catch_up(struct http_request *rq, struct replay *r, uint64_t *seq,
                     enum replay_step *step, struct err *e)
{
    for (;;) {
        struct arena *a = arena_new(EVENT_MAX);
        struct str message;
        if (!a)
            return err_set(e, ERR_UNAVAILABLE, "out of memory");
        *step = replay_next(r, a, seq, &message);
        bool is_good = *step != REPLAY_MESSAGE || write_event(rq, r, *seq, message, e);
        arena_end(a);
        if (!is_good || *step != REPLAY_MESSAGE)
            return is_good && (*step != REPLAY_LOST ||
                               err_set(e, ERR_BAD_REQUEST, "the next event is not kept any more"));
    }
}

static bool still_holds(struct http_request *rq, struct str connection_id, uint64_t *epoch)
{
    struct services *sv = rq->context;
    uint64_t now = db_epoch(db_store_of(sv->db));
    if (now == *epoch && !caller_is_expired(rq->user, clock_wall_ms()))
        return true;
    *epoch = now;
    struct arena *a = arena_new(CHECK_ARENA);
    bool holds = !a || proxied_still_holds(sv, a, rq->user, connection_id);
    arena_end(a);
    return holds;
}

static bool follow(struct http_request *rq, struct replay *r, uint64_t seq,
                   struct str connection_id, struct wakeup *reader, struct err *e)
{
    const struct caller *caller = rq->user;
    uint64_t epoch = caller->epoch;
    enum replay_step step;
    replay_read(r, reader);
    while (catch_up(rq, r, &seq, &step, e)) {
        if (step == REPLAY_OVER || !replay_is_reader(r, reader) ||
            !still_holds(rq, connection_id, &epoch)) {
            http_stream_end(rq);
            return true;
        }
        if (!wakeup_wait(reader, clock_mono_ms() + CHECK_EVERY_MS, e) && e->code != ERR_TIMEOUT)
            return false;
    }
    return false;
}

static void stream_head(struct http_request *rq)
{
    http_set_header(rq, STR("Cache-Control"), STR("no-cache, no-transform"));
    http_set_header(rq, STR("X-Accel-Buffering"), STR("no"));
}

/* Is the next event there, or still to come? */
static bool is_kept(struct replay *r, uint64_t seq)
{
    struct arena *a = arena_new(EVENT_MAX);
    struct str message;
    bool is_lost = !a || replay_next(r, a, &seq, &message) == REPLAY_LOST;
    arena_end(a);
    return !is_lost;
}

bool resume_call(struct http_request *rq, struct str session_key, struct str connection_id,
                 bool *is_done, struct err *e)
{
    struct services *sv = rq->context;
    struct str id = last_event_id(rq);
    uint64_t seq;
    *is_done = false;
    if (!replay_id_is_call(id))
        return true;
    struct replay *r = replay_find(sv->replays, session_key, id, &seq);
    struct wakeup *reader = r ? wakeup_new() : NULL;
    *is_done = true;
    bool is_good = reader && is_kept(r, seq);
    if (!is_good) {
        err_set(e, ERR_BAD_REQUEST, "the stream of this Last-Event-ID is not kept any more");
    } else {
        stream_head(rq);
        is_good = http_stream_begin(rq, 200, STR("text/event-stream"), -1, e);
        if (is_good) {
            http_stream_keepalive(rq, LIMIT_KEEPALIVE_MS, STR(": ping\n\n"));
            is_good = follow(rq, r, seq, connection_id, reader, e);
        }
    }
    if (reader)
        replay_unread(r, reader);
    wakeup_unref(reader);
    replay_release(r);
    return is_good;
}

/* ---- the session's own stream ---- */

bool resume_is_get(struct http_request *rq, struct str session_key, struct replay **out)
{
    struct services *sv = rq->context;
    uint64_t seq;
    struct str id = last_event_id(rq);
    *out = replay_id_is_call(id) ? NULL : replay_find(sv->replays, session_key, id, &seq);
    return *out != NULL;
}

struct replay *resume_get(struct http_request *rq, struct str session_key)
{
    struct services *sv = rq->context;
    const struct caller *caller = rq->user;
    struct replay *r = NULL;
    uint64_t seq;
    enum replay_step step;
    struct err ignored; /* a client that left again comes again; what is lost is lost */
    if (rq->inner)
        return NULL;
    if (!replay_id_is_call(last_event_id(rq)))
        r = replay_find(sv->replays, session_key, last_event_id(rq), &seq);
    if (r)
        (void)!catch_up(rq, r, &seq, &step, &ignored);
    else
        r = replay_open(sv->replays, session_key, caller->user_id, REPLAY_GET, clock_mono_ms());
    return r;
}

void resume_write(struct buf *out, const struct replay *r, struct str message)
{
    char id[REPLAY_ID_SIZE];
    if (r)
        replay_id(r, replay_next_seq(r), id);
    sse_write_event(out, STR("message"), r ? str_c(id) : STR_NONE, message);
}

/* ---- the answer to a call, written ---- */

static struct str session_key(const struct proxied *p)
{
    return p->client ? client_session_key(p->client) : p->session.key;
}

/* Clients before 2025-11-25 take an event without data for a broken message. */
static bool knows_priming(const struct proxied *p)
{
    struct str version =
        p->client ? client_session_hello(p->client)->version : p->session.client_version;
    return str_cmp(version, STR("2025-11-25")) >= 0;
}

bool resume_begin(struct proxied *p, struct err *e)
{
    struct str key = session_key(p);
    if (str_is_absent(key) || p->rq->inner || p->in.era != ERA_SESSION)
        return true;
    p->replay = replay_open(p->sv->replays, key, p->caller->user_id, REPLAY_CALL, clock_mono_ms());
    if (!p->replay)
        return true;
    http_outlive_client(p->rq);
    return !knows_priming(p) || write_event(p->rq, p->replay, 0, STR(""), e);
}

bool resume_event(struct proxied *p, struct str message, struct err *e)
{
    uint64_t seq = replay_add(p->replay, message, clock_mono_ms());
    if (replay_is_taken(p->replay)) {
        http_stream_end(p->rq);
        return true;
    }
    if (http_client_has_left(p->rq) || write_event(p->rq, p->replay, seq, message, e))
        return true;
    if (fiber_is_cancelled(fiber_self()))
        return false;
    http_stream_cut(p->rq); /* it may come back for what it did not take */
    return true;
}

void resume_end(struct proxied *p)
{
    if (!p->replay)
        return;
    replay_finish(p->replay, clock_mono_ms());
    replay_release(p->replay);
    p->replay = NULL;
}
