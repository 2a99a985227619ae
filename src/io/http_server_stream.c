/* Streamed answers: a queue that fibers and callbacks fill and libmicrohttpd's content reader
 * empties. */
#include <microhttpd.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/limits.h"
#include "io/http_inner.h"
#include "io/http_server_parts.h"
#include "log/metrics.h"

enum {
    /* libmicrohttpd keeps a buffer of this size for answers that it does not send in chunks; chunks
       are built in the connection's own memory. */
    BLOCK_BYTES = 8 * 1024,
    BLOCK_BYTES_SIZED = 32 * 1024, /* of what will be sent whole */
    BLOCK_NOT_USED = 1,
    /* An event that is larger than the whole queue may still be pushed onto an empty one. */
    QUEUE_MAX = LIMIT_STREAM_QUEUE + LIMIT_SSE_EVENT,
};

static size_t unsent(const struct server_stream *st)
{
    return st->queue.n - st->sent;
}

static bool is_open(const struct server_request *r)
{
    return r->conn && !r->client_left && !r->stream->is_ended && !r->stream->is_cut;
}

/* ---- to the connection ---- */

static void queue_take(struct server_stream *st, char *to, size_t n)
{
    memcpy(to, st->queue.p + st->sent, n);
    st->sent += n;
    if (st->sent == st->queue.n) {
        buf_end(&st->queue); /* idle streams hold no buffer */
        st->sent = 0;
    } else if (st->sent > st->queue.n / 2) {
        buf_consume(&st->queue, st->sent);
        st->sent = 0;
    }
}

static ssize_t on_read(void *cls, uint64_t pos, char *to, size_t max)
{
    struct server_request *r = cls;
    struct server_stream *st = r->stream;
    (void)pos;
    r->conn->daemon->n_called++;
    if (st->is_cut || r->client_left || r->server->is_stopping)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    size_t n = unsent(st) < max ? unsent(st) : max;
    if (n > 0) {
        queue_take(st, to, n);
        r->rq.answered_bytes += (int64_t)n;
        if (unsent(st) <= LIMIT_STREAM_QUEUE / 2)
            fiber_wake(&st->room);
        return (ssize_t)n;
    }
    if (st->is_ended)
        return MHD_CONTENT_READER_END_OF_STREAM;
    server_request_suspend(r);
    return 0;
}

struct MHD_Response *server_stream_response(struct server_request *r)
{
    struct server_stream *st = r->stream;
    if (st->length >= 0)
        return MHD_create_response_from_callback((uint64_t)st->length, BLOCK_BYTES_SIZED, on_read,
                                                 r, NULL);
    size_t block = r->is_http_1_0 ? BLOCK_BYTES : BLOCK_NOT_USED;
    return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, block, on_read, r, NULL);
}

/* ---- life ---- */

static void on_keepalive(struct loop_timer *t)
{
    struct server_stream *st = CONTAINER_OF(t, struct server_stream, keepalive);
    struct server_request *r = st->request;
    int64_t due_ms = st->last_ms + st->silent_ms;
    int64_t now_ms = loop_now_ms(r->server->loop);
    if (!is_open(r))
        return;
    if (now_ms >= due_ms) {
        /* What is still queued will break the silence as well. */
        if (unsent(st) == 0 && !http_stream_push(&r->rq, st->comment))
            return;
        due_ms = now_ms + st->silent_ms;
    }
    loop_timer_set(r->server->loop, t, due_ms);
}

bool http_stream_begin(struct http_request *rq, int status, struct str content_type, int64_t length,
                       struct err *e)
{
    if (rq->inner)
        return http_inner_begin(rq->inner, status, content_type, e);
    struct server_request *r = request_of(rq);
    if (http_is_answered(rq))
        bug("a request is answered twice");
    if (status < 200 || status > 599)
        bug("an answer's status");
    if (!r->conn || r->client_left)
        return err_set(e, ERR_CANCELLED, "the client left");
    struct server_stream *st = arena_alloc(rq->arena, sizeof *st);
    if (!st)
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    st->request = r;
    st->length = length;
    st->last_ms = loop_now_ms(r->server->loop);
    st->keepalive.on_fire = on_keepalive;
    buf_init(&st->queue, QUEUE_MAX);
    r->stream = st;
    r->content_type = arena_cstr(rq->arena, content_type);
    rq->answered_status = status;
    metric_add(M_HTTP_STREAMS, 1);
    server_request_wake(r);
    return true;
}

static struct server_stream *stream_of(const struct http_request *rq)
{
    struct server_stream *st = request_of(rq)->stream;
    if (!st)
        bug("a stream that was not begun");
    return st;
}

