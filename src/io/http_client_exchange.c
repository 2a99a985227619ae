/* One easy handle: taken from the pool, set up for a call, given back. What a call shares with the
 * one before is not set again. */
#include "io/http_client_parts.h"

#include <stdlib.h>
#include <strings.h>

#include "base/clock.h"
#include "base/limits.h"
#include "log/metrics.h"

enum {
    RECEIVE_BUFFER = 16 * 1024,      /* curl's default */
    RECEIVE_BUFFER_SMALL = 2 * 1024, /* of streams that may be silent for long */
};

static bool exchange_set_constants(struct http_exchange *x);
static bool target_set(struct http_exchange *x, const struct http_call *call, struct err *e);
static bool method_set(struct http_exchange *x, const struct http_call *call, struct err *e);
static bool headers_set(struct http_exchange *x, const struct http_call *call, struct err *e);

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
    x->easy = curl_easy_init();
    if (!x->easy || !exchange_set_constants(x)) {
        exchange_destroy(x);
        return NULL;
    }
    return x;
}

void exchange_destroy(struct http_exchange *x)
{
    list_remove(&x->link);
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
    buf_shrink(&x->request);
    buf_shrink(&x->head);
    buf_shrink(&x->in);
    buf_shrink(&x->out);
    x->head_bytes = x->n_lines = x->n_headers = 0;
    x->body_bytes = x->sent_ms = 0;
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

/* ---- options ---- */

static bool set_long(struct http_exchange *x, CURLoption option, long value)
{
    return curl_easy_setopt(x->easy, option, value) == CURLE_OK;
}

static bool set_ptr(struct http_exchange *x, CURLoption option, const void *value)
{
    return curl_easy_setopt(x->easy, option, value) == CURLE_OK;
}

static bool exchange_set_constants(struct http_exchange *x)
{
    const struct http_client *c = x->client;
    bool ok = set_ptr(x, CURLOPT_PRIVATE, x) && set_ptr(x, CURLOPT_ERRORBUFFER, x->why) &&
              set_long(x, CURLOPT_NOSIGNAL, 1) && set_long(x, CURLOPT_NOPROGRESS, 1) &&
              set_long(x, CURLOPT_FOLLOWLOCATION,
                       0) && /* Do not wait for the resolver's thread when a call is broken off. */
              set_long(x, CURLOPT_QUICK_EXIT, 1) &&
              set_long(x, CURLOPT_PATH_AS_IS, 1) &&
              set_ptr(x, CURLOPT_PROTOCOLS_STR, "http,https") &&
              set_ptr(x, CURLOPT_PROXY, "") && /* nor one from the environment */
              set_long(x, CURLOPT_NETRC, CURL_NETRC_IGNORED) &&
              set_long(x, CURLOPT_TCP_NODELAY, 1) && set_long(x, CURLOPT_TCP_KEEPALIVE, 1) &&
              set_long(x, CURLOPT_TCP_KEEPIDLE, 60) && set_long(x, CURLOPT_TCP_KEEPINTVL, 30) &&
              set_long(x, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1) &&
              set_ptr(x, CURLOPT_USERAGENT, "tulle/" TULLE_VERSION) &&
              /* HTTP/2 would tie the fate of many calls to one connection, and 7.88 lets a paused
                 stream hold a window of 32 MiB. */
              set_long(x, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1) &&
              set_long(x, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2) &&
              /* curl keeps parsed roots (a day) only when they come from one file. */
              set_ptr(x, CURLOPT_CAPATH, NULL);
    if (ok && c->ca_path[0])
        ok = set_ptr(x, CURLOPT_CAINFO, c->ca_path);
    CURL *h = x->easy;
    return ok && curl_easy_setopt(h, CURLOPT_HEADERFUNCTION, exchange_on_header) == CURLE_OK &&
           set_ptr(x, CURLOPT_HEADERDATA, x) &&
           curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, exchange_on_body) == CURLE_OK &&
           set_ptr(x, CURLOPT_WRITEDATA, x) &&
           curl_easy_setopt(h, CURLOPT_OPENSOCKETFUNCTION, client_socket_open) == CURLE_OK &&
           set_ptr(x, CURLOPT_OPENSOCKETDATA, x) &&
           curl_easy_setopt(h, CURLOPT_CLOSESOCKETFUNCTION, client_socket_close) == CURLE_OK &&
           set_ptr(x, CURLOPT_CLOSESOCKETDATA, c);
}

