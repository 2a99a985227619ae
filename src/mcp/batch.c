/* JSON-RPC batches. */
#include "mcp/batch.h"

#include "base/limits.h"
#include "io/fiber.h"
#include "io/http_inner.h"
#include "io/sse.h"
#include "json/jscan.h"
#include "mcp/inbound.h"

struct batch {
    struct http_request *rq;
    struct inbound in; /* of the whole: what its errors look like */
    struct str *messages;
    size_t n_messages;
    struct str *answers; /* those not sent yet */
    size_t n_answers;
    bool is_streaming; /* the answer is an event stream, which has begun */
    struct buf held;   /* a JSON answer that comes in pieces */
    bool holds;
};

/* ---- reading ---- */

static bool not_a_batch(struct err *e)
{
    return err_set(e, ERR_BAD_REQUEST,
                   "the body is a JSON array, expected one JSON-RPC message; only sessions of "
                   "revision 2025-03-26 may send batches");
}

/* What may not stand in a batch. A message that is none is answered when its turn comes. */
static bool message_check(struct arena *a, struct str text, struct err *e)
{
    struct rpc_message m = {0};
    struct err ignored;
    (void)!rpc_parse(a, text, &m, &ignored);
    if (!str_is_absent(m.protocol_version))
        return err_set(e, ERR_BAD_REQUEST,
                       "a batch holds a message of a revision that has no batches");
    if (str_eq(m.method, STR("subscriptions/listen")))
        return err_set(e, ERR_BAD_REQUEST,
                       "a batch holds subscriptions/listen, whose answer has no end");
    return !str_eq(m.method, STR("initialize")) ||
           err_set(e, ERR_BAD_REQUEST, "initialize must not be part of a batch");
}

bool batch_messages(struct arena *a, struct str body, struct str **messages, size_t *n,
                    struct err *e)
{
    struct jiter it;
    *n = 0;
    if (!jscan_valid(body, e))
        return false;
    *messages = arena_alloc(a, LIMIT_BATCH * sizeof(**messages));
    if (!*messages)
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    for (jscan_iter(&it, str_trim(body)); jscan_next(&it);) {
        if (*n == LIMIT_BATCH)
            return err_set(e, ERR_BAD_REQUEST, "the batch has more than %d messages",
                           (int)LIMIT_BATCH);
        if (!message_check(a, it.value, e))
            return false;
        (*messages)[(*n)++] = it.value;
    }
    return *n > 0 || err_set(e, ERR_BAD_REQUEST, "the batch is empty");
}

static bool messages_read(struct batch *b, struct err *e)
{
    b->answers = arena_alloc(b->rq->arena, LIMIT_BATCH * sizeof(*b->answers));
    return b->answers ? batch_messages(b->rq->arena, b->rq->body, &b->messages, &b->n_messages, e)
                      : err_set(e, ERR_UNAVAILABLE, "out of memory");
}

static bool batch_read(struct batch *b, batch_version_fn *version_of, struct err *e)
{
    struct str version = STR_NONE;
    struct str header = str_trim(http_request_header(b->rq, STR("MCP-Protocol-Version")));
    b->in.era = ERA_SESSION;
    if (!inbound_media_check(b->rq, &b->in, e))
        return false;
    if (era_of_version(header) == ERA_STATELESS) {
        b->in.era = ERA_STATELESS;
        return not_a_batch(e);
    }
    if (!version_of(b->rq, &version, e))
        return false;
    return era_has_batches(version) ? messages_read(b, e) : not_a_batch(e);
}

/* ---- answering ---- */

static bool event_write(struct batch *b, struct str message, struct err *e)
{
    struct buf event;
    buf_init(&event, (size_t)2 * LIMIT_ANSWER_HELD);
    sse_write_event(&event, STR("message"), STR_NONE, message);
    bool is_written = buf_ok(&event) ? http_stream_write(b->rq, buf_str(&event), e)
                                     : err_set(e, ERR_TOO_LARGE, "an answer is too large");
    buf_end(&event);
    return is_written;
}

/* From here on everything is an event, what has been gathered first. */
static bool stream_begin(struct batch *b, struct err *e)
{
    if (b->is_streaming)
        return true;
    http_set_header(b->rq, STR("Cache-Control"), STR("no-cache, no-transform"));
    http_set_header(b->rq, STR("X-Accel-Buffering"), STR("no"));
    if (!http_stream_begin(b->rq, 200, STR("text/event-stream"), -1, e))
        return false;
    b->is_streaming = true;
    http_stream_keepalive(b->rq, LIMIT_KEEPALIVE_MS, STR(": ping\n\n"));
    for (size_t i = 0; i < b->n_answers; i++)
        if (!event_write(b, b->answers[i], e))
            return false;
    return true;
}

