/*
 * A stream that may stay silent for hours: two detached ends and a parser between them, no fiber.
 * Its memory is the request's arena, which ends with the client's connection.
 */
#include "base/limits.h"
#include "io/sse.h"
#include "mcp/proxied.h"

struct relay {
    struct proxied p;               /* a copy: the fiber that made it is gone */
    struct http_exchange *exchange; /* NULL once it has ended */
    struct sse_parser parser;
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
        sse_write_event(&out, STR("message"), STR_NONE, text);
        is_good = buf_ok(&out) && http_stream_push(r->p.rq, buf_str(&out));
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
    http_close(r->exchange);
    r->exchange = NULL;
    sse_parser_end(&r->parser);
}

bool proxied_relay(struct proxied *p, struct http_exchange *x, struct err *e)
{
    struct relay *r = arena_alloc(p->a, sizeof(*r));
    if (!r) {
        http_close(x);
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    }
    http_set_header(p->rq, STR("Cache-Control"), STR("no-cache, no-transform"));
    http_set_header(p->rq, STR("X-Accel-Buffering"), STR("no"));
    if (!http_stream_begin(p->rq, 200, STR("text/event-stream"), -1, e)) {
        http_close(x);
        return false;
    }
    r->p = *p;
    r->p.cred = (struct credential){0}; /* it has been sent; the fiber wipes its own */
    /* The request's body ends with its fiber, and these point into it. Nothing here needs them:
     * progress never travels on a stream of this kind. */
    r->p.in.msg = (struct rpc_message){0};
    r->p.hop_id = r->p.hop_token = STR_NONE;
    r->exchange = x;
    sse_parser_init(&r->parser, on_event, r);
    http_stream_keepalive(p->rq, LIMIT_KEEPALIVE_MS, STR(": ping\n\n"));
    http_stream_detach(p->rq, on_close, r);
    http_exchange_detach(x, on_data, on_end, r);
    return true;
}
