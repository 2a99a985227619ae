/* Answers of HTTP/1.1 servers. */
#include "io/http_answer.h"

#include "base/limits.h"

enum { STATUS_MAX = 599 };

void http_answer_init(struct http_answer_parser *p)
{
    *p = (struct http_answer_parser){.at = AT_END};
    buf_init(&p->line, LIMIT_ANSWER_HEADERS);
}

static void head_begin(struct http_answer_parser *p)
{
    p->at = AT_STATUS;
    p->status = 0;
    p->keeps = false;
    p->kept_s = -1;
    p->is_chunked = p->has_length = p->closes = false;
    p->left = 0;
}

void http_answer_begin(struct http_answer_parser *p, bool answers_head)
{
    head_begin(p);
    buf_reset(&p->line);
    p->head_bytes = 0;
    p->answers_head = answers_head;
}

void http_answer_end(struct http_answer_parser *p)
{
    buf_end(&p->line);
}

bool http_answer_is_untouched(const struct http_answer_parser *p)
{
    return p->at == AT_STATUS && p->head_bytes == 0;
}

static bool bad(struct err *e, const char *what)
{
    return err_set(e, ERR_UPSTREAM, "the server's answer is not proper HTTP: %s", what);
}

/* ---- head ---- */

/* "HTTP/1.1 200 OK" (RFC 9112 4). */
static bool status_read(struct http_answer_parser *p, struct str line, struct err *e)
{
    int64_t status;
    bool is_1_1 = str_starts(line, STR("HTTP/1.1 "));
    if (!is_1_1 && !str_starts(line, STR("HTTP/1.0 ")))
        return bad(e, "it does not begin with HTTP/1.1 or HTTP/1.0");
    if (!str_to_i64(str_slice(line, 9, 3), 100, STATUS_MAX, &status) ||
        (line.n > 12 && line.p[12] != ' '))
        return bad(e, "its status is not three digits");
    if (status == 101)
        return bad(e, "its status 101 switches protocols unasked");
    p->status = (int)status;
    p->keeps = is_1_1;
    p->is_1_0 = !is_1_1;
    p->at = AT_FIELDS;
    return true;
}

/* Equal ones may be repeated, as a list or as fields (RFC 9112 6.3, rule 5). */
static bool length_read(struct http_answer_parser *p, struct str value, struct err *e)
{
    struct str part;
    while (str_next(&value, ',', &part)) {
        int64_t n;
        part = str_trim(part);
        if (part.n == 0 || part.p[0] < '0' || part.p[0] > '9' ||
            !str_to_i64(part, 0, INT64_MAX, &n) || (p->has_length && p->left != (uint64_t)n))
            return bad(e, "its Content-Length is not one number");
        p->left = (uint64_t)n;
        p->has_length = true;
    }
    return p->has_length || bad(e, "its Content-Length is empty");
}

static bool coding_read(struct http_answer_parser *p, struct str value, struct err *e)
{
    if (p->is_chunked || !str_ieq(value, STR("chunked")))
        return bad(e, "its Transfer-Encoding is not chunked");
    p->is_chunked = true;
    return true;
}

static void connection_read(struct http_answer_parser *p, struct str value)
{
    struct str option;
    while (str_next(&value, ',', &option)) {
        option = str_trim(option);
        p->closes |= str_ieq(option, STR("close"));
        p->keeps |= str_ieq(option, STR("keep-alive")); /* HTTP/1.0 keeps when it says so */
    }
}

static void keep_alive_read(struct http_answer_parser *p, struct str value)
{
    struct str part;
    while (str_next(&value, ',', &part)) {
        part = str_trim(part);
        if (str_ieq(str_slice(part, 0, 8), STR("timeout=")) &&
            !str_to_i64(str_slice(part, 8, SIZE_MAX), 0, INT32_MAX, &p->kept_s))
            p->kept_s = -1;
    }
}

static bool is_field_name(struct str name)
{
    for (size_t i = 0; i < name.n; i++)
        if (name.p[i] <= ' ' || name.p[i] == 0x7f)
            return false;
    return name.n > 0;
}

/* Only what frames the answer is understood here (RFC 9112 5: no space before the colon, no
 * continued lines). */
static bool field_read(struct http_answer_parser *p, struct str line, struct err *e)
{
    size_t colon = str_find_char(line, ':');
    if (colon == SIZE_MAX || !is_field_name(str_slice(line, 0, colon)))
        return bad(e, "a header field has no name");
    if (memchr(line.p, '\0', line.n) || memchr(line.p, '\r', line.n))
        return bad(e, "a header field holds a control character");
    struct str name = str_slice(line, 0, colon);
    struct str value = str_trim(str_slice(line, colon + 1, SIZE_MAX));
    if (str_ieq(name, STR("Content-Length")))
        return length_read(p, value, e);
    if (str_ieq(name, STR("Transfer-Encoding")))
        return coding_read(p, value, e);
    if (str_ieq(name, STR("Connection")))
        connection_read(p, value);
    else if (str_ieq(name, STR("Keep-Alive")))
        keep_alive_read(p, value);
    return true;
}

