/* Classification of what clients send. The order of the checks is the order conformance suites
 * expect. */
#include "mcp/inbound.h"

#include "base/limits.h"
#include "base/text.h"
#include "json/jscan.h"

/* True when a header value lists `type` (its media range, or one that covers it). Parameters are
 * ignored. */
static bool accepts(struct str accept, struct str type, struct str any_subtype)
{
    if (str_is_absent(accept))
        return true;
    struct str rest = accept, range;
    while (str_next(&rest, ',', &range)) {
        struct str name = str_trim(str_slice(range, 0, str_find_char(range, ';')));
        if (str_ieq(name, type) || str_ieq(name, any_subtype) || str_eq(name, STR("*/*")))
            return true;
    }
    return false;
}

static bool names_event_stream(struct str accept)
{
    return !str_is_absent(accept) && str_find(accept, STR("text/event-stream")) != SIZE_MAX;
}

bool inbound_media_check(struct http_request *rq, struct inbound *in, struct err *e)
{
    struct str type = http_request_header(rq, STR("Content-Type"));
    struct str name = str_trim(str_slice(type, 0, str_find_char(type, ';')));
    if (!str_ieq(name, STR("application/json")))
        return err_set(e, ERR_UNSUPPORTED_MEDIA,
                       "Content-Type is \"%.*s\", expected application/json",
                       STR_FMT(str_slice(name, 0, 80)));
    struct str accept = http_request_header(rq, STR("Accept"));
    in->accepts_json = accepts(accept, STR("application/json"), STR("application/*"));
    /* "text/event-stream" is only used when it is asked for by name: a bare curl wants to read
     * JSON. */
    in->accepts_sse = names_event_stream(accept);
    if (!in->accepts_json && !in->accepts_sse)
        return err_set(e, ERR_NOT_ACCEPTABLE,
                       "Accept is \"%.*s\", expected application/json and text/event-stream",
                       STR_FMT(str_slice(accept, 0, 80)));
    return true;
}

bool inbound_header_decode(struct arena *a, struct str value, struct str *out)
{
    struct str prefix = STR("=?base64?"), suffix = STR("?=");
    *out = value;
    if (value.n < prefix.n + suffix.n || !str_starts(value, prefix) || !str_ends(value, suffix))
        return true;
    struct buf plain;
    buf_init(&plain, LIMIT_HEADER_BYTES);
    bool is_good =
        text_b64_decode(str_slice(value, prefix.n, value.n - prefix.n - suffix.n), &plain) &&
        text_is_utf8(buf_str(&plain));
    if (is_good)
        *out = arena_dup(a, buf_str(&plain));
    buf_end(&plain);
    return is_good && !str_is_absent(*out);
}

static bool name_header_decode(struct http_request *rq, struct str value, struct str *out,
                               struct err *e)
{
    return inbound_header_decode(rq->arena, value, out) ||
           err_set(e, ERR_HEADER_MISMATCH, "Mcp-Name is not valid base64 within =?base64?...?=");
}

struct str inbound_header_name(struct arena *a, const struct rpc_message *m)
{
    struct str task;
    if (str_eq(m->method, STR("tools/call")) || str_eq(m->method, STR("prompts/get")))
        return m->name_text;
    if (str_eq(m->method, STR("resources/read")))
        return m->uri_text;
    bool is_task = str_eq(m->method, STR("tasks/get")) || str_eq(m->method, STR("tasks/update")) ||
                   str_eq(m->method, STR("tasks/cancel"));
    if (is_task && !str_is_absent(m->task_id) && jscan_type(m->task_id) == JTYPE_STRING &&
        jscan_string(a, m->task_id, &task))
        return task;
    return STR_NONE;
}

/* Intermediaries pass on Mcp-Param-*; more than can be carried are refused, not lost. */
static bool param_headers_count(const struct http_request *rq, struct err *e)
{
    size_t n = 0;
    for (size_t i = 0; i < rq->n_headers; i++)
        n += str_ieq(str_slice(rq->headers[i].name, 0, 10), STR("Mcp-Param-")) ? 1 : 0;
    return n <= LIMIT_PARAM_HEADERS ||
           err_set(e, ERR_BAD_REQUEST, "there are %zu Mcp-Param headers, expected at most %d", n,
                   (int)LIMIT_PARAM_HEADERS);
}

static bool header_once(struct http_request *rq, struct str name, struct str *value, struct err *e)
{
    *value = str_trim(http_request_header(rq, name));
    return http_request_header_count(rq, name) <= 1 ||
           err_set(e, ERR_HEADER_MISMATCH, "the header %.*s occurs more than once", STR_FMT(name));
}

static bool stateless_headers_check(struct http_request *rq, struct inbound *in,
                                    struct str version_header, struct err *e)
{
    const struct rpc_message *m = &in->msg;
    if (!str_eq(version_header, m->protocol_version))
        return err_set(e, ERR_HEADER_MISMATCH,
                       "MCP-Protocol-Version is \"%.*s\", the body's _meta says \"%.*s\"",
                       STR_FMT(str_slice(version_header, 0, 40)),
                       STR_FMT(str_slice(m->protocol_version, 0, 40)));
    if (era_of_version(m->protocol_version) != ERA_STATELESS)
        return err_set(e, ERR_UNSUPPORTED_VERSION,
                       "protocol version \"%.*s\" is not supported with _meta",
                       STR_FMT(str_slice(m->protocol_version, 0, 40)));