static int64_t limit_or(int64_t given_ms, int64_t default_ms)
{
    return given_ms == 0 ? default_ms : given_ms;
}

bool exchange_prepare(struct http_exchange *x, const struct http_call *call, struct err *e)
{
    x->connect_ms = limit_or(call->connect_ms, LIMIT_CONNECT_MS);
    x->first_byte_ms = limit_or(call->first_byte_ms, LIMIT_FIRST_BYTE_MS);
    x->idle_ms = limit_or(call->idle_ms, LIMIT_IDLE_MS);
    x->total_ms = limit_or(call->total_ms, LIMIT_CALL_MS);
    x->max_bytes = limit_or(call->max_bytes, LIMIT_ANSWER_BYTES);
    x->why[0] = 0;
    if (!target_set(x, call, e) || !method_set(x, call, e) || !headers_set(x, call, e))
        return false;
    bool is_small = call->idle_ms < 0;
    if (is_small != x->is_small) {
        x->is_small = is_small;
        set_long(x, CURLOPT_BUFFERSIZE, is_small ? RECEIVE_BUFFER_SMALL : RECEIVE_BUFFER);
    }
    metric_add(M_UPSTREAM_REQUESTS, 1);
    return true;
}

/* A connection that no guard judged must not be found by a call that has to pass it. */
static void operator_set(struct http_exchange *x, bool is_operator)
{
    if (is_operator == x->is_operator)
        return;
    x->is_operator = is_operator;
    x->is_judged = false;
    set_long(x, CURLOPT_FORBID_REUSE, is_operator);
    set_long(x, CURLOPT_FRESH_CONNECT, is_operator);
}

static void proxy_set(struct http_exchange *x, bool is_proxied)
{
    const struct http_client *c = x->client;
    if (is_proxied == x->is_proxied)
        return;
    x->is_proxied = is_proxied;
    set_ptr(x, CURLOPT_PROXY, is_proxied ? c->proxy : "");
    set_long(x, CURLOPT_HTTPPROXYTUNNEL, is_proxied);
    set_ptr(x, CURLOPT_NOPROXY, ""); /* decided here, not by curl */
    if (!is_proxied)
        set_ptr(x, CURLOPT_CONNECT_TO, NULL);
}

static bool url_set(struct http_exchange *x, struct str url, struct err *e)
{
    struct uri u;
    x->is_judged = false;
    buf_reset(&x->url);
    buf_add(&x->url, url);
    if (!buf_ok(&x->url) || !uri_parse(buf_str(&x->url), &u) || !uri_is_http(&u) || u.host.n == 0) {
        buf_reset(&x->url);
        return err_set(e, ERR_INVALID, "the address to call is not an http or https one");
    }
    x->host = u.host;
    x->port = uri_port(&u);
    x->is_plain = str_ieq(u.scheme, STR("http"));
    if (!set_ptr(x, CURLOPT_URL, x->url.p)) {
        buf_reset(&x->url);
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    }
    if (x->client->proxy)
        proxy_set(x, client_uses_proxy(x->client, &u));
    return true;
}

static bool target_set(struct http_exchange *x, const struct http_call *call, struct err *e)
{
    operator_set(x, call->is_operator_destination);
    if ((x->url.n == 0 || !str_eq(buf_str(&x->url), call->url)) && !url_set(x, call->url, e))
        return false;
    if (!x->is_judged && !x->is_operator && !http_guard_url(x->client->guard, call->url, e)) {
        metric_add(M_EGRESS_REFUSED, e && e->code == ERR_EGRESS);
        return false;
    }
    x->is_judged = true;
    if (!x->is_proxied)
        return true;
    if (x->is_operator) {
        set_ptr(x, CURLOPT_CONNECT_TO, NULL);
        return true;
    }
    if (!exchange_resolve(x, e))
        return false;
    x->connect_to.data = x->connect_to_text;
    set_ptr(x, CURLOPT_CONNECT_TO, &x->connect_to);
    return true;
}

static bool is_token(struct str s)
{
    /* RFC 9110 5.6.2 */
    static const struct str marks = STR("!#$%&'*+-.^_`|~");
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  str_find_char(marks, c) != SIZE_MAX;
        if (!ok)
            return false;
    }
    return s.n > 0;
}

