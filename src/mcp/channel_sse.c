/* Channels over HTTP+SSE, the transport of MCP 2024-11-05: a stream that says where to post. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/uri.h"
#include "io/fiber.h"
#include "io/sse.h"
#include "mcp/channel_parts.h"
#include "mcp/upstream_reply.h"

enum {
    POST_ARENA = 3 * LIMIT_STDIO_LINE,
    OWN_AT_ONCE = 16, /* a server that asks and asks, and takes no answer, gets no more of us */
};

struct sse {
    struct channel *c;
    struct exchange *stream; /* NULL once it has ended */
    struct sse_parser parser;
    struct arena *keep;
    struct str base, endpoint; /* the registered address, and where to post */
    struct http_call post;     /* how: its headers, kept for what the channel says of itself */
    bool is_foreign, is_stopping;
};

/* ---- posting ---- */

/* One message on its way, in a fiber of its own: a server may answer the POST only when it has done
 * the work, and may ask something meanwhile. */
struct posting {
    struct services *sv;
    struct arena *arena;
    struct channel *c;
    struct http_call call;
    uint64_t wire_id; /* of the request, to tell its exchange; 0: none */
};

static void header_copy(struct arena *a, const struct http_call *from, struct http_call *to)
{
    struct http_header *headers = arena_alloc(a, from->n_headers * sizeof(*headers));
    for (size_t i = 0; headers && i < from->n_headers; i++)
        headers[i] = (struct http_header){arena_dup(a, from->headers[i].name),
                                          arena_dup(a, from->headers[i].value)};
    *to = *from;
    to->url = arena_dup(a, from->url);
    to->headers = headers;
    to->n_headers = headers ? from->n_headers : 0;
}

static void headers_wipe(const struct http_call *call)
{
    for (size_t i = 0; i < call->n_headers; i++)
        secret_wipe((void *)(uintptr_t)call->headers[i].value.p, call->headers[i].value.n);
}

static bool post_and_check(struct services *sv, const struct http_call *call, bool is_in_place,
                           struct err *e)
{
    struct http_answer_head head;
    auto_free(http_closep) struct http_exchange *x = http_open(sv->http, call, &head, e);
    if (!x)
        return false;
    if (head.status >= 200 && head.status < 300)
        return true;
    return upstream_status_check(&head, is_in_place, e) ||
           err_set(e, ERR_UPSTREAM, "the server answered HTTP %d", head.status);
}

static void posting_run(void *arg)
{
    struct posting *p = arg;
    struct channel *c = p->c;
    struct err e;
    /* A POST that is not answered in time may still have been taken: the stream will tell. */
    if (!post_and_check(p->sv, &p->call, false, &e) && e.code != ERR_TIMEOUT && p->wire_id) {
        pthread_mutex_lock(&c->lock);
        LIST_FOR_SAFE(pos, next, &c->waiting)
        {
            struct channel_exchange *x = CONTAINER_OF(pos, struct channel_exchange, link);
            if (x->wire_id == p->wire_id)
                channel_exchange_fail(x, &e);
        }
        pthread_mutex_unlock(&c->lock);
    }
    headers_wipe(&p->call);
    if (!p->wire_id)
        atomic_fetch_sub(&c->n_own, 1);
    channel_unref(c);
    arena_end(p->arena);
}

static bool post_aside(struct services *sv, struct channel *c, const struct http_call *call,
                       uint64_t wire_id, struct err *e)
{
    struct arena *a = arena_new(POST_ARENA);
    struct posting *p = a ? arena_alloc(a, sizeof(*p)) : NULL;
    if (p) {
        *p = (struct posting){.sv = sv, .arena = a, .c = c, .wire_id = wire_id};
        header_copy(a, call, &p->call);
        p->call.body = arena_dup(a, call->body);
    }
    if (!p || !p->call.headers || str_is_absent(p->call.body)) {
        arena_end(a);
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    }
    p->call.first_byte_ms = p->call.total_ms = (int64_t)2 * LIMIT_PROBE_MS;
    atomic_fetch_add(&c->refs, 1);
    if (!wire_id)
        atomic_fetch_add(&c->n_own, 1);
    if (fiber_start(sv->loop, posting_run, p, NULL, e))
        return true;
    if (!wire_id)
        atomic_fetch_sub(&c->n_own, 1);
    channel_unref(c);
    arena_end(a);
    return false;
}

static bool sse_send(struct services *sv, struct arena *a, struct channel *c,
                     const struct upstream_message *m, struct str body, struct channel_exchange *x,
                     struct err *e)
{
    struct upstream_message post = *m;
    struct http_call call;
    pthread_mutex_lock(&c->lock);
    bool is_alive = c->state != CHANNEL_ENDED;
    const struct sse *s = c->carried;
    struct str endpoint = is_alive ? arena_dup(a, s->endpoint) : STR_NONE;
    pthread_mutex_unlock(&c->lock);
    if (str_is_absent(endpoint))
        return err_set(e, ERR_UPSTREAM, "the server closed its event stream");
    post.http_method = STR("POST");
    post.body = body;
    post.session_id = STR_NONE;
    if (!upstream_call_build(a, &post, endpoint, &call, e))
        return false;
    return x ? post_aside(sv, c, &call, x->wire_id, e) : post_and_check(sv, &call, true, e);
}

