/* Exchanges: taken from the pool, set up for a call, given back. What a call shares with the one
 * before is not judged or set again. */
#include "io/http_client_wire.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/secret.h"
#include "base/text.h"
#include "log/metrics.h"

/* ---- life ---- */

static struct http_exchange *exchange_new(struct http_client *c)
{
    struct http_exchange *x = calloc(1, sizeof *x);
    if (!x)
        return NULL;
    x->client = c;
    list_init(&x->link);
    buf_init(&x->url, LIMIT_URL + 1);
    buf_init(&x->request, LIMIT_ANSWER_HEADERS);
    buf_init(&x->head, LIMIT_ANSWER_HEADERS);
    buf_init(&x->in, 0);
    buf_init(&x->out, 0);
    return x;
}

void exchange_destroy(struct http_exchange *x)
{
    list_remove(&x->link);
    if (x->easy)
        curl_easy_cleanup(x->easy);
    buf_end(&x->url);
    buf_end(&x->request);
    buf_end(&x->head);
    buf_end(&x->in);
    buf_end(&x->out);
    free(x->nodes);
    free(x->headers);
    free(x);
}

struct http_exchange *exchange_take(struct http_client *c)
{
    struct http_exchange *x;
    if (list_is_empty(&c->idle)) {
        x = exchange_new(c);
        if (!x)
            return NULL;
    } else {
        x = CONTAINER_OF(c->idle.prev, struct http_exchange, link); /* the warmest */
        list_remove(&x->link);
        c->n_idle--;
    }
    list_push(&c->live, &x->link);
    x->started_ms = clock_mono_ms();
    return x;
}

static void buf_shrink(struct buf *b)
{
    if (b->cap > LIMIT_CLIENT_BUFFER)
        buf_end(b);
    else
        buf_reset(b);
}

void exchange_release(struct http_exchange *x)
{
    struct http_client *c = x->client;
    loop_timer_stop(c->loop, &x->timer);
    if (c->n_idle >= LIMIT_CLIENT_POOL) {
        exchange_destroy(x);
        return;
    }
    if (x->request.n > 0)
        secret_wipe(x->request.p, x->request.n); /* it holds the server's credential */
    buf_shrink(&x->request);
    buf_shrink(&x->head);
    buf_shrink(&x->in);
    buf_shrink(&x->out);
    x->head_bytes = x->n_lines = x->n_headers = 0;
    x->body_bytes = x->sent_ms = 0;
    x->n_sent = 0;
    x->is_wired = x->is_sent = x->was_reused = false;
    x->may_repeat = x->must_restart = x->needs_fresh = false;
    x->status = 0;
    x->is_head_done = x->is_finished = x->is_fetch = x->is_paused = false;
    x->was_refused = x->is_closed = x->is_ending = false;
    x->err.code = ERR_NONE;
    x->want = WANT_NOTHING;
    x->on_data = NULL;
    x->on_end = NULL;
    fiber_rearm(&x->wait);
    list_remove(&x->link);
    list_push(&c->idle, &x->link);
    c->n_idle++;
}

/* ---- set-up ---- */

static int64_t limit_or(int64_t given_ms, int64_t default_ms)
{
    return given_ms == 0 ? default_ms : given_ms;
}

static bool url_set(struct http_exchange *x, struct str url, struct err *e)
{
    struct uri u;
    x->is_judged = x->is_url_set = false;
    buf_reset(&x->url);
    buf_add(&x->url, url);
    if (!buf_ok(&x->url) || !uri_parse(buf_str(&x->url), &u) || !uri_is_http(&u) || u.host.n == 0) {
        buf_reset(&x->url);
        return err_set(e, ERR_INVALID, "the address to call is not an http or https one");
    }
    x->host = u.host;
    x->path = u.path;
    x->query = u.query;
    x->port = uri_port(&u);
    x->is_plain = str_ieq(u.scheme, STR("http"));
    x->wants_proxy = x->client->proxy && client_uses_proxy(x->client, &u);
    return true;
}

