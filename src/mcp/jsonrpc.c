#include "mcp/jsonrpc.h"

#include "mcp/lookalike.h"

#include <stdlib.h>

#include "base/limits.h"
#include "json/jout.h"
#include "json/jscan.h"

#define META_PREFIX "io.modelcontextprotocol/"

/* What was seen beside the message's fields, for the search of lookalikes: where every member is
 * one that was asked for, by its exact name, there is none to look for (no name asked for is itself
 * the lookalike of another). */
struct seen {
    size_t top_others, params_others, meta_others;
    struct str notifications; /* params.notifications */
};

/* What a raw value looks like in a message: its type when it is long or a container. */
static struct str shown(struct str raw)
{
    enum { SHOWN_MAX = 60 };
    if (str_is_absent(raw))
        return STR("nothing");
    switch (jscan_type(raw)) {
    case JTYPE_OBJECT:
        return STR("an object");
    case JTYPE_ARRAY:
        return STR("an array");
    case JTYPE_STRING:
        return raw.n > SHOWN_MAX ? STR("a long string") : raw;
    default:
        return raw.n > SHOWN_MAX ? STR("a long number") : raw;
    }
}

static bool is_type(struct str raw, enum jtype type)
{
    return !str_is_absent(raw) && jscan_type(raw) == type;
}

static bool is_string_or_number(struct str raw)
{
    return is_type(raw, JTYPE_STRING) || is_type(raw, JTYPE_NUMBER);
}

static bool is_integer(struct str raw)
{
    if (!is_type(raw, JTYPE_NUMBER))
        return false;
    return str_find_char(raw, '.') == SIZE_MAX && str_find_char(raw, 'e') == SIZE_MAX &&
           str_find_char(raw, 'E') == SIZE_MAX;
}

static bool wrong(struct err *e, enum err_code code, const char *where, struct str given,
                  const char *expected)
{
    struct str s = shown(given);
    return err_set(e, code, "%s: given %.*s, expected %s", where, STR_FMT(s), expected);
}

/* jscan_object_others on a part of the message; a failure says which. */
static bool scan_part(struct str object, const char *where, struct jwant *wants, size_t n,
                      size_t *n_others, struct err *e)
{
    struct err inner;
    if (jscan_object_others(object, wants, n, n_others, &inner))
        return true;
    return err_set(e, inner.code, "%s: %s", where, inner.msg);
}

static bool unescape(struct arena *a, struct str raw, const char *where, struct str *out,
                     struct err *e)
{
    return jscan_string(a, raw, out) ||
           wrong(e, ERR_INVALID, where, raw, "a string without \\u0000");
}

static bool read_meta(struct arena *a, struct rpc_message *m, struct seen *seen, struct err *e)
{
    struct jwant wants[] = {{STR("progressToken"), STR_NONE},
                            {STR(META_PREFIX "protocolVersion"), STR_NONE},
                            {STR(META_PREFIX "clientCapabilities"), STR_NONE},
                            {STR(META_PREFIX "clientInfo"), STR_NONE},
                            {STR(META_PREFIX "logLevel"), STR_NONE}};
    if (str_is_absent(m->meta))
        return true;
    if (!is_type(m->meta, JTYPE_OBJECT))
        return wrong(e, ERR_INVALID, "params._meta", m->meta, "an object");
    if (!scan_part(m->meta, "params._meta", wants, ARRAY_LEN(wants), &seen->meta_others, e))
        return false;
    m->progress_token = wants[0].value;
    m->client_capabilities = wants[2].value;
    m->client_info = wants[3].value;
    m->log_level = wants[4].value;
    if (!str_is_absent(m->progress_token) && !is_string_or_number(m->progress_token))
        return wrong(e, ERR_INVALID, "params._meta.progressToken", m->progress_token,
                     "a string or a number");
    return str_is_absent(wants[1].value) ||
           unescape(a, wants[1].value, "params._meta." META_PREFIX "protocolVersion",
                    &m->protocol_version, e);
}

