/* What needs no library of HTTP: header lookup, tokens and reason phrases. */
#include "io/http.h"

struct str http_header_get(const struct http_header *headers, size_t n, struct str name)
{
    for (size_t i = 0; i < n; i++) {
        if (str_ieq(headers[i].name, name))
            return headers[i].value;
    }
    return STR_NONE;
}

struct str http_request_header(const struct http_request *rq, struct str name)
{
    return http_header_get(rq->headers, rq->n_headers, name);
}

size_t http_request_header_count(const struct http_request *rq, struct str name)
{
    size_t count = 0;
    for (size_t i = 0; i < rq->n_headers; i++)
        count += str_ieq(rq->headers[i].name, name);
    return count;
}

static const bool is_token_char[256] = {
    ['a' ... 'z'] = true, ['A' ... 'Z'] = true, ['0' ... '9'] = true, ['!'] = true,  ['#'] = true,
    ['$'] = true,         ['%'] = true,         ['&'] = true,         ['\''] = true, ['*'] = true,
    ['+'] = true,         ['-'] = true,         ['.'] = true,         ['^'] = true,  ['_'] = true,
    ['`'] = true,         ['|'] = true,         ['~'] = true,
};

bool http_is_token(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!is_token_char[(unsigned char)s.p[i]])
            return false;
    return s.n > 0;
}

/* RFC 9110 section 15, RFC 6585; 499 is our own word for a client that left. */
static const struct {
    int status;
    const char *text;
} reasons[] = {
    {100, "Continue"},
    {101, "Switching Protocols"},
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {206, "Partial Content"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {426, "Upgrade Required"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {499, "Client Closed Request"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
};

const char *http_reason(int status)
{
    for (size_t i = 0; i < ARRAY_LEN(reasons); i++) {
        if (reasons[i].status == status)
            return reasons[i].text;
    }
    return "Unknown";
}

void http_note_failure(struct http_request *rq, const struct err *e)
{
    /* Not e->msg: it may repeat what the client sent, secrets included. */
    rq->failure =
        arena_printf(rq->arena, "%s%s%s", err_text(e->code), e->detail[0] ? ": " : "", e->detail);
}
