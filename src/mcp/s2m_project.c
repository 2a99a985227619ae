/* A stateless server's answers as session clients know them. */
#include "base/limits.h"
#include "json/jout.h"
#include "json/jscan.h"
#include "mcp/s2m.h"

/* ---- schemas and structured content ---- */

/* Session clients know outputs that are objects only; anything else is shown as {"result": it}. */
static bool is_wrapped(struct str output_schema)
{
    struct str type = jscan_member(output_schema, STR("type"));
    return !str_is_absent(output_schema) &&
           (str_is_absent(type) || !jscan_string_eq(type, STR("object")));
}

/* References in the schema are resolved from its root, which is the wrapper now: its definitions
 * move along. */
static void schema_wrap(struct jout *j, struct str schema)
{
    static const char *const moved[] = {"$schema", "$defs", "definitions"};
    jout_object(j);
    jout_kstr(j, "type", STR("object"));
    for (size_t i = 0; i < ARRAY_LEN(moved); i++) {
        struct str value = jscan_member(schema, str_c(moved[i]));
        if (!str_is_absent(value))
            jout_kraw(j, moved[i], value);
    }
    jout_key(j, STR("properties"));
    jout_object(j);
    jout_kraw(j, "result", schema);
    jout_object_end(j);
    jout_kraw(j, "required", STR("[\"result\"]"));
    jout_object_end(j);
}

static void tool_write(struct jout *j, struct str tool)
{
    struct jiter it;
    jout_object(j);
    for (jscan_iter(&it, tool); jscan_next(&it);) {
        jout_raw_key(j, it.key);
        if (jscan_string_eq(it.key, STR("outputSchema")) && is_wrapped(it.value))
            schema_wrap(j, it.value);
        else
            jout_raw(j, it.value);
    }
    jout_object_end(j);
}

/* Tools that no HTTP client may call as the server wants it are not shown. */
static void tools_write(struct jout *j, struct arena *a, struct str tools)
{
    struct jiter it;
    jout_array(j);
    for (jscan_iter(&it, tools); jscan_next(&it);) {
        if (!s2m_tool_is_valid(a, it.value))
            continue;
        if (is_wrapped(jscan_member(it.value, STR("outputSchema"))))
            tool_write(j, it.value);
        else
            jout_raw(j, it.value);
    }
    jout_array_end(j);
}

/* ---- results ---- */

static bool is_stateless_only(struct str key)
{
    return jscan_string_eq(key, STR("resultType")) || jscan_string_eq(key, STR("ttlMs")) ||
           jscan_string_eq(key, STR("cacheScope"));
}

static void result_write(struct jout *j, struct proxied *p, struct str result)
{
    struct jiter it;
    bool wraps =
        p->kind == METHOD_TOOL_CALL && is_wrapped(jscan_member(p->definition, STR("outputSchema")));
    jout_object(j);
    for (jscan_iter(&it, result); jscan_next(&it);) {
        if (is_stateless_only(it.key))
            continue;
        jout_raw_key(j, it.key);
        bool is_structured =
            p->kind == METHOD_TOOL_CALL && jscan_string_eq(it.key, STR("structuredContent"));
        if (is_structured && (wraps || jscan_type(it.value) != JTYPE_OBJECT)) {
            jout_object(j);
            jout_kraw(j, "result", it.value);
            jout_object_end(j);
        } else if (p->kind == METHOD_LIST_TOOLS && jscan_string_eq(it.key, STR("tools")) &&
                   jscan_type(it.value) == JTYPE_ARRAY) {
            tools_write(j, p->a, it.value);
        } else {
            jout_raw(j, it.value);
        }
    }
    jout_object_end(j);
}

