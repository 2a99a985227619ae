/* The head of a request as it is sent without curl. */
#include "io/http_client_wire.h"

static void host_write(struct buf *out, const struct http_exchange *x)
{
    bool is_ipv6 = str_find_char(x->host, ':') != SIZE_MAX;
    buf_add(out, STR("\r\nHost: "));
    buf_add(out, is_ipv6 ? STR("[") : STR(""));
    buf_add(out, x->host);
    buf_add(out, is_ipv6 ? STR("]") : STR(""));
    if (x->port != 80) {
        buf_add_char(out, ':');
        buf_add_i64(out, x->port);
    }
}

/* A line of the head, behind the one before. */
static void field_write(struct buf *out, const struct http_header *h)
{
    struct str colon = h->value.n > 0 ? STR(": ") : STR(":");
    char *at = buf_reserve(out, 2 + h->name.n + colon.n + h->value.n);
    if (!at)
        return;
    at = mempcpy(at, "\r\n", 2);
    at = mempcpy(at, h->name.p, h->name.n);
    at = mempcpy(at, colon.p, colon.n);
    if (h->value.n > 0)
        at = mempcpy(at, h->value.p, h->value.n);
    out->n = (size_t)(at - out->p);
}

bool wire_prepare(struct http_exchange *x, const struct http_call *call, struct err *e)
{
    struct buf *out = &x->request;
    bool has_agent = false;
    buf_reset(out);
    buf_add(out, call->method);
    buf_add_char(out, ' ');
    buf_add(out, x->path.n ? x->path : STR("/"));
    if (!str_is_absent(x->query)) {
        buf_add_char(out, '?');
        buf_add(out, x->query);
    }
    buf_add(out, STR(" HTTP/1.1"));
    host_write(out, x);
    for (size_t i = 0; i < call->n_headers; i++) {
        const struct http_header *h = &call->headers[i];
        if (exchange_is_framing(h->name))
            continue;
        has_agent |= str_ieq(h->name, STR("User-Agent"));
        field_write(out, h);
    }
    if (!has_agent)
        buf_add(out, STR("\r\nUser-Agent: tulle/" TULLE_VERSION));
    x->body = call->body;
    if (call->body.n > 0 || str_eq(call->method, STR("POST"))) {
        buf_add(out, STR("\r\nContent-Length: "));
        buf_add_i64(out, (int64_t)call->body.n);
    }
    buf_add(out, STR("\r\n\r\n"));
    x->is_head_request = str_eq(call->method, STR("HEAD"));
    return buf_ok(out) || err_set(e, ERR_INVALID, "the headers to send are too large");
}
