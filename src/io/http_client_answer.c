/* What the server sent: lines of the head, pieces of the body; and failures, which get our words.
 */
#include "io/http_client_parts.h"

#include <errno.h>
#include <stdlib.h>

#include "base/limits.h"

/* ---- head ---- */

static bool give_up(struct http_exchange *x, enum err_code code, const char *why)
{
    return err_set(&x->err, code, "%s", why);
}

/* "HTTP/1.1 200 OK" */
static int status_of(struct str line)
{
    size_t at = str_find_char(line, ' ');
    int64_t status;
    if (at == SIZE_MAX || !str_to_i64(str_slice(line, at + 1, 3), 100, 599, &status))
        return -1;
    return (int)status;
}

static bool headers_room(struct http_exchange *x)
{
    if (x->n_lines <= x->headers_cap)
        return true;
    size_t cap = x->n_lines < 16 ? 16 : x->n_lines;
    struct http_header *headers = calloc(cap, sizeof *headers);
    if (!headers)
        return false;
    free(x->headers);
    x->headers = headers;
    x->headers_cap = cap;
    return true;
}

/* The head is complete and moves no more: slices its lines. */
static bool head_split(struct http_exchange *x)
{
    if (!buf_ok(&x->head) || !headers_room(x))
        return err_set(&x->err, ERR_UNAVAILABLE, "out of memory");
    struct str rest = buf_str(&x->head), line;
    x->n_headers = 0;
    for (size_t i = 0; i < x->n_lines && str_next(&rest, '\n', &line); i++) {
        size_t colon = str_find_char(line, ':');
        /* RFC 9112 5.2: a line that continues the one before is obsolete and may be refused. */
        if (colon == SIZE_MAX || colon == 0 || line.p[0] == ' ' || line.p[0] == '\t')
            return err_set(&x->err, ERR_UPSTREAM, "the server sent a header that is not one");
        x->headers[x->n_headers++] = (struct http_header){
            .name = str_slice(line, 0, colon),
            .value = str_trim(str_slice(line, colon + 1, SIZE_MAX)),
        };
    }
    return true;
}

bool exchange_take_line(struct http_exchange *x, struct str line)
{
    if (x->is_closed || x->is_finished)
        return false;
    x->heard_ms = loop_now_ms(x->client->loop);
    x->head_bytes += line.n + 2;
    if (x->head_bytes > LIMIT_ANSWER_HEADERS)
        return give_up(x, ERR_TOO_LARGE, "the head of the server's answer is too large");
    if (x->is_head_done) /* trailers */
        return true;
    if (str_starts(line, STR("HTTP/"))) { /* also after a 1xx */
        x->status = status_of(line);
        if (x->status < 0 || x->status == 101)
            return give_up(x, ERR_UPSTREAM, "the server's answer has no proper status");
        x->n_lines = 0;
        buf_reset(&x->head);
    } else if (line.n > 0) {
        buf_add(&x->head, line);
        buf_add_char(&x->head, '\n');
        x->n_lines++;
    } else if (x->status >= 200) {
        if (!head_split(x))
            return false;
        x->is_head_done = true;
        x->head_ms = x->heard_ms;
        if (x->want == WANT_HEAD)
            fiber_wake(&x->wait);
    }
    return true;
}

/* NOLINTNEXTLINE(readability-non-const-parameter): the type is curl's */
size_t exchange_on_header(char *bytes, size_t size, size_t n, void *arg)
{
    (void)size;
    struct str line = {bytes, n};
    while (line.n > 0 && (bytes[line.n - 1] == '\n' || bytes[line.n - 1] == '\r'))
        line.n--;
    return exchange_take_line(arg, line) ? n : CURL_WRITEFUNC_ERROR;
}

/* ---- body ---- */

bool exchange_take_body(struct http_exchange *x, struct str bytes)
{
    if (x->is_closed || x->is_finished)
        return false;
    x->heard_ms = loop_now_ms(x->client->loop);
    x->body_bytes += (int64_t)bytes.n;
    if (x->max_bytes > 0 && x->body_bytes > x->max_bytes)
        return give_up(x, ERR_TOO_LARGE, "the server's answer is too large");
    if (x->on_data && !x->is_soon)
        return x->on_data(x->arg, bytes) || give_up(x, ERR_CANCELLED, "broken off");
    buf_add(&x->in, bytes);
    if (!buf_ok(&x->in))
        return give_up(x, ERR_TOO_LARGE, "the server's answer is too large to be held");
    if (x->want == WANT_BYTES)
        fiber_wake(&x->wait);
    return true;
}

/* NOLINTNEXTLINE(readability-non-const-parameter): the type is curl's */
size_t exchange_on_body(char *bytes, size_t size, size_t n, void *arg)
{
    (void)size;
    struct http_exchange *x = arg;
    if (!x->is_closed && !x->is_finished && !x->is_fetch && !x->on_data &&
        x->in.n >= LIMIT_PAUSE_HIGH) {
        x->is_paused = true;
        return CURL_WRITEFUNC_PAUSE;
    }
    return exchange_take_body(x, (struct str){bytes, n}) ? n : CURL_WRITEFUNC_ERROR;
}

/* ---- failures ---- */