/* RFC 9112 6.3. */
static void framing_choose(struct http_answer_parser *p)
{
    if (p->status < 200) {
        head_begin(p);
        return;
    }
    if (p->answers_head || p->status == 204 || p->status == 304)
        p->at = AT_END;
    else if (p->is_chunked)
        p->at = AT_CHUNK;
    else if (!p->has_length)
        p->at = AT_CLOSE;
    else
        p->at = p->left > 0 ? AT_SIZED : AT_END;
    /* Both framings at once may be an attempt to smuggle, and HTTP/1.0 knows no chunks (RFC 9112
     * 6.1): the last answer on this one. */
    if (p->closes || p->at == AT_CLOSE || (p->is_chunked && (p->has_length || p->is_1_0)))
        p->keeps = false;
}

/* ---- chunks (RFC 9112 7.1) ---- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Extensions are for nobody. */
static bool chunk_size_read(struct http_answer_parser *p, struct str line, struct err *e)
{
    uint64_t n = 0;
    size_t i = 0;
    for (; i < line.n && hex_digit(line.p[i]) >= 0; i++) {
        if (i >= 15)
            return bad(e, "a chunk is too large");
        n = n * 16 + (uint64_t)hex_digit(line.p[i]);
    }
    if (i == 0 || (i < line.n && line.p[i] != ';' && line.p[i] != ' ' && line.p[i] != '\t'))
        return bad(e, "the size of a chunk is no number");
    p->left = n;
    p->at = n > 0 ? AT_CHUNK_DATA : AT_TRAILERS;
    if (n > 0)
        p->head_bytes = 0; /* an event stream has chunks without end */
    return true;
}

/* ---- lines ---- */

static bool line_take(struct http_answer_parser *p, struct str line, struct err *e)
{
    switch (p->at) {
    case AT_STATUS:
        return status_read(p, line, e) && p->on_line(p->arg, line);
    case AT_FIELDS:
        if (line.n > 0)
            return field_read(p, line, e) && p->on_line(p->arg, line);
        framing_choose(p);
        return p->on_line(p->arg, line);
    case AT_CHUNK:
        return chunk_size_read(p, line, e);
    case AT_CHUNK_END:
        p->at = AT_CHUNK;
        return line.n == 0 || bad(e, "a chunk is longer than its size");
    default: /* trailers are read and dropped */
        if (line.n == 0)
            p->at = AT_END;
        return true;
    }
}

/* Takes one line, or keeps its beginning. *used counts what was looked at. */
static bool line_feed(struct http_answer_parser *p, struct str bytes, size_t *used, struct err *e)
{
    size_t end = str_find_char(bytes, '\n');
    bool is_whole = end != SIZE_MAX;
    *used = is_whole ? end + 1 : bytes.n;
    p->head_bytes += *used;
    if (p->head_bytes > LIMIT_ANSWER_HEADERS)
        return err_set(e, ERR_TOO_LARGE, "the head of the server's answer is too large");
    struct str part = str_slice(bytes, 0, is_whole ? end : bytes.n);
    if (!is_whole || p->line.n > 0) {
        buf_add(&p->line, part);
        if (!buf_ok(&p->line))
            return err_set(e, ERR_UNAVAILABLE, "out of memory");
        if (!is_whole)
            return true;
        part = buf_str(&p->line);
    }
    if (part.n > 0 && part.p[part.n - 1] == '\r')
        part.n--;
    bool is_good = line_take(p, part, e);
    buf_reset(&p->line);
    return is_good;
}

/* ---- body ---- */

static bool body_feed(struct http_answer_parser *p, struct str bytes, size_t *used)
{
    bool is_sized = p->at != AT_CLOSE;
    *used = is_sized && p->left < bytes.n ? (size_t)p->left : bytes.n;
    if (is_sized) {
        p->left -= *used;
        if (p->left == 0)
            p->at = p->at == AT_SIZED ? AT_END : AT_CHUNK_END;
    }
    return p->on_body(p->arg, str_slice(bytes, 0, *used));
}

enum http_answer_state http_answer_feed(struct http_answer_parser *p, struct str bytes,
                                        size_t *n_used, struct err *e)
{
    *n_used = 0;
    while (p->at != AT_END && *n_used < bytes.n) {
        struct str rest = str_slice(bytes, *n_used, SIZE_MAX);
        bool is_body = p->at == AT_SIZED || p->at == AT_CHUNK_DATA || p->at == AT_CLOSE;
        size_t used = 0;
        bool is_good = is_body ? body_feed(p, rest, &used) : line_feed(p, rest, &used, e);
        *n_used += used;
        if (!is_good)
            return HTTP_ANSWER_BAD;
    }
    return p->at == AT_END ? HTTP_ANSWER_DONE : HTTP_ANSWER_MORE;
}

enum http_answer_state http_answer_eof(struct http_answer_parser *p, struct err *e)
{
    if (p->at == AT_CLOSE) {
        p->at = AT_END;
        return HTTP_ANSWER_DONE;
    }
    if (http_answer_is_untouched(p))
        err_set(e, ERR_UPSTREAM, "the server closed the connection without an answer");
    else
        err_set(e, ERR_UPSTREAM, "the server's answer was cut off");
    return HTTP_ANSWER_BAD;
}