static void answer_take(struct batch *b, struct str message)
{
    struct err ignored; /* a client that left needs no answer */
    if (b->is_streaming)
        (void)!event_write(b, message, &ignored);
    else if (b->n_answers < LIMIT_BATCH && !str_is_absent(message))
        b->answers[b->n_answers++] = message;
}

static bool is_events(struct str content_type)
{
    return str_starts(content_type, STR("text/event-stream"));
}

static void on_answer(struct http_inner *in, struct str content_type, struct str body)
{
    struct batch *b = in->arg;
    struct err ignored;
    if (is_events(content_type)) {
        if (stream_begin(b, &ignored))
            (void)!http_stream_write(b->rq, body, &ignored);
    } else if (body.n > 0) {
        answer_take(b, body);
    }
}

static bool on_begin(struct http_inner *in, struct str content_type, struct err *e)
{
    struct batch *b = in->arg;
    if (is_events(content_type))
        return stream_begin(b, e);
    b->holds = true;
    buf_init(&b->held, LIMIT_ANSWER_HELD);
    return true;
}

static bool on_bytes(struct http_inner *in, struct str bytes, bool may_wait, struct err *e)
{
    struct batch *b = in->arg;
    if (!b->holds)
        return may_wait ? http_stream_write(b->rq, bytes, e) : http_stream_push(b->rq, bytes);
    buf_add(&b->held, bytes);
    return buf_ok(&b->held) ||
           err_set(e, ERR_TOO_LARGE, "an answer is larger than %d bytes", (int)LIMIT_ANSWER_HELD);
}

static void on_end(struct http_inner *in, bool is_whole)
{
    struct batch *b = in->arg;
    struct buf out;
    struct rpc_message m = {0};
    struct err e;
    if (!b->holds)
        return;
    b->holds = false;
    if (is_whole) {
        answer_take(b, arena_dup(b->rq->arena, buf_str(&b->held)));
    } else {
        (void)!rpc_parse(b->rq->arena, in->rq.body, &m, &e);
        err_set(&e, ERR_UPSTREAM, "the server's answer was cut off, or is too large for a batch");
        buf_init(&out, LIMIT_BODY_SMALL);
        rpc_error_from(&out, m.id, true, &e);
        answer_take(b, arena_dup(b->rq->arena, buf_str(&out)));
        buf_end(&out);
    }
    buf_end(&b->held);
}

static void array_answer(struct batch *b)
{
    struct buf out;
    struct err e;
    buf_init(&out, LIMIT_REQUEST_ARENA / 2);
    buf_add_char(&out, '[');
    for (size_t i = 0; i < b->n_answers; i++) {
        if (i > 0)
            buf_add_char(&out, ',');
        buf_add(&out, b->answers[i]);
    }
    buf_add_char(&out, ']');
    struct str body = buf_ok(&out) ? arena_dup(b->rq->arena, buf_str(&out)) : STR_NONE;
    buf_end(&out);
    if (!str_is_absent(body)) {
        http_answer(b->rq, 200, STR("application/json"), body);
        return;
    }
    err_set(&e, ERR_TOO_LARGE, "the answers are larger than %d bytes in all",
            (int)(LIMIT_REQUEST_ARENA / 2));
    inbound_fail(b->rq, &b->in, 0, &e);
}

static void run(struct batch *b, void (*one)(struct http_request *rq))
{
    static const struct http_inner_ops ops = {on_answer, on_begin, on_bytes, on_end};
    for (size_t i = 0; i < b->n_messages && !fiber_is_cancelled(fiber_self()); i++) {
        struct http_inner *in = arena_alloc(b->rq->arena, sizeof(*in));
        if (!in)
            break;
        http_inner_init(in, b->rq, b->messages[i], &ops, b);
        one(&in->rq);
        http_inner_returned(in);
        if (in->is_detached) /* nothing outlives the batch, whose memory it is in */
            http_inner_close(in);
        if (!str_is_absent(in->rq.failure))
            b->rq->failure = in->rq.failure;
    }
    if (b->is_streaming)
        http_stream_end(b->rq);
    else if (b->n_answers > 0)
        array_answer(b);
    else
        inbound_accepted(b->rq);
}

void batch_post(struct http_request *rq, batch_version_fn *version_of,
                void (*one)(struct http_request *rq))
{
    struct err e;
    struct batch *b = arena_alloc(rq->arena, sizeof(*b));
    struct inbound none = {.era = ERA_SESSION};
    if (!b) {
        err_set(&e, ERR_UNAVAILABLE, "out of memory");
        inbound_fail(rq, &none, 0, &e);
        return;
    }
    b->rq = rq;
    if (batch_read(b, version_of, &e))
        run(b, one);
    else
        inbound_fail(rq, &b->in, 0, &e);
}