/* A name or URI is read only where it is a string: methods that nobody knows may mean something
 * else by it. */
static bool read_text(struct arena *a, struct str raw, const char *where, struct str *out,
                      struct err *e)
{
    return !is_type(raw, JTYPE_STRING) || unescape(a, raw, where, out, e);
}

static bool read_params(struct arena *a, struct rpc_message *m, struct seen *seen, struct err *e)
{
    struct jwant wants[] = {{STR("name"), STR_NONE},          {STR("uri"), STR_NONE},
                            {STR("arguments"), STR_NONE},     {STR("cursor"), STR_NONE},
                            {STR("level"), STR_NONE},         {STR("ref"), STR_NONE},
                            {STR("_meta"), STR_NONE},         {STR("taskId"), STR_NONE},
                            {STR("progressToken"), STR_NONE}, {STR("requestId"), STR_NONE},
                            {STR("notifications"), STR_NONE}};
    size_t ignored;
    if (str_is_absent(m->params))
        return true;
    if (!is_type(m->params, JTYPE_OBJECT))
        return wrong(e, ERR_INVALID, "params", m->params, "an object");
    if (!scan_part(m->params, "params", wants, ARRAY_LEN(wants), &seen->params_others, e))
        return false;
    m->name = wants[0].value;
    m->uri = wants[1].value;
    m->arguments = wants[2].value;
    m->cursor = wants[3].value;
    m->level = wants[4].value;
    m->ref = wants[5].value;
    m->meta = wants[6].value;
    m->task_id = wants[7].value;
    m->params_progress_token = is_string_or_number(wants[8].value) ? wants[8].value : STR_NONE;
    m->request_id = is_string_or_number(wants[9].value) ? wants[9].value : STR_NONE;
    seen->notifications = wants[10].value;
    if (is_type(m->ref, JTYPE_OBJECT) && !scan_part(m->ref, "params.ref", NULL, 0, &ignored, e))
        return false;
    return read_text(a, m->name, "params.name", &m->name_text, e) &&
           read_text(a, m->uri, "params.uri", &m->uri_text, e) && read_meta(a, m, seen, e);
}

static bool check_id(struct rpc_message *m, struct str id, struct err *e)
{
    if (!is_type(id, JTYPE_STRING) && !is_integer(id))
        return wrong(e, ERR_BAD_REQUEST, "id", id, "a string or an integer");
    if (id.n > LIMIT_RPC_ID)
        return err_set(e, ERR_BAD_REQUEST, "id: given %zu bytes, expected at most %d", id.n,
                       LIMIT_RPC_ID);
    m->id = id;
    return true;
}

static bool read_response(struct rpc_message *m, struct str id, struct err *e)
{
    m->kind = RPC_RESPONSE;
    if (!str_is_absent(m->result) && !str_is_absent(m->error))
        return err_set(e, ERR_BAD_REQUEST,
                       "given both \"result\" and \"error\", expected one of them");
    if (!str_is_absent(m->error) && !is_type(m->error, JTYPE_OBJECT))
        return wrong(e, ERR_BAD_REQUEST, "error", m->error, "an object");
    bool answers_nothing =
        !str_is_absent(m->error) && (str_is_absent(id) || is_type(id, JTYPE_NULL));
    return answers_nothing || check_id(m, id, e);
}

bool rpc_is_batch(struct str body)
{
    struct str text = str_trim(body);
    return text.n > 0 && text.p[0] == '[';
}