bool s2m_project(struct proxied *p, struct str text, struct str *out, struct err *e)
{
    struct str result = jscan_member(text, STR("result"));
    *out = text;
    if (str_is_absent(result) || jscan_type(result) != JTYPE_OBJECT)
        return true;
    struct buf written;
    struct jout j;
    buf_init(&written, (size_t)2 * LIMIT_ANSWER_HELD + LIMIT_BODY_MCP);
    jout_init(&j, &written);
    result_write(&j, p, result);
    struct rpc_edit edit = {result, buf_str(&written)};
    *out = buf_ok(&written) ? rpc_replace(p->a, text, &edit, 1) : STR_NONE;
    buf_end(&written);
    return !str_is_absent(*out) || err_set(e, ERR_UNAVAILABLE, "out of memory");
}

/* ---- errors ---- */

struct str s2m_failure(struct proxied *p, struct str message)
{
    struct buf out;
    struct jout j;
    buf_init(&out, LIMIT_BODY_MCP);
    jout_init(&j, &out);
    if (p->kind == METHOD_TOOL_CALL) {
        jout_object(&j);
        jout_kstr(&j, "jsonrpc", STR("2.0"));
        jout_kraw(&j, "id", p->hop_id);
        jout_key(&j, STR("result"));
        jout_object(&j);
        jout_key(&j, STR("content"));
        jout_array(&j);
        jout_object(&j);
        jout_kstr(&j, "type", STR("text"));
        jout_kstr(&j, "text", message);
        jout_object_end(&j);
        jout_array_end(&j);
        jout_kbool(&j, "isError", true);
        jout_object_end(&j);
        jout_object_end(&j);
    } else {
        rpc_write_error(&out, p->hop_id, false, -32603, message, STR_NONE);
    }
    struct str text = buf_ok(&out) ? arena_dup(p->a, buf_str(&out)) : STR_NONE;
    buf_end(&out);
    return text;
}

static struct str capability_missing(struct proxied *p, struct str data)
{
    struct str required = jscan_member(data, STR("requiredCapabilities"));
    if (!p->in.accepts_sse)
        return s2m_failure(p, STR("the server has to ask the client something, and the client's "
                                  "connection cannot carry requests (its Accept lacks "
                                  "text/event-stream)"));
    return s2m_failure(
        p, arena_printf(p->a,
                        "the server needs something of the client that it does not support: %.*s",
                        STR_FMT(str_is_absent(required) ? STR("a capability it did not declare")
                                                        : str_slice(required, 0, 400))));
}

static struct str with_code(struct proxied *p, int code, struct str message_raw, struct str data)
{
    struct buf out;
    struct str message;
    if (str_is_absent(message_raw) || !jscan_string(p->a, message_raw, &message))
        message = STR("the server failed");
    buf_init(&out, LIMIT_BODY_MCP);
    rpc_write_error(&out, p->hop_id, false, code, message, data);
    struct str text = buf_ok(&out) ? arena_dup(p->a, buf_str(&out)) : STR_NONE;
    buf_end(&out);
    return text;
}

struct str s2m_error(struct proxied *p, struct str error)
{
    struct jwant wants[] = {{.name = STR("code")}, {.name = STR("message")}, {.name = STR("data")}};
    struct err ignored;
    int64_t code = 0;
    if (!jscan_object(error, wants, ARRAY_LEN(wants), &ignored) || str_is_absent(wants[0].value) ||
        !jscan_i64(wants[0].value, &code))
        code = -32603;
    bool is_about_uri = !str_is_absent(jscan_member(wants[2].value, STR("uri")));
    if (code == -32021)
        return capability_missing(p, wants[2].value);
    if (code == -32602 && str_eq(p->in.msg.method, STR("resources/read")) && is_about_uri)
        return with_code(p, -32002, wants[1].value, wants[2].value);
    if (code == -32022)
        return s2m_failure(p, STR("the server was upgraded to a revision that this proxy does not "
                                  "speak"));
    if (code <= -32020 && code >= -32099) /* numbers that session clients do not know */
        return with_code(p, -32603, wants[1].value, wants[2].value);
    return arena_printf(p->a, "{\"jsonrpc\":\"2.0\",\"id\":%.*s,\"error\":%.*s}",
                        STR_FMT(p->hop_id), STR_FMT(error));
}
