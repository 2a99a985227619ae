/* One request, from its first line to the end of its answer. */
#include <microhttpd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "io/http_server_parts.h"
#include "log/metrics.h"

enum {
    BODY_RESERVED = 64 * 1024, /* bytes reserved on the word of a Content-Length alone */
    ASKED_MAX = 32,            /* times for the answer of one request, and then it is suspended */
    ASKING_MAX = 64,           /* requests of a daemon that are asked for at a time */
};

struct server_request *server_request_new(struct server_conn *c, const char *raw_target)
{
    struct arena *a = arena_new(LIMIT_REQUEST_ARENA);
    struct server_request *r = a ? arena_alloc(a, sizeof *r) : NULL;
    if (!r) {
        arena_end(a);
        return NULL;
    }
    r->server = c->daemon->server;
    r->conn = c;
    r->refs = 1;
    r->rq.arena = a;
    r->rq.loop = r->server->loop;
    r->rq.context = r->server->config.context;
    r->raw_at = raw_target;
    r->target = arena_dup(a, str_c(raw_target));
    r->headers_end = &r->headers;
    buf_init(&r->body, 0);
    list_init(&r->all);
    c->request = r;
    server_conn_wait(c, c->has_left ? CONN_LEAVES : CONN_READS);
    return r;
}

/* ---- the end ---- */

static void request_count(const struct server_request *r)
{
    const struct http_request *rq = &r->rq;
    if (r->client_left)
        metric_add(M_HTTP_VANISHED, 1);
    if (!rq->answered_status)
        return;
    metric_add(M_HTTP_REQUESTS, 1);
    if (rq->answered_status >= 500)
        metric_add(M_HTTP_ERRORS, 1);
    metric_observe_us(M_HTTP_SECONDS, clock_mono_us() - rq->started_us);
}

static void request_free(struct server_request *r)
{
    struct http_server *s = r->server;
    bool was_active = r->has_head;
    server_stream_free(r);
    if (r->was_shown) {
        request_count(r);
        s->config.on_done(&r->rq, r->client_left);
    }
    list_remove(&r->all);
    buf_end(&r->body);
    arena_end(r->rq.arena); /* and r with it */
    if (was_active) {
        s->active--;
        server_unref(s);
    }
}

static void request_unref(struct server_request *r)
{
    if (--r->refs == 0)
        request_free(r);
}

/* ---- the connection's side ---- */

/*
 * libmicrohttpd asks in each of its turns for an answer that is not there yet. To take the
 * connection out of its hands and to give it back costs more than to be asked a few times, and each
 * giving back has it walk through all that are out. So that happens only when the answer does not
 * come soon. Over TLS it would not be told by which turn all was sent.
 */
static bool ask_again(struct server_request *r)
{
    struct server_daemon *d = r->conn->daemon;
    bool may_ask = r->n_asked < ASKED_MAX && d->n_asking < ASKING_MAX && !d->is_silent &&
                   !r->server->config.tls_cert_pem;
    if (!may_ask)
        return false;
    r->is_asking = true;
    r->n_asked++;
    d->n_asking++;
    return true;
}

static void asked(struct server_request *r)
{
    r->conn->daemon->n_asking -= r->is_asking;
    r->is_asking = false;
}

void server_request_suspend(struct server_request *r)
{
    MHD_suspend_connection(r->conn->mhd);
    r->is_suspended = true;
    server_conn_watch(r->conn);
}

void server_request_wake(struct server_request *r)
{
    if (!r->conn || !(r->is_suspended || r->is_asking))
        return;
    if (r->is_suspended)
        MHD_resume_connection(r->conn->mhd);
    r->is_suspended = false;
    r->conn->daemon->must_run = true;
    loop_hooks_again(r->server->loop);
}

void server_request_client_left(struct server_request *r)
{
    /* While the request is being read, libmicrohttpd sees it; a whole answer may still reach a
     * half-closed client. */
    if (!r->is_started || r->is_answered || (r->stream && r->stream->is_cut))
        return;
    r->client_left = true;
    if (r->fiber && !r->outlives_client)
        fiber_cancel(r->fiber);
    if (r->stream)
        server_stream_client_left(r);
}

