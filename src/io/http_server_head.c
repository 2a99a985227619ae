/*
 * The head of a request, judged. libmicrohttpd 0.9.75 passes on what another HTTP program may read
 * differently: framing headers given twice or together, folded lines (it glues the fold to the
 * name), NUL bytes (they end its strings), bare LF, spaces before the colon. All of that is refused
 * here (RFC 9112 sections 2.2, 3.2, 5 and 6.3).
 */
#include <microhttpd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/rand.h"
#include "base/text.h"
#include "io/client_address.h"
#include "io/http_server_parts.h"

struct head {
    struct http_header headers[LIMIT_HEADERS]; /* as libmicrohttpd holds them */
    size_t n;
    size_t bytes;
    const char *end;       /* behind the empty line */
    const char *next_line; /* where the next header's name must stand in libmicrohttpd's memory */
    enum err_code refused; /* ERR_NONE: nothing wrong yet */
    const char *reason;
    size_t pooled; /* bytes of the connection's pool that libmicrohttpd has used for the head */
    int hosts, lengths, codings, authorizations;
    struct str host, length, coding;
};

/* What libmicrohttpd keeps for each header, cookie and query parameter beside its text: struct
 * MHD_HTTP_Req_Header. */
enum { POOL_ENTRY = 56 };

static bool has_control_but_tab(struct str s)
{
    if (!text_has_control(s))
        return false;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return true;
    }
    return false;
}

static enum MHD_Result head_refuse(struct head *h, enum err_code code, const char *reason)
{
    h->refused = code;
    h->reason = reason;
    return MHD_NO;
}

/* One more than there are separators. */
static size_t count_of(struct str s, char separator)
{
    size_t n = 1;
    for (size_t i = 0; i < s.n; i++)
        n += s.p[i] == separator;
    return n;
}

static void head_count(struct head *h, const struct http_header *header)
{
    if (str_ieq(header->name, STR("host"))) {
        h->hosts++;
        h->host = header->value;
    } else if (str_ieq(header->name, STR("content-length"))) {
        h->lengths++;
        h->length = header->value;
    } else if (str_ieq(header->name, STR("transfer-encoding"))) {
        h->codings++;
        h->coding = header->value;
    } else if (str_ieq(header->name, STR("authorization"))) {
        h->authorizations++;
    } else if (str_ieq(header->name, STR("cookie"))) {
        h->pooled += header->value.n + count_of(header->value, ';') * POOL_ENTRY;
    }
}

/*
 * The lines of a head lie one behind the other, CR and LF replaced by two NULs. A name that stands
 * elsewhere was moved to make room for a folded line; a gap of another size is a NUL within a
 * value, or a line that ended in LF alone. libmicrohttpd takes a line with an empty name for the
 * end of the head: then the empty line is not where the last header ends.
 */
static bool stands_in_line(struct head *h, const char *name, const char *value, size_t value_bytes)
{
    bool ok = name == h->next_line && value > name;
    if (ok)
        h->next_line = value + value_bytes + 2;
    return ok;
}

static enum MHD_Result on_header(void *cls, enum MHD_ValueKind kind, const char *name,
                                 size_t name_bytes, const char *value, size_t value_bytes)
{
    struct head *h = cls;
    (void)kind;
    if (!value || !stands_in_line(h, name, value, value_bytes))
        return head_refuse(h, ERR_BAD_REQUEST, "a header line is malformed");
    if (h->n == LIMIT_HEADERS)
        return head_refuse(h, ERR_HEADERS_TOO_LARGE, "the request has too many headers");
    struct http_header header = {{name, name_bytes}, str_trim((struct str){value, value_bytes})};
    if (!http_is_token(header.name))
        return head_refuse(h, ERR_BAD_REQUEST, "a header's name is malformed");
    if (has_control_but_tab(header.value))
        return head_refuse(h, ERR_BAD_REQUEST, "a header's value holds a control character");
    h->headers[h->n++] = header;
    h->bytes += header.name.n + header.value.n;
    h->pooled += name_bytes + value_bytes + sizeof(": \r\n") + POOL_ENTRY;
    head_count(h, &header);
    return MHD_YES;
}

static bool head_check(struct head *h, const char *version, struct err *e)
{
    if (h->refused)
        return err_set(e, h->refused, "%s", h->reason);
    if (h->next_line + 2 != h->end)
        return err_set(e, ERR_BAD_REQUEST, "a header line is malformed");
    if (h->pooled > LIMIT_HEADER_BYTES)
        return err_set(e, ERR_HEADERS_TOO_LARGE, "the request's headers are too large");
    if (h->hosts != 1)
        return err_set(e, ERR_BAD_REQUEST, "exactly one Host header is needed");
    if (h->lengths > 1 || h->codings > 1 || (h->lengths && h->codings))
        return err_set(e, ERR_BAD_REQUEST, "the length of the body is ambiguous");
    if (h->authorizations > 1)
        return err_set(e, ERR_BAD_REQUEST, "Authorization is given twice");
    if (h->codings && !str_ieq(h->coding, STR("chunked")))
        return err_set(e, ERR_BAD_REQUEST, "the only Transfer-Encoding understood is chunked");
    if (h->codings && !str_eq(str_c(version), STR("HTTP/1.1")))
        return err_set(e, ERR_BAD_REQUEST, "Transfer-Encoding needs HTTP/1.1");
    return true;
}

/* From the method to behind the empty line. */
static size_t head_bytes(struct MHD_Connection *mhd)
{
    const union MHD_ConnectionInfo *size =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    return size ? size->header_size : 0;
}