/* A connection that no guard judged must not be found by a call that has to pass it. */
static bool url_judge(struct http_exchange *x, const struct http_call *call, struct err *e)
{
    if ((x->url.n == 0 || !str_eq(buf_str(&x->url), call->url)) && !url_set(x, call->url, e))
        return false;
    if (call->is_operator_destination) {
        x->is_judged = false;
        return true;
    }
    if (!x->is_judged && !http_guard_url(x->client->guard, call->url, e)) {
        metric_add(M_EGRESS_REFUSED, e && e->code == ERR_EGRESS);
        return false;
    }
    x->is_judged = true;
    return true;
}

bool exchange_is_framing(struct str name)
{
    static const struct str own[] = {
        STR("Host"),
        STR("Content-Length"),
        STR("Transfer-Encoding"),
        STR("Connection"),
        STR("Keep-Alive"),
        STR("Upgrade"),
        STR("TE"),
        STR("Trailer"),
        STR("Expect"),
        STR("Proxy-Connection"),
        STR("Proxy-Authorization"),
    };
    for (size_t i = 0; i < ARRAY_LEN(own); i++)
        if (str_ieq(name, own[i]))
            return true;
    return false;
}

static bool is_value(struct str s)
{
    if (!text_has_control(s))
        return true;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\r' || s.p[i] == '\n' || s.p[i] == 0)
            return false;
    }
    return true;
}

static bool parts_check(const struct http_call *call, struct err *e)
{
    if (!http_is_token(call->method) || call->method.n >= HTTP_CLIENT_METHOD)
        return err_set(e, ERR_INVALID, "the method to call with is not one");
    for (size_t i = 0; i < call->n_headers; i++) {
        const struct http_header *h = &call->headers[i];
        if (!http_is_token(h->name) || !is_value(h->value))
            return err_set(e, ERR_INVALID, "a header to send is ill-formed");
    }
    return true;
}

bool exchange_prepare(struct http_exchange *x, const struct http_call *call, struct err *e)
{
    x->connect_ms = limit_or(call->connect_ms, LIMIT_CONNECT_MS);
    x->first_byte_ms = limit_or(call->first_byte_ms, LIMIT_FIRST_BYTE_MS);
    x->idle_ms = limit_or(call->idle_ms, LIMIT_IDLE_MS);
    x->total_ms = limit_or(call->total_ms, LIMIT_CALL_MS);
    x->max_bytes = limit_or(call->max_bytes, LIMIT_ANSWER_BYTES);
    x->may_repeat = call->is_repeatable;
    x->fd = CURL_SOCKET_BAD;
    if (!url_judge(x, call, e) || !parts_check(call, e))
        return false;
    x->is_wired =
        x->client->wires && x->is_plain && !x->wants_proxy && !call->is_operator_destination;
    if (!(x->is_wired ? wire_prepare(x, call, e) : exchange_easy_prepare(x, call, e)))
        return false;
    metric_add(M_UPSTREAM_REQUESTS, 1);
    return true;
}

/* ---- the end ---- */

void exchange_finish(struct http_exchange *x, CURLcode result)
{
    if (x->is_finished)
        return;
    if (result == CURLE_OK && !x->is_head_done)
        result = CURLE_GOT_NOTHING;
    if (result == CURLE_OK)
        x->err.code = ERR_NONE; /* one of several addresses may have been refused */
    else
        exchange_explain(x, result);
    x->is_finished = true;
    exchange_tell_end(x);
}

void exchange_tell_end(struct http_exchange *x)
{
    if (!x->on_end) {
        if (x->want != WANT_NOTHING)
            fiber_wake(&x->wait);
        return;
    }
    if (x->is_soon)
        return; /* the bytes before the end come first */
    struct http_client *c = x->client;
    loop_timer_stop(c->loop, &x->timer);
    x->is_ending = true;
    x->on_end(x->arg, x->err.code == ERR_NONE ? NULL : &x->err);
    if (x->is_added && c->is_in_curl) {
        list_remove(&x->link);
        list_push(&c->closing, &x->link);
        return;
    }
    client_remove(x);
    exchange_release(x);
}