/* Every member that is read here, at its level. */
static bool lookalikes_check(struct arena *a, const struct rpc_message *m, const struct seen *seen,
                             struct err *e)
{
    static const struct str top[] = {STR("jsonrpc"), STR("id"),     STR("method"),
                                     STR("params"),  STR("result"), STR("error")};
    static const struct str params[] = {STR("name"),          STR("uri"),          STR("arguments"),
                                        STR("cursor"),        STR("level"),        STR("ref"),
                                        STR("taskId"),        STR("_meta"),        STR("requestId"),
                                        STR("progressToken"), STR("notifications")};
    static const struct str meta[] = {STR("progressToken"),
                                      STR("io.modelcontextprotocol/protocolVersion")};
    static const struct str ref[] = {STR("type"), STR("name"), STR("uri")};
    static const struct str filter[] = {STR("resourceSubscriptions")};
    if (seen->top_others > 0 && !lookalike_check(a, m->raw, top, ARRAY_LEN(top), "", e))
        return false;
    if (!is_type(m->params, JTYPE_OBJECT))
        return true; /* read_params says so */
    if (seen->params_others > 0 &&
        !lookalike_check(a, m->params, params, ARRAY_LEN(params), "params", e))
        return false;
    if (is_type(m->meta, JTYPE_OBJECT) && seen->meta_others > 0 &&
        !lookalike_check(a, m->meta, meta, ARRAY_LEN(meta), "_meta", e))
        return false;
    if (is_type(m->ref, JTYPE_OBJECT) && !lookalike_check(a, m->ref, ref, ARRAY_LEN(ref), "ref", e))
        return false;
    return !is_type(seen->notifications, JTYPE_OBJECT) ||
           lookalike_check(a, seen->notifications, filter, ARRAY_LEN(filter), "notifications", e);
}

static bool lengths_check(const struct rpc_message *m, struct err *e)
{
    const struct {
        const char *what;
        size_t n, max;
    } texts[] = {{"method", m->method.n, LIMIT_RPC_METHOD},
                 {"params.name", m->name_text.n, LIMIT_TOOL_NAME},
                 {"params.uri", m->uri_text.n, LIMIT_RESOURCE_URI}};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        if (texts[i].n > texts[i].max)
            return err_set(e, ERR_INVALID, "%s: given %zu bytes, expected at most %zu",
                           texts[i].what, texts[i].n, texts[i].max);
    return true;
}

bool rpc_parse(struct arena *a, struct str body, struct rpc_message *out, struct err *e)
{
    struct jwant wants[] = {{STR("jsonrpc"), STR_NONE}, {STR("id"), STR_NONE},
                            {STR("method"), STR_NONE},  {STR("params"), STR_NONE},
                            {STR("result"), STR_NONE},  {STR("error"), STR_NONE}};
    struct seen seen = {0};
    *out = (struct rpc_message){.raw = body};
    if (rpc_is_batch(body))
        return jscan_valid(body, e) &&
               err_set(e, ERR_BAD_REQUEST,
                       "batches are not supported: given an array, expected one message");
    if (!jscan_object_others(body, wants, ARRAY_LEN(wants), &seen.top_others, e))
        return false;
    struct str version = wants[0].value, id = wants[1].value, method = wants[2].value;
    out->params = wants[3].value;
    out->result = wants[4].value;
    out->error = wants[5].value;
    bool is_answer = !str_is_absent(out->result) || !str_is_absent(out->error);
    out->kind = str_is_absent(id) ? RPC_NOTIFICATION : RPC_REQUEST;
    if (!is_answer && !str_is_absent(id) && !check_id(out, id, e))
        return false;
    if (str_is_absent(version) || !jscan_string_eq(version, STR("2.0")))
        return wrong(e, ERR_BAD_REQUEST, "jsonrpc", version, "\"2.0\"");
    if (is_answer && !str_is_absent(method))
        return err_set(
            e, ERR_BAD_REQUEST,
            "given \"method\" beside \"result\" or \"error\", expected a request or a response");
    if (is_answer)
        return read_response(out, id, e);
    if (!is_type(method, JTYPE_STRING) || method.n <= 2)
        return wrong(e, ERR_BAD_REQUEST, "method", method, "the name of a method");
    if (!jscan_string(a, method, &out->method))
        return err_set(e, ERR_BAD_REQUEST, "method: expected a name without \\u0000");
    return read_params(a, out, &seen, e) && lookalikes_check(a, out, &seen, e) &&
           lengths_check(out, e);
}

