/* Requests without a connection of their own. */
#include "io/http_inner.h"

void http_inner_init(struct http_inner *in, const struct http_request *outer, struct str body,
                     const struct http_inner_ops *ops, void *arg)
{
    *in = (struct http_inner){.rq = *outer, .ops = ops, .arg = arg};
    in->rq.body = body;
    in->rq.inner = in;
    in->rq.failure = STR_NONE;
    in->rq.answered_status = 0;
    in->rq.answered_bytes = 0;
}

void http_inner_set_header(struct http_inner *in, struct str name, struct str value)
{
    if (in->n_headers == HTTP_INNER_HEADERS || value.n == 0)
        return;
    struct http_header *h = &in->headers[in->n_headers];
    *h = (struct http_header){arena_dup(in->rq.arena, name), arena_dup(in->rq.arena, value)};
    if (!str_is_absent(h->name) && !str_is_absent(h->value))
        in->n_headers++;
}

void http_inner_answer(struct http_inner *in, int status, struct str content_type, struct str body)
{
    if (in->is_answered || in->is_stream)
        bug("a request is answered twice");
    in->is_answered = true;
    in->rq.answered_status = status;
    in->rq.answered_bytes = (int64_t)body.n;
    in->ops->on_answer(in, content_type, body);
}

bool http_inner_begin(struct http_inner *in, int status, struct str content_type, struct err *e)
{
    if (in->is_answered || in->is_stream)
        bug("a request is answered twice");
    if (!in->ops->on_begin(in, content_type, e))
        return false;
    in->is_stream = true;
    in->rq.answered_status = status;
    return true;
}

bool http_inner_bytes(struct http_inner *in, struct str bytes, bool may_wait, struct err *e)
{
    if (!in->is_stream)
        bug("a stream that was not begun");
    if (in->is_over)
        return err_set(e, ERR_CANCELLED, "the client left");
    if (bytes.n == 0)
        return true;
    if (!in->ops->on_bytes(in, bytes, may_wait, e))
        return false;
    in->rq.answered_bytes += (int64_t)bytes.n;
    return true;
}

void http_inner_end(struct http_inner *in, bool is_whole)
{
    if (in->is_over)
        return;
    in->is_over = true;
    in->ops->on_end(in, is_whole);
}

void http_inner_detach(struct http_inner *in, void (*on_close)(void *arg), void *arg)
{
    in->is_detached = true;
    in->on_close = on_close;
    in->on_close_arg = arg;
}

void http_inner_returned(struct http_inner *in)
{
    if (in->is_stream && !in->is_detached)
        http_inner_end(in, false);
}

void http_inner_close(struct http_inner *in)
{
    void (*on_close)(void *) = in->on_close;
    in->is_over = true;
    in->on_close = NULL;
    if (on_close)
        on_close(in->on_close_arg);
}