static bool method_set(struct http_exchange *x, const struct http_call *call, struct err *e)
{
    bool is_post = str_eq(call->method, STR("POST"));
    bool has_body = is_post || call->body.n > 0;
    if (has_body) {
        curl_off_t n = (curl_off_t)call->body.n;
        set_ptr(x, CURLOPT_POSTFIELDS, call->body.n ? call->body.p : "");
        curl_easy_setopt(x->easy, CURLOPT_POSTFIELDSIZE_LARGE, n);
    }
    if (has_body == x->has_body && str_eq(call->method, str_c(x->method)))
        return true;
    if (!is_token(call->method) || call->method.n >= sizeof x->method)
        return err_set(e, ERR_INVALID, "the method to call with is not one");
    memcpy(x->method, call->method.p, call->method.n);
    x->method[call->method.n] = 0;
    x->has_body = has_body;

    bool is_head = str_eq(call->method, STR("HEAD"));
    bool is_plain_get = str_eq(call->method, STR("GET")) && !has_body;
    set_long(x, has_body ? CURLOPT_POST : CURLOPT_HTTPGET, 1);
    if (is_head)
        set_long(x, CURLOPT_NOBODY, 1);
    if (!set_ptr(x, CURLOPT_CUSTOMREQUEST, is_post || is_head || is_plain_get ? NULL : x->method)) {
        x->method[0] = 0;
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    }
    return true;
}

/* ---- request headers ---- */

/* Framing and the connection are the client's own business: a wrong one would smuggle. */
static bool is_framing(struct str name)
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
    for (size_t i = 0; i < ARRAY_LEN(own); i++) {
        if (name.n == own[i].n && strncasecmp(name.p, own[i].p, name.n) == 0)
            return true;
    }
    return false;
}

static bool is_value(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\r' || s.p[i] == '\n' || s.p[i] == 0)
            return false;
    }
    return true;
}

static bool nodes_room(struct http_exchange *x, size_t n)
{
    if (n <= x->n_nodes)
        return true;
    struct curl_slist *nodes = calloc(n + 8, sizeof *nodes);
    if (!nodes)
        return false;
    free(x->nodes);
    x->nodes = nodes;
    x->n_nodes = n + 8;
    return true;
}

/* "Name: value", or "Name;" which is how curl is told of an empty value. */
static char *line_write(char *to, const struct http_header *h)
{
    memcpy(to, h->name.p, h->name.n);
    to += h->name.n;
    if (h->value.n == 0) {
        *to++ = ';';
    } else {
        *to++ = ':';
        *to++ = ' ';
        memcpy(to, h->value.p, h->value.n);
        to += h->value.n;
    }
    *to++ = 0;
    return to;
}

/* Chains the lines as curl's list does, in memory that the pooled handle keeps. */
static bool headers_set(struct http_exchange *x, const struct http_call *call, struct err *e)
{
    static char no_expect[] = "Expect:", no_type[] = "Content-Type:";
    size_t bytes = 0;
    for (size_t i = 0; i < call->n_headers; i++) {
        const struct http_header *h = &call->headers[i];
        if (!is_token(h->name) || !is_value(h->value))
            return err_set(e, ERR_INVALID, "a header to send is ill-formed");
        bytes += h->name.n + h->value.n + 3;
    }
    buf_reset(&x->request);
    char *to = buf_reserve(&x->request, bytes);
    if (!to)
        return err_set(e, ERR_INVALID, "the headers to send are too large");
    if (!nodes_room(x, call->n_headers + 2))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");

    size_t n = 0;
    bool has_type = false;
    for (size_t i = 0; i < call->n_headers; i++) {
        const struct http_header *h = &call->headers[i];
        if (is_framing(h->name))
            continue;
        if (str_ieq(h->name, STR("Content-Type")))
            has_type = true;
        x->nodes[n++].data = to;
        to = line_write(to, h);
    }
    x->nodes[n++].data = no_expect;
    if (x->has_body && !has_type)
        x->nodes[n++].data = no_type;
    for (size_t i = 0; i < n; i++)
        x->nodes[i].next = i + 1 < n ? &x->nodes[i + 1] : NULL;
    set_ptr(x, CURLOPT_HTTPHEADER, x->nodes);
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