bool http_stream_push(struct http_request *rq, struct str bytes)
{
    struct err ignored;
    if (rq->inner)
        return http_inner_bytes(rq->inner, bytes, false, &ignored);
    struct server_request *r = request_of(rq);
    struct server_stream *st = stream_of(rq);
    if (!is_open(r))
        return false;
    if (rq->method == HTTP_HEAD || bytes.n == 0)
        return true;
    if (unsent(st) > 0 && unsent(st) + bytes.n > LIMIT_STREAM_QUEUE)
        return false;
    buf_add(&st->queue, bytes);
    if (!buf_ok(&st->queue)) {
        st->queue.failed = false;
        return false;
    }
    st->last_ms = loop_now_ms(r->server->loop);
    server_request_wake(r);
    return true;
}

/* Until the queue has room, or for LIMIT_CLIENT_READ_MS in which the client took nothing. */
static bool wait_for_room(struct server_request *r, struct err *e)
{
    struct server_stream *st = r->stream;
    for (;;) {
        int64_t before = r->rq.answered_bytes;
        fiber_rearm(&st->room);
        if (fiber_wait(&st->room, clock_mono_ms() + LIMIT_CLIENT_READ_MS, e))
            return true;
        bool has_moved = r->rq.answered_bytes != before;
        if (fiber_is_cancelled(fiber_self()) || !has_moved)
            return false;
    }
}

bool http_stream_write(struct http_request *rq, struct str bytes, struct err *e)
{
    if (rq->inner)
        return http_inner_bytes(rq->inner, bytes, true, e);
    struct server_request *r = request_of(rq);
    struct server_stream *st = stream_of(rq);
    while (is_open(r)) {
        if (rq->method == HTTP_HEAD || bytes.n == 0)
            return true;
        size_t room = LIMIT_STREAM_QUEUE > unsent(st) ? LIMIT_STREAM_QUEUE - unsent(st) : 0;
        struct str piece = str_slice(bytes, 0, room);
        if (piece.n > 0 && !http_stream_push(rq, piece))
            return err_set(e, ERR_UNAVAILABLE, "out of memory");
        bytes = str_slice(bytes, piece.n, bytes.n);
        if (bytes.n > 0 && !wait_for_room(r, e))
            return false;
    }
    return err_set(e, ERR_CANCELLED, "the client left");
}

void http_stream_keepalive(struct http_request *rq, int64_t silent_ms, struct str comment)
{
    if (rq->inner) /* the stream that carries it has its own */
        return;
    struct server_request *r = request_of(rq);
    struct server_stream *st = stream_of(rq);
    loop_timer_stop(rq->loop, &st->keepalive);
    if (silent_ms <= 0 || !is_open(r))
        return;
    st->silent_ms = silent_ms;
    st->comment = arena_dup(rq->arena, comment);
    loop_timer_set(rq->loop, &st->keepalive, st->last_ms + silent_ms);
}

void http_stream_end(struct http_request *rq)
{
    if (rq->inner) {
        http_inner_end(rq->inner, true);
        return;
    }
    struct server_stream *st = stream_of(rq);
    st->is_ended = true;
    loop_timer_stop(rq->loop, &st->keepalive);
    server_request_wake(request_of(rq));
}

/* An answer that ends with its connection would look complete: AF_UNSPEC has the kernel send a
 * reset instead of an end. Others first get their head, so that no client takes the end for a
 * connection that was closed before its request arrived, and sends that again. */
static void connection_cut(const struct server_request *r)
{
    const struct sockaddr nobody = {.sa_family = AF_UNSPEC};
    if (r->is_http_1_0)
        (void)connect(r->conn->watch.fd, &nobody, sizeof nobody);
    else if (r->is_queued && !r->is_suspended)
        server_conn_cut(r->conn);
}

void http_stream_cut(struct http_request *rq)
{
    if (rq->inner) {
        http_inner_end(rq->inner, false);
        return;
    }
    struct server_request *r = request_of(rq);
    struct server_stream *st = stream_of(rq);
    if (st->is_cut)
        return;
    st->is_cut = true;
    st->sent = 0;
    buf_end(&st->queue);
    loop_timer_stop(rq->loop, &st->keepalive);
    if (!r->conn)
        return;
    connection_cut(r);
    server_request_wake(r);
}

void http_stream_detach(struct http_request *rq, void (*on_close)(void *arg), void *arg)
{
    if (rq->inner) {
        http_inner_detach(rq->inner, on_close, arg);
        return;
    }
    struct server_stream *st = stream_of(rq);
    st->is_detached = true;
    st->on_close = on_close;
    st->on_close_arg = arg;
}

void server_stream_fiber_ended(struct server_request *r)
{
    if (!r->stream->is_detached && !r->stream->is_ended)
        http_stream_cut(&r->rq);
}

void server_stream_client_left(struct server_request *r)
{
    fiber_wake(&r->stream->room);
    if (r->is_suspended)
        server_request_wake(r);
    else if (r->conn)
        server_conn_cut(r->conn);
}

void server_stream_free(struct server_request *r)
{
    struct server_stream *st = r->stream;
    if (!st)
        return;
    loop_timer_stop(r->server->loop, &st->keepalive);
    metric_add(M_HTTP_STREAMS, -1);
    if (st->on_close)
        st->on_close(st->on_close_arg);
    buf_end(&st->queue);
}