static const struct {
    CURLcode result;
    enum err_code code;
    const char *text;
} failures[] = {
    {CURLE_COULDNT_RESOLVE_HOST, ERR_UPSTREAM, "the server's name does not resolve"},
    {CURLE_COULDNT_RESOLVE_PROXY, ERR_UPSTREAM, "the proxy's name does not resolve"},
    {CURLE_COULDNT_CONNECT, ERR_UPSTREAM, "the server cannot be reached"},
    {CURLE_PROXY, ERR_UPSTREAM, "the proxy did not let the call through"},
    {CURLE_SSL_CONNECT_ERROR, ERR_UPSTREAM, "the TLS handshake with the server failed"},
    {CURLE_PEER_FAILED_VERIFICATION, ERR_UPSTREAM,
     "the server's certificate is not trusted or not for this name"},
    {CURLE_SSL_CACERT_BADFILE, ERR_INTERNAL, "the trust roots cannot be read"},
    {CURLE_GOT_NOTHING, ERR_UPSTREAM, "the server closed the connection without an answer"},
    {CURLE_SEND_ERROR, ERR_UPSTREAM, "the connection to the server broke"},
    {CURLE_SEND_FAIL_REWIND, ERR_UPSTREAM, "the server closed the connection without an answer"},
    {CURLE_RECV_ERROR, ERR_UPSTREAM, "the connection to the server broke"},
    {CURLE_PARTIAL_FILE, ERR_UPSTREAM, "the server's answer was cut off"},
    {CURLE_WEIRD_SERVER_REPLY, ERR_UPSTREAM, "the server's answer is not proper HTTP"},
    {CURLE_UNSUPPORTED_PROTOCOL, ERR_UPSTREAM, "the server's answer is not proper HTTP"},
    {CURLE_BAD_CONTENT_ENCODING, ERR_UPSTREAM, "the server's answer is not proper HTTP"},
    {CURLE_OPERATION_TIMEDOUT, ERR_TIMEOUT, "the server did not answer in time"},
    {CURLE_URL_MALFORMAT, ERR_INVALID, "the address to call is not an http or https one"},
    /* What curl says of a header line beyond its own maximum, too. */
    {CURLE_OUT_OF_MEMORY, ERR_UPSTREAM,
     "the head of the server's answer is too large, or memory ran out"},
};

const char *exchange_connect_failure(long os_errno)
{
    switch (os_errno) {
    case ECONNREFUSED:
        return "the server refused the connection";
    case ENETUNREACH:
    case EHOSTUNREACH:
        return "there is no route to the server";
    case ETIMEDOUT:
        return "the server did not accept a connection in time";
    default:
        return "the server cannot be reached";
    }
}

static long proxy_status(const struct http_exchange *x)
{
    long status = 0;
    curl_easy_getinfo(x->easy, CURLINFO_HTTP_CONNECTCODE, &status);
    return status;
}

bool exchange_is_at_proxy(const struct http_exchange *x)
{
    return x->is_proxied && x->fd != CURL_SOCKET_BAD && !x->is_head_done &&
           proxy_status(x) / 100 != 2;
}

/* The way to the server was never open: nothing of it is the server's doing. */
static void explain_proxy(struct http_exchange *x, CURLcode result)
{
    if (result == CURLE_COULDNT_CONNECT)
        err_set(&x->err, ERR_UPSTREAM, "the proxy cannot be reached");
    else if (result == CURLE_PEER_FAILED_VERIFICATION)
        err_set(&x->err, ERR_UPSTREAM,
                "the proxy's certificate is not trusted or not for its name");
    else if (result == CURLE_SSL_CONNECT_ERROR)
        err_set(&x->err, ERR_UPSTREAM, "the TLS handshake with the proxy failed");
    else if (proxy_status(x) >= 300)
        err_set(&x->err, ERR_UPSTREAM, "the proxy refused the connection with status %ld",
                proxy_status(x));
    else if (result == CURLE_RECV_ERROR || result == CURLE_SEND_ERROR ||
             result == CURLE_GOT_NOTHING)
        err_set(&x->err, ERR_UPSTREAM, "the proxy closed the connection without an answer");
}

void exchange_explain(struct http_exchange *x, CURLcode result)
{
    if (x->err.code == ERR_EGRESS && result != CURLE_COULDNT_CONNECT)
        x->err.code = ERR_NONE; /* refused at one address, failed at another */
    if (x->err.code != ERR_NONE)
        return; /* we said no ourselves, and why */
    err_set(&x->err, ERR_UPSTREAM, "the call to the server failed");
    for (size_t i = 0; i < ARRAY_LEN(failures); i++) {
        if (failures[i].result == result)
            err_set(&x->err, failures[i].code, "%s", failures[i].text);
    }
    long os_errno = 0;
    curl_easy_getinfo(x->easy, CURLINFO_OS_ERRNO, &os_errno);
    if (exchange_is_at_proxy(x) || (x->is_proxied && result == CURLE_COULDNT_CONNECT))
        explain_proxy(x, result);
    else if (result == CURLE_COULDNT_CONNECT)
        err_set(&x->err, ERR_UPSTREAM, "%s", exchange_connect_failure(os_errno));
    err_detail(&x->err, "curl %d: %s", (int)result,
               x->why[0] ? x->why : curl_easy_strerror(result));
}
