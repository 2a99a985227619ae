/* One easy handle of curl, set up for a call. What a call shares with the one before is not set
 * again. */
#include "io/http_client_parts.h"

#include <stdlib.h>

#include "base/limits.h"

enum {
    RECEIVE_BUFFER = 16 * 1024,      /* curl's default */
    RECEIVE_BUFFER_SMALL = 2 * 1024, /* of streams that may be silent for long */
};

/* ---- options ---- */

static size_t on_send(char *to, size_t size, size_t n, void *arg);
static int on_rewind(void *arg, curl_off_t offset, int origin);

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
           curl_easy_setopt(h, CURLOPT_READFUNCTION, on_send) == CURLE_OK &&
           set_ptr(x, CURLOPT_READDATA, x) &&
           curl_easy_setopt(h, CURLOPT_SEEKFUNCTION, on_rewind) == CURLE_OK &&
           set_ptr(x, CURLOPT_SEEKDATA, x) &&
           curl_easy_setopt(h, CURLOPT_OPENSOCKETFUNCTION, client_socket_open) == CURLE_OK &&
           set_ptr(x, CURLOPT_OPENSOCKETDATA, x) &&
           curl_easy_setopt(h, CURLOPT_CLOSESOCKETFUNCTION, client_socket_close) == CURLE_OK &&
           set_ptr(x, CURLOPT_CLOSESOCKETDATA, c);
}

/* Connections of calls that no guard judged are not shared. */
static void operator_set(struct http_exchange *x, bool is_operator)
{
    if (is_operator == x->is_operator)
        return;
    x->is_operator = is_operator;
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
    /* A proxy over TLS is judged as a server is. */
    set_long(x, CURLOPT_PROXY_SSLVERSION, CURL_SSLVERSION_TLSv1_2);
    set_ptr(x, CURLOPT_PROXY_CAPATH, NULL);
    if (c->ca_path[0])
        set_ptr(x, CURLOPT_PROXY_CAINFO, c->ca_path);
    if (!is_proxied)
        set_ptr(x, CURLOPT_CONNECT_TO, NULL);
}

static bool url_set(struct http_exchange *x, struct err *e)
{
    if (!x->is_url_set && !set_ptr(x, CURLOPT_URL, x->url.p))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    x->is_url_set = true;
    proxy_set(x, x->wants_proxy);
    return true;
}

/* Behind a proxy the destination is looked up and judged here. */
static bool target_set(struct http_exchange *x, struct err *e)
{
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

/* curl asks for the body piece by piece and cannot go back: it sends a request again on a fresh
 * connection only when the kept one broke before any of the body was read (RFC 9110 9.2.2). */
static size_t on_send(char *to, size_t size, size_t n, void *arg)
{
    struct http_exchange *x = arg;
    struct str piece = str_slice(x->body, x->n_sent, size * n);
    if (piece.n > 0)
        memcpy(to, piece.p, piece.n);
    x->n_sent += piece.n;
    return piece.n;
}

/* Going back is for what may be done twice. */
static int on_rewind(void *arg, curl_off_t offset, int origin)
{
    struct http_exchange *x = arg;
    if (!x->may_repeat || offset != 0 || origin != SEEK_SET)
        return CURL_SEEKFUNC_FAIL;
    x->may_repeat = false;
    x->n_sent = 0;
    return CURL_SEEKFUNC_OK;
}

static bool method_set(struct http_exchange *x, const struct http_call *call, struct err *e)
{
    bool is_post = str_eq(call->method, STR("POST"));
    bool has_body = is_post || call->body.n > 0;
    x->body = call->body;
    x->n_sent = 0;
    if (has_body)
        curl_easy_setopt(x->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body.n);
    if (has_body == x->has_body && str_eq(call->method, str_c(x->method)))
        return true;
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
        if (exchange_is_framing(h->name))
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

/* ---- all of it ---- */

bool exchange_easy_prepare(struct http_exchange *x, const struct http_call *call, struct err *e)
{
    if (!x->easy && (!(x->easy = curl_easy_init()) || !exchange_set_constants(x)))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    x->why[0] = 0;
    operator_set(x, call->is_operator_destination);
    if (!url_set(x, e) || !target_set(x, e) || !method_set(x, call, e) || !headers_set(x, call, e))
        return false;
    bool is_small = call->idle_ms < 0;
    if (is_small != x->is_small) {
        x->is_small = is_small;
        set_long(x, CURLOPT_BUFFERSIZE, is_small ? RECEIVE_BUFFER_SMALL : RECEIVE_BUFFER);
    }
    return true;
}