    struct str method, name, decoded;
    if (!header_once(rq, STR("Mcp-Method"), &method, e) ||
        !header_once(rq, STR("Mcp-Name"), &name, e))
        return false;
    if (!str_eq(method, m->method))
        return err_set(e, ERR_HEADER_MISMATCH,
                       "Mcp-Method is \"%.*s\", the body's method is \"%.*s\"",
                       STR_FMT(str_slice(method, 0, 60)), STR_FMT(str_slice(m->method, 0, 60)));
    if (!param_headers_count(rq, e))
        return false;
    struct str wanted = inbound_header_name(rq->arena, m);
    if (str_is_absent(wanted))
        return true;
    if (!name_header_decode(rq, name, &decoded, e))
        return false;
    if (!str_eq(decoded, wanted))
        return err_set(e, ERR_HEADER_MISMATCH, "Mcp-Name is \"%.*s\", the body names \"%.*s\"",
                       STR_FMT(str_slice(decoded, 0, 80)), STR_FMT(str_slice(wanted, 0, 80)));
    return true;
}

/* A message that claims the stateless era, by _meta or by the version header. */
static bool stateless_read(struct http_request *rq, struct inbound *in, struct str version_header,
                           struct err *e)
{
    const struct rpc_message *m = &in->msg;
    in->era = ERA_STATELESS;
    in->version = str_is_absent(m->protocol_version) ? version_header : m->protocol_version;
    if (m->kind == RPC_NOTIFICATION)
        return true; /* the revision says nothing of their headers */
    if (str_is_absent(m->protocol_version))
        return err_set(e, ERR_INVALID,
                       "params._meta lacks \"io.modelcontextprotocol/protocolVersion\", expected a "
                       "string equal to the MCP-Protocol-Version header");
    if (str_is_absent(m->client_capabilities) || m->client_capabilities.p[0] != '{')
        return err_set(e, ERR_INVALID,
                       "params._meta lacks \"io.modelcontextprotocol/clientCapabilities\", "
                       "expected an object");
    return stateless_headers_check(rq, in, version_header, e);
}

static bool session_read(struct http_request *rq, struct inbound *in, struct str version_header,
                         struct err *e)
{
    in->era = ERA_SESSION;
    in->version = version_header;
    if (!str_is_absent(version_header) && era_of_version(version_header) == ERA_UNKNOWN)
        return err_set(e, ERR_BAD_REQUEST, "MCP-Protocol-Version \"%.*s\" is not known",
                       STR_FMT(str_slice(version_header, 0, 40)));
    in->session_handle = str_trim(http_request_header(rq, STR("Mcp-Session-Id")));
    if (in->session_handle.n == 0)
        in->session_handle = STR_NONE;
    bool is_initialize = in->msg.kind == RPC_REQUEST && str_eq(in->msg.method, STR("initialize"));
    in->is_bare = !is_initialize && str_is_absent(in->session_handle);
    return true;
}

static bool classify(struct http_request *rq, struct inbound *in, struct err *e)
{
    const struct rpc_message *m = &in->msg;
    struct str version;
    if (!header_once(rq, STR("MCP-Protocol-Version"), &version, e))
        return false;
    if (version.n == 0)
        version = STR_NONE;
    bool has_claim = !str_is_absent(m->protocol_version);
    bool is_stateless_header = era_of_version(version) == ERA_STATELESS;
    bool is_initialize = m->kind == RPC_REQUEST && str_eq(m->method, STR("initialize"));
    if (is_initialize && !has_claim && is_stateless_header)
        return err_set(e, ERR_HEADER_MISMATCH,
                       "initialize does not exist in MCP-Protocol-Version %.*s", STR_FMT(version));
    if (m->kind == RPC_RESPONSE)
        return is_stateless_header
                   ? err_set(e, ERR_BAD_REQUEST,
                             "a response was posted; revision %.*s has no requests to clients",
                             STR_FMT(version))
                   : session_read(rq, in, version, e);
    if (has_claim || is_stateless_header)
        return stateless_read(rq, in, version, e);
    return session_read(rq, in, version, e);
}

bool inbound_read(struct http_request *rq, struct inbound *in, struct err *e)
{
    *in = (struct inbound){.era = ERA_SESSION};
    if (!inbound_media_check(rq, in, e))
        return false;
    /* Until the body is understood, errors are written the way the header's era writes them. */
    if (era_of_version(str_trim(http_request_header(rq, STR("MCP-Protocol-Version")))) ==
        ERA_STATELESS)
        in->era = ERA_STATELESS;
    if (rpc_is_batch(rq->body))
        return err_set(e, ERR_BAD_REQUEST,
                       "the body is a JSON array, expected one JSON-RPC message");
    return rpc_parse(rq->arena, rq->body, &in->msg, e) && classify(rq, in, e);
}

void inbound_fail(struct http_request *rq, const struct inbound *in, int status,
                  const struct err *e)
{
    struct buf out;
    http_note_failure(rq, e);
    buf_init(&out, LIMIT_BODY_MCP);
    bool null_id = in->era != ERA_STATELESS;
    if (e->code == ERR_UNSUPPORTED_VERSION || in->offered != ERA_UNKNOWN) {
        struct buf versions;
        buf_init(&versions, 4096);
        era_write_supported(&versions, in->offered != ERA_UNKNOWN ? in->offered : ERA_STATELESS,
                            in->version);
        rpc_write_error(&out, in->msg.id, null_id, err_rpc(e->code), str_c(e->msg),
                        buf_str(&versions));
        buf_end(&versions);
    } else {
        rpc_error_from(&out, in->msg.id, null_id, e);
    }
    struct str body = arena_dup(rq->arena, buf_str(&out));
    buf_end(&out);
    http_answer(rq, status ? status : err_http(e->code), STR("application/json"), body);
}

void inbound_accepted(struct http_request *rq)
{
    http_answer(rq, 202, STR_NONE, STR_NONE);
}