/* Into the arena: a fiber may outlive the connection that holds the originals. */
static bool headers_copy(struct http_request *rq, const struct head *h, struct http_header **out,
                         struct err *e)
{
    struct http_header *headers = arena_alloc(rq->arena, (h->n + 1) * sizeof *headers);
    char *at = arena_alloc(rq->arena, h->bytes + 1);
    if (!headers || !at)
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    for (size_t i = 0; i < h->n; i++) {
        struct str name = h->headers[i].name, value = h->headers[i].value;
        memcpy(at, name.p, name.n);
        headers[i].name = (struct str){at, name.n};
        at += name.n;
        if (value.n > 0)
            memcpy(at, value.p, value.n);
        headers[i].value = (struct str){at, value.n};
        at += value.n;
    }
    *out = headers;
    rq->headers = headers;
    rq->n_headers = h->n;
    return true;
}

static bool target_is_clean(struct str target)
{
    for (size_t i = 0; i < target.n; i++) {
        unsigned char c = (unsigned char)target.p[i];
        if (c <= 0x20 || c >= 0x7f || c == '#')
            return false;
    }
    return target.n > 0;
}

/* Takes scheme and authority off an absolute target (RFC 9112 section 3.2.2): it must name the host
 * that Host names. */
static bool target_strip_origin(struct str *target, struct str host)
{
    struct str schemes[] = {STR("http://"), STR("https://")};
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
        if (!str_ieq(str_slice(*target, 0, schemes[i].n), schemes[i]))
            continue;
        struct str rest = str_slice(*target, schemes[i].n, target->n);
        size_t slash = str_find_char(rest, '/');
        struct str authority = str_slice(rest, 0, slash);
        if (!str_ieq(authority, host))
            return false;
        *target = slash == SIZE_MAX ? STR("/") : str_slice(rest, slash, rest.n);
        return true;
    }
    return false;
}

static bool target_read(struct server_request *r, const char *version, struct str host,
                        struct err *e)
{
    struct str target = r->target;
    /* A NUL in the target would end it early; then the version does not follow it. */
    bool is_whole = version == r->raw_at + target.n + 1;
    if (!is_whole || !target_is_clean(target))
        return err_set(e, ERR_BAD_REQUEST, "the request's target is malformed");
    if (target.p[0] != '/' && !target_strip_origin(&target, host))
        return err_set(e, ERR_BAD_REQUEST, "the request's target is not a path");
    size_t mark = str_find_char(target, '?');
    r->rq.path = str_slice(target, 0, mark);
    r->rq.query = mark == SIZE_MAX ? STR_NONE : str_slice(target, mark + 1, target.n);
    return true;
}

static enum http_method method_of(struct str name)
{
    static const struct {
        struct str name;
        enum http_method method;
    } methods[] = {
        {{"GET", 3}, HTTP_GET},       {{"POST", 4}, HTTP_POST}, {{"PUT", 3}, HTTP_PUT},
        {{"DELETE", 6}, HTTP_DELETE}, {{"HEAD", 4}, HTTP_HEAD}, {{"OPTIONS", 7}, HTTP_OPTIONS},
        {{"PATCH", 5}, HTTP_PATCH},
    };
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        if (str_eq(methods[i].name, name))
            return methods[i].method;
    }
    return HTTP_OTHER;
}

/* What every answer needs, also that to a bad head. */
static void identity_set(struct server_request *r)
{
    struct http_request *rq = &r->rq;
    uint8_t id[16];
    rand_bytes(id, sizeof id);
    text_hex(rq->request_id, id, sizeof id);
    rq->started_us = clock_mono_us();
    memcpy(rq->peer, r->conn->peer, sizeof rq->peer);
    rq->peer_is_loopback = r->conn->peer_is_loopback;
    rq->is_tls = r->server->config.tls_cert_pem != NULL;
}

bool server_head_read(struct server_request *r, struct MHD_Connection *mhd, const char *method,
                      const char *version, struct err *e)
{
    struct http_request *rq = &r->rq;
    struct http_header *headers = NULL;
    struct head h;
    h.n = h.bytes = 0;
    h.pooled = r->target.n + count_of(r->target, '&') * POOL_ENTRY;
    h.next_line = version + strlen(version) + 2;
    h.end = method + head_bytes(mhd);
    h.refused = ERR_NONE;
    h.hosts = h.lengths = h.codings = h.authorizations = 0;
    h.host = h.length = h.coding = STR_NONE;

    identity_set(r);
    MHD_get_connection_values_n(mhd, MHD_HEADER_KIND, on_header, &h);
    rq->method_name = arena_dup(rq->arena, str_c(method));
    rq->method = method_of(rq->method_name);
    trace_start(&rq->trace, http_header_get(h.headers, h.n, STR("traceparent")));
    if (!headers_copy(rq, &h, &headers, e) || !head_check(&h, version, e))
        return false;
    if (!http_is_token(rq->method_name))
        return err_set(e, ERR_BAD_REQUEST, "the request's method is malformed");
    r->is_http_1_0 = str_eq(str_c(version), STR("HTTP/1.0"));
    r->content_length = -1;
    if (h.lengths && !str_to_i64(h.length, 0, INT64_MAX, &r->content_length))
        return err_set(e, ERR_BAD_REQUEST, "Content-Length is malformed");
    /* How libmicrohttpd reads chunks and trailers cannot be checked here: what follows them is
     * never taken for a request. */
    r->must_close = h.codings > 0;
    r->expects_continue = str_ieq(http_request_header(rq, STR("expect")), STR("100-continue"));
    if (!target_read(r, version, h.host, e))
        return false;
    client_address_set(rq, headers, r->server->config.trusted_proxies);
    return true;
}