struct str rpc_quote(struct arena *a, struct str text)
{
    struct buf out;
    struct jout j;
    buf_init(&out, LIMIT_BODY_MCP);
    jout_init(&j, &out);
    jout_str(&j, text);
    struct str raw = buf_ok(&out) ? arena_dup(a, buf_str(&out)) : STR_NONE;
    buf_end(&out);
    return raw;
}

void rpc_write_result(struct buf *out, struct str id_raw, struct str result_raw)
{
    struct jout j;
    jout_init(&j, out);
    jout_object(&j);
    jout_kstr(&j, "jsonrpc", STR("2.0"));
    jout_kraw(&j, "id", id_raw);
    jout_kraw(&j, "result", result_raw);
    jout_object_end(&j);
}

void rpc_write_error(struct buf *out, struct str id_raw, bool null_id, int code, struct str message,
                     struct str data_raw)
{
    struct jout j;
    jout_init(&j, out);
    jout_object(&j);
    jout_kstr(&j, "jsonrpc", STR("2.0"));
    if (null_id || !str_is_absent(id_raw))
        jout_kraw(&j, "id", id_raw);
    jout_key(&j, STR("error"));
    jout_object(&j);
    jout_ki64(&j, "code", code);
    jout_kstr(&j, "message", str_is_absent(message) ? STR("") : message);
    if (!str_is_absent(data_raw))
        jout_kraw(&j, "data", data_raw);
    jout_object_end(&j);
    jout_object_end(&j);
}

void rpc_error_from(struct buf *out, struct str id_raw, bool null_id, const struct err *e)
{
    struct buf reason;
    buf_init(&reason, sizeof e->msg);
    struct jout j;
    jout_init(&j, &reason);
    jout_object(&j);
    jout_kstr(&j, "reason", str_c(err_text(e->code)));
    jout_object_end(&j);
    rpc_write_error(out, id_raw, null_id, err_rpc(e->code), str_c(e->msg), buf_str(&reason));
    buf_end(&reason);
}

static int edit_order(const void *a, const void *b)
{
    const struct rpc_edit *x = a, *y = b;
    if (x->span.p != y->span.p)
        return x->span.p < y->span.p ? -1 : 1;
    return (x->span.n > y->span.n) -
           (x->span.n < y->span.n); /* an insertion before what stands there */
}

struct str rpc_replace(struct arena *a, struct str text, const struct rpc_edit *edits, size_t n)
{
    struct rpc_edit *sorted = arena_alloc(a, (n + 1) * sizeof *sorted);
    if (!sorted)
        return STR_NONE;
    size_t total = text.n, used = 0;
    for (size_t i = 0; i < n; i++) {
        if (str_is_absent(edits[i].span))
            continue;
        ensure(edits[i].span.p >= text.p && edits[i].span.p + edits[i].span.n <= text.p + text.n);
        total += edits[i].with.n;
        sorted[used++] = edits[i];
    }
    qsort(sorted, used, sizeof *sorted, edit_order);
    char *start = arena_alloc(a, total + 1), *to = start;
    if (!start)
        return STR_NONE;
    const char *from = text.p;
    sorted[used].span = (struct str){text.p + text.n, 0};
    for (size_t i = 0; i <= used; i++) {
        struct str span = sorted[i].span, with = sorted[i].with;
        ensure(span.p >= from);
        to = mempcpy(to, from, (size_t)(span.p - from));
        to = with.n > 0 ? mempcpy(to, with.p, with.n) : to;
        from = span.p + span.n;
    }
    return (struct str){start, (size_t)(to - start)};
}
