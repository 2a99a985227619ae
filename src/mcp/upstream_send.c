/* Outgoing calls to MCP servers. */
#include "mcp/upstream_send.h"

#include "base/limits.h"
#include "base/text.h"

enum { HEADERS_OWN = 12, HEADERS_PARAM = 20 };

struct header_list {
    struct http_header v[HEADERS_OWN + HEADERS_PARAM + LIMIT_HEADERS_INJECTED];
    size_t n;
};

static void put(struct header_list *list, struct str name, struct str value)
{
    if (list->n < ARRAY_LEN(list->v) && !str_is_absent(value))
        list->v[list->n++] = (struct http_header){name, value};
}

/* Mcp-Name values outside of visible ASCII travel as =?base64?...?= (MCP 2026-07-28, header
 * encoding). */
static struct str name_encode(struct arena *a, struct str name)
{
    bool is_plain = name.n > 0 && name.p[0] != ' ' && name.p[0] != '\t' &&
                    name.p[name.n - 1] != ' ' && name.p[name.n - 1] != '\t' &&
                    !str_starts(name, STR("=?base64?"));
    for (size_t i = 0; is_plain && i < name.n; i++)
        is_plain = name.p[i] >= 0x20 && name.p[i] <= 0x7E;
    if (is_plain)
        return name;
    struct buf out;
    buf_init(&out, LIMIT_HEADER_BYTES);
    buf_add(&out, STR("=?base64?"));
    text_b64(&out, name.p, name.n);
    buf_add(&out, STR("?="));
    struct str encoded = arena_dup(a, buf_str(&out));
    buf_end(&out);
    return encoded;
}

/* The server checks Mcp-Param-* against the body; we pass on what the client sent and never read
 * them. */
static void param_headers_copy(struct header_list *list, const struct http_request *rq)
{
    size_t copied = 0;
    for (size_t i = 0; i < rq->n_headers && copied < HEADERS_PARAM; i++) {
        if (!str_ieq(str_slice(rq->headers[i].name, 0, 10), STR("Mcp-Param-")))
            continue;
        put(list, rq->headers[i].name, rq->headers[i].value);
        copied++;
    }
}

static void headers_build(struct header_list *list, struct arena *a,
                          const struct upstream_message *m)
{
    bool is_post = !str_is_absent(m->body);
    if (is_post)
        put(list, STR("Content-Type"), STR("application/json"));
    put(list, STR("Accept"),
        is_post ? STR("application/json, text/event-stream") : STR("text/event-stream"));
    put(list, STR("User-Agent"), STR("tulle/" TULLE_VERSION));
    put(list, STR("MCP-Protocol-Version"), m->version);
    put(list, STR("Mcp-Session-Id"), m->session_id);
    if (m->era == ERA_STATELESS) {
        put(list, STR("Mcp-Method"), m->method);
        if (!str_is_absent(m->name))
            put(list, STR("Mcp-Name"), name_encode(a, m->name));
        if (m->rq)
            param_headers_copy(list, m->rq);
    }
    if (m->rq) {
        struct trace child;
        char text[TRACEPARENT_SIZE];
        trace_child(&m->rq->trace, &child);
        trace_format(&child, text);
        put(list, STR("traceparent"), arena_dup(a, str_c(text)));
        put(list, STR("tracestate"), http_request_header(m->rq, STR("tracestate")));
    }
    for (size_t i = 0; i < m->credential->n_headers; i++)
        put(list, m->credential->headers[i].name, m->credential->headers[i].value);
}

static struct str address_build(struct arena *a, const struct upstream_message *m)
{
    struct str url = m->entry->conn.url;
    if (str_is_absent(m->credential->query))
        return url;
    const char *joint = str_find_char(url, '?') == SIZE_MAX ? "?" : "&";
    return arena_printf(a, "%.*s%s%.*s", STR_FMT(url), joint, STR_FMT(m->credential->query));
}

struct http_exchange *upstream_send(struct services *sv, struct arena *a,
                                    const struct upstream_message *m, struct http_answer_head *head,
                                    struct err *e)
{
    struct header_list *list = arena_alloc(a, sizeof(*list));
    struct str url = address_build(a, m);
    if (!list || str_is_absent(url)) {
        err_set(e, ERR_UNAVAILABLE, "out of memory");
        return NULL;
    }
    headers_build(list, a, m);
    struct http_call call = {.method = m->http_method,
                             .url = url,
                             .headers = list->v,
                             .n_headers = list->n,
                             .body = m->body,
                             .first_byte_ms = m->first_byte_ms,
                             .idle_ms = m->idle_ms,
                             .total_ms = m->total_ms};
    return http_open(sv->http, &call, head, e);
}