void server_request_completed(struct server_request *r, bool has_failed)
{
    struct server_conn *c = r->conn;
    bool was_cut = r->stream && r->stream->is_cut;
    asked(r);
    r->conn = NULL;
    r->is_suspended = false;
    c->request = NULL;
    server_conn_wait(c, c->has_left ? CONN_LEAVES : CONN_IDLES);
    if (r->server->is_draining)
        server_conn_read_no_more(c);
    if (has_failed && !was_cut) {
        r->client_left = true;
        if (r->fiber && !r->is_answered && !r->outlives_client)
            fiber_cancel(r->fiber);
    }
    if (r->stream)
        fiber_wake(&r->stream->room);
    request_unref(r);
}

/* ---- the head ---- */

static void request_refuse(struct server_request *r, const struct err *e)
{
    r->was_shown = true;
    r->must_close = true;
    r->server->config.refuse(&r->rq, e);
    if (!r->is_answered)
        bug("refuse() did not answer");
}

static void refuse_size(struct server_request *r)
{
    struct err e;
    err_set(&e, ERR_TOO_LARGE, "the body is larger than %zu bytes", r->body_max);
    request_refuse(r, &e);
}

/* The first call: an answer given here makes libmicrohttpd close the connection without reading the
 * body. */
static bool request_begin(struct server_request *r, const char *method, const char *version)
{
    struct http_server *s = r->server;
    struct err e;
    r->has_head = true;
    s->refs++;
    s->active++;
    list_push(&s->requests, &r->all);
    if (!server_head_read(r, r->conn->mhd, method, version, &e)) {
        request_refuse(r, &e);
        return server_answer_queue(r);
    }
    r->was_shown = true;
    r->body_max = s->config.on_head(&r->rq);
    buf_init(&r->body, r->body_max);
    r->is_over = r->content_length > 0 && (uint64_t)r->content_length > r->body_max;
    if (r->is_over && (r->expects_continue || r->content_length > LIMIT_BODY_DRAIN)) {
        refuse_size(r);
        return server_answer_queue(r);
    }
    if (!r->is_over && r->content_length > 0 && r->content_length <= BODY_RESERVED)
        return buf_reserve(&r->body, (size_t)r->content_length) != NULL;
    return true;
}

/* ---- the body ---- */

/* Over the cap the client is heard out for a while: an answer cannot be given in the middle of an
 * upload. */
static bool request_drop(struct server_request *r, size_t n)
{
    r->is_over = true;
    r->dropped += n;
    return r->dropped <= LIMIT_BODY_DRAIN;
}

static bool request_take_body(struct server_request *r, struct str bytes)
{
    if (r->is_over)
        return request_drop(r, bytes.n);
    if (bytes.n > r->body_max - r->body.n) {
        buf_end(&r->body);
        return request_drop(r, bytes.n);
    }
    buf_add(&r->body, bytes);
    return buf_ok(&r->body);
}

/* ---- the handler ---- */

static void request_fiber(void *arg)
{
    struct server_request *r = arg;
    r->server->config.handle(&r->rq);
    r->fiber = NULL;
    if (r->stream) {
        server_stream_fiber_ended(r);
        buf_end(&r->body);
        r->rq.body = STR_NONE;
    } else if (!r->is_answered && !r->client_left) {
        struct err e;
        err_set(&e, ERR_INTERNAL, "the request was not answered");
        request_refuse(r, &e);
    }
    server_request_wake(r);
    request_unref(r);
}

static void request_start(struct server_request *r)
{
    struct err e;
    r->is_started = true;
    server_conn_wait(r->conn, CONN_WAITS);
    if (r->is_over) {
        refuse_size(r);
        return;
    }
    r->rq.body = buf_str(&r->body);
    r->refs++;
    if (!fiber_start(r->server->loop, request_fiber, r, &r->fiber, &e)) {
        r->refs--;
        request_refuse(r, &e);
    }
}

/* The request is complete; called again until it is answered. */
static bool request_continue(struct server_request *r)
{
    bool is_first = !r->is_started;
    asked(r);
    if (is_first)
        request_start(r);
    if (r->is_answered || r->stream)
        return server_answer_queue(r);
    if (!r->fiber)
        return false;
    if (!ask_again(r))
        server_request_suspend(r);
    else if (!is_first)
        r->conn->daemon->n_in_vain++;
    if (r->conn->has_left)
        server_request_client_left(r);
    return true;
}

bool server_request_turn(struct server_request *r, const char *method, const char *version,
                         const char *upload, size_t *upload_bytes)
{
    if (r->server->is_stopping)
        return false;
    if (!r->has_head)
        return request_begin(r, method, version);
    if (*upload_bytes == 0)
        return request_continue(r);
    size_t n = *upload_bytes;
    *upload_bytes = 0;
    return request_take_body(r, (struct str){upload, n});
}