/* What the channel has to say of itself: answers to pings, refusals. One message a line. */
static void sse_turn(struct channel *c)
{
    struct sse *s = c->carried;
    struct buf out;
    struct err ignored; /* the server waits for its own time-out then */
    pthread_mutex_lock(&c->lock);
    out = c->out;
    buf_init(&c->out, (size_t)2 * LIMIT_STDIO_QUEUE);
    c->is_paused = false;
    pthread_mutex_unlock(&c->lock);
    struct str rest = buf_str(&out), line;
    while (str_next(&rest, '\n', &line)) {
        struct http_call call = s->post;
        call.url = s->endpoint;
        call.body = line;
        if (line.n > 0 && atomic_load(&c->n_own) < OWN_AT_ONCE)
            (void)!post_aside(c->sv, c, &call, 0, &ignored);
    }
    buf_end(&out);
}

/* ---- the stream ---- */

/* The endpoint must be of the server's own origin: the credential goes there. */
static void endpoint_take(struct sse *s, struct str ref)
{
    struct uri from, to;
    struct str url = uri_resolve(s->keep, s->base, str_trim(ref));
    if (str_is_absent(url) || url.n > LIMIT_URL || !uri_parse(s->base, &from) ||
        !uri_parse(url, &to) || !str_eq(uri_origin(s->keep, &from), uri_origin(s->keep, &to))) {
        s->is_foreign = true;
        return;
    }
    s->endpoint = url;
}

static bool on_event(void *arg, const struct sse_event *event, struct err *e unused_arg)
{
    struct sse *s = arg;
    if (str_eq(event->event, STR("endpoint"))) {
        if (str_is_absent(s->endpoint))
            endpoint_take(s, event->data);
        return true;
    }
    if (event->data.n > 0 && (event->event.n == 0 || str_eq(event->event, STR("message"))))
        channel_incoming(s->c, event->data);
    return true;
}

static bool on_data(void *arg, struct str bytes)
{
    struct sse *s = arg;
    struct err e;
    return sse_parser_feed(&s->parser, bytes, &e);
}

static void sse_free(struct sse *s)
{
    exchange_close(s->stream);
    sse_parser_end(&s->parser);
    headers_wipe(&s->post);
    arena_end(s->keep);
    free(s);
}

static void sse_over(struct channel *c, const struct err *why)
{
    struct sse *s = c->carried;
    pthread_mutex_lock(&c->lock);
    c->carried = NULL;
    c->state = CHANNEL_ENDED; /* nobody looks at the carrier any more */
    pthread_mutex_unlock(&c->lock);
    sse_free(s);
    channel_ended(c, why);
}

static void on_end(void *arg, const struct err *e)
{
    struct sse *s = arg;
    struct err why;
    s->stream = NULL;
    if (e)
        why = *e;
    else
        err_set(&why, ERR_UPSTREAM, "the server closed its event stream");
    sse_over(s->c, &why);
}

static void sse_stop(struct channel *c)
{
    struct err why;
    err_set(&why, ERR_UPSTREAM, "the event stream was ended");
    sse_over(c, &why);
}

static void sse_abandon(struct channel *c)
{
    struct sse *s = c->carried;
    c->carried = NULL;
    sse_free(s);
}

/* ---- its beginning ---- */

static bool endpoint_wait(struct sse *s, struct err *e)
{
    int64_t deadline = clock_mono_ms() + LIMIT_SSE_ENDPOINT_MS;
    while (str_is_absent(s->endpoint) && !s->is_foreign) {
        struct str chunk;
        if (!exchange_read(s->stream, &chunk, deadline, e))
            return false;
        if (chunk.n == 0)
            return err_set(e, ERR_UPSTREAM,
                           "the server's event stream ended before it said where to post");
        if (!sse_parser_feed(&s->parser, chunk, e))
            return false;
    }
    return !s->is_foreign ||
           err_set(e, ERR_UPSTREAM,
                   "the server's endpoint is at another origin: the credential would go there");
}

static bool stream_begin(struct services *sv, struct arena *a, struct sse *s,
                         const struct upstream_message *m, struct err *e)
{
    struct upstream_message get = *m;
    struct http_answer_head head;
    struct http_call call;
    get.http_method = STR("GET");
    get.body = STR_NONE;
    get.idle_ms = get.total_ms = -1;
    if (!upstream_call_build(a, &get, s->base, &call, e))
        return false;
    s->stream = exchange_of_http(http_open(sv->http, &call, &head, e), e);
    if (!s->stream)
        return false;
    if (!upstream_status_check(&head, false, e))
        return false;
    if (upstream_body_kind(&head) != UPSTREAM_EVENTS)
        return err_set(e, ERR_UPSTREAM, "the server answered GET with no event stream");
    if (!endpoint_wait(s, e))
        return false;
    get.http_method = STR("POST");
    get.body = STR("{}"); /* stands for any message: only the headers are kept */
    if (!upstream_call_build(a, &get, s->endpoint, &call, e))
        return false;
    header_copy(s->keep, &call, &s->post);
    return s->post.headers || err_set(e, ERR_UNAVAILABLE, "out of memory");
}

static bool sse_start(struct services *sv, struct arena *a, struct channel *c,
                      const struct upstream_message *m, struct err *e)
{
    struct sse *s = calloc(1, sizeof(*s));
    if (!s)
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    s->c = c;
    s->keep = arena_new((size_t)256 * 1024);
    sse_parser_init(&s->parser, on_event, s);
    s->base = s->keep ? arena_dup(s->keep, m->entry->conn.url) : STR_NONE;
    bool is_good = !str_is_absent(s->base) || err_set(e, ERR_UNAVAILABLE, "out of memory");
    if (!is_good || !stream_begin(sv, a, s, m, e)) {
        sse_free(s);
        return false;
    }
    c->carried = s;
    exchange_detach(s->stream, on_data, on_end, s);
    return true;
}

const struct channel_carrier channel_sse = {"sse",    sse_start, sse_send,
                                            sse_turn, sse_stop,  sse_abandon};
