/* Whole answers, and the head of every answer. */
#include <microhttpd.h>

#include "base/text.h"
#include "io/http_inner.h"
#include "io/http_server_parts.h"
#include "log/metrics.h"

/* The message's framing is the server's: what a downstream server said about its own does not hold
 * here. */
static bool is_framing(struct str name)
{
    return str_ieq(name, STR("content-length")) || str_ieq(name, STR("transfer-encoding")) ||
           str_ieq(name, STR("connection")) || str_ieq(name, STR("x-request-id"));
}

static bool breaks_line(struct str s)
{
    return str_find_char(s, '\r') != SIZE_MAX || str_find_char(s, '\n') != SIZE_MAX ||
           str_find_char(s, '\0') != SIZE_MAX;
}

void http_set_header(struct http_request *rq, struct str name, struct str value)
{
    if (name.n == 0 || breaks_line(name) || breaks_line(value))
        bug("a header that would break its line");
    if (rq->inner) {
        http_inner_set_header(rq->inner, name, value);
        return;
    }
    struct server_request *r = request_of(rq);
    if (is_framing(name) || value.n == 0) /* the library refuses empty values */
        return;
    struct answer_header *h = arena_alloc(rq->arena, sizeof *h);
    if (!h)
        return;
    h->name = arena_cstr(rq->arena, name);
    h->value = arena_cstr(rq->arena, value);
    if (!h->name || !h->value)
        return;
    *r->headers_end = h;
    r->headers_end = &h->next;
}

bool http_is_answered(const struct http_request *rq)
{
    if (rq->inner)
        return rq->inner->is_answered || rq->inner->is_stream;
    const struct server_request *r = request_of(rq);
    return r->is_answered || r->stream;
}

void http_answer(struct http_request *rq, int status, struct str content_type, struct str body)
{
    if (status < 200 || status > 599)
        bug("an answer's status");
    if (rq->inner) {
        http_inner_answer(rq->inner, status, content_type, body);
        return;
    }
    struct server_request *r = request_of(rq);
    if (http_is_answered(rq))
        bug("a request is answered twice");
    r->is_answered = true;
    r->content_type = content_type.n ? arena_cstr(rq->arena, content_type) : NULL;
    r->body_out = body;
    rq->answered_status = status;
    rq->answered_bytes = rq->method == HTTP_HEAD ? 0 : (int64_t)body.n;
    server_request_wake(r);
}

void http_outlive_client(struct http_request *rq)
{
    if (!rq->inner)
        request_of(rq)->outlives_client = true;
}

bool http_client_has_left(const struct http_request *rq)
{
    if (rq->inner)
        return rq->inner->is_over;
    const struct server_request *r = request_of(rq);
    return r->client_left || !r->conn;
}

static bool headers_add(struct server_request *r, struct MHD_Response *response)
{
    bool ok = MHD_add_response_header(response, "X-Request-Id", r->rq.request_id) == MHD_YES;
    if (r->content_type)
        ok &= MHD_add_response_header(response, "Content-Type", r->content_type) == MHD_YES;
    for (const struct answer_header *h = r->headers; h; h = h->next)
        ok &= MHD_add_response_header(response, h->name, h->value) == MHD_YES;
    if (r->must_close || r->server->is_draining)
        ok &= MHD_add_response_header(response, "Connection", "close") == MHD_YES;
    return ok;
}

bool server_answer_queue(struct server_request *r)
{
    struct MHD_Response *response;
    if (r->stream)
        response = server_stream_response(r);
    else /* the library takes a pointer to bytes that it may change, and does not */
        response = MHD_create_response_from_buffer(r->body_out.n, (void *)(uintptr_t)r->body_out.p,
                                                   MHD_RESPMEM_PERSISTENT);
    if (!response)
        return false;
    bool ok =
        headers_add(r, response) &&
        MHD_queue_response(r->conn->mhd, (unsigned)r->rq.answered_status, response) == MHD_YES;
    r->is_queued = ok;
    MHD_destroy_response(response);
    return ok;
}
