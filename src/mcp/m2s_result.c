/* Results and errors of session servers for stateless clients. */
#include "mcp/m2s_result.h"

#include "base/limits.h"
#include "json/jout.h"
#include "json/jscan.h"
#include "mcp/eras.h"

#define META_PREFIX "io.modelcontextprotocol/"

static struct str finish(struct arena *a, struct buf *out)
{
    struct str text = buf_ok(out) ? arena_dup(a, buf_str(out)) : STR_NONE;
    buf_end(out);
    return text;
}

static bool is_one_of(struct str raw_key, const struct str *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (jscan_string_eq(raw_key, names[i]))
            return true;
    return false;
}

/* ---- requests ---- */

struct str m2s_meta(struct arena *a, struct str meta, struct str token)
{
    static const struct str dropped[] = {
        STR(META_PREFIX "protocolVersion"), STR(META_PREFIX "clientCapabilities"),
        STR(META_PREFIX "clientInfo"), STR(META_PREFIX "logLevel")};
    struct buf out;
    struct jiter it;
    bool is_first = true;
    buf_init(&out, LIMIT_BODY_MCP + LIMIT_BODY_SMALL);
    buf_add_char(&out, '{');
    for (jscan_iter(&it, meta); jscan_next(&it);) {
        if (is_one_of(it.key, dropped, ARRAY_LEN(dropped)))
            continue;
        if (!is_first)
            buf_add_char(&out, ',');
        is_first = false;
        buf_add(&out, it.key);
        buf_add_char(&out, ':');
        buf_add(&out, jscan_string_eq(it.key, STR("progressToken")) ? token : it.value);
    }
    buf_add_char(&out, '}');
    return finish(a, &out);
}

/* ---- results ---- */

struct str m2s_members(bool is_cacheable)
{
    return is_cacheable ? STR("\"resultType\":\"complete\",\"ttlMs\":0,\"cacheScope\":\"private\"")
                        : STR("\"resultType\":\"complete\"");
}

struct str m2s_meta_member(struct arena *a, struct str server_info)
{
    if (str_is_absent(server_info) || jscan_type(server_info) != JTYPE_OBJECT)
        server_info = STR("{\"name\":\"unknown\",\"version\":\"\"}");
    return arena_printf(a, "\"" META_PREFIX "serverInfo\":%.*s", STR_FMT(server_info));
}

static void meta_write(struct buf *out, struct str meta, struct str meta_member)
{
    static const struct str replaced[] = {STR(META_PREFIX "serverInfo")};
    struct jiter it;
    buf_add(out, STR(",\"_meta\":{"));
    buf_add(out, meta_member);
    if (!str_is_absent(meta) && jscan_type(meta) == JTYPE_OBJECT)
        for (jscan_iter(&it, meta); jscan_next(&it);) {
            if (is_one_of(it.key, replaced, ARRAY_LEN(replaced)))
                continue;
            buf_add_char(out, ',');
            buf_add(out, it.key);
            buf_add_char(out, ':');
            buf_add(out, it.value);
        }
    buf_add_char(out, '}');
}

bool m2s_stamp(struct arena *a, struct str result, struct str members, struct str meta_member,
               struct str *out, struct err *e)
{
    static const struct str ours[] = {STR("resultType"), STR("ttlMs"),         STR("cacheScope"),
                                      STR("_meta"),      STR("inputRequests"), STR("requestState")};
    if (jscan_type(result) != JTYPE_OBJECT)
        return err_set(e, ERR_UPSTREAM, "the server's result is not an object");
    struct buf text;
    struct jiter it;
    buf_init(&text, (size_t)2 * LIMIT_ANSWER_HELD);
    buf_add_char(&text, '{');
    buf_add(&text, members);
    for (jscan_iter(&it, result); jscan_next(&it);) {
        if (is_one_of(it.key, ours, ARRAY_LEN(ours)))
            continue;
        buf_add_char(&text, ',');
        buf_add(&text, it.key);
        buf_add_char(&text, ':');
        buf_add(&text, it.value);
    }
    meta_write(&text, jscan_member(result, STR("_meta")), meta_member);
    buf_add_char(&text, '}');
    *out = finish(a, &text);
    return !str_is_absent(*out) || err_set(e, ERR_UNAVAILABLE, "out of memory");
}

/* ---- errors ---- */

int64_t m2s_error_code(struct str error)
{
    int64_t code = 0;
    struct str raw = jscan_member(error, STR("code"));
    return !str_is_absent(raw) && jscan_i64(raw, &code) ? code : 0;
}

struct str m2s_error(struct arena *a, struct str error, struct str uri)
{
    enum {
        NO_RESOURCE = -32002,
        URL_ELICITATION = -32042,
        RESERVED_LOW = -32099,
        RESERVED_HIGH = -32020,
        INVALID_PARAMS = -32602,
        INTERNAL = -32603
    };
    int64_t code = m2s_error_code(error);
    bool is_reserved = (code >= RESERVED_LOW && code <= RESERVED_HIGH) || code == URL_ELICITATION;
    struct str data = jscan_member(error, STR("data")),
               message = jscan_member(error, STR("message"));
    /* SDK v1 says -32602 itself, and nothing more. */
    bool is_missing = (code == NO_RESOURCE || (code == INVALID_PARAMS && str_is_absent(data))) &&
                      !str_is_absent(uri);
    if (!is_reserved && code != NO_RESOURCE && !is_missing)
        return error;
    struct buf out;
    struct jout j;
    buf_init(&out, LIMIT_ANSWER_HELD);
    jout_init(&j, &out);
    jout_object(&j);
    jout_ki64(&j, "code", is_missing ? INVALID_PARAMS : INTERNAL);
    bool has_text = !str_is_absent(message) && jscan_type(message) == JTYPE_STRING;
    jout_kraw(&j, "message", has_text ? message : STR("\"\""));
    bool names_uri = !str_is_absent(data) && jscan_type(data) == JTYPE_OBJECT &&
                     !str_is_absent(jscan_member(data, STR("uri")));
    if (is_missing && names_uri) {
        jout_kraw(&j, "data", data);
    } else {
        jout_key(&j, STR("data"));
        jout_object(&j);
        if (is_missing)
            jout_kraw(&j, "uri", uri);
        else
            jout_ki64(&j, "code", code);
        if (!is_missing && !str_is_absent(data))
            jout_kraw(&j, "data", data);
        jout_object_end(&j);
    }
    jout_object_end(&j);
    return finish(a, &out);
}

/* ---- initialize ---- */

struct str m2s_server_info(struct str initialize)
{
    return jscan_member(initialize, STR("serverInfo"));
}

bool m2s_server_has(struct str initialize, const char *capability, const char *flag)
{
    struct str found =
        jscan_member(jscan_member(initialize, STR("capabilities")), str_c(capability));
    if (str_is_absent(found) || jscan_type(found) != JTYPE_OBJECT)
        return false;
    struct str value = flag ? jscan_member(found, str_c(flag)) : found;
    return !str_is_absent(value) && (!flag || jscan_type(value) == JTYPE_TRUE);
}

bool m2s_discover(struct arena *a, struct str initialize, struct str *out, struct err *e)
{
    struct str capabilities = jscan_member(initialize, STR("capabilities"));
    struct str instructions = jscan_member(initialize, STR("instructions"));
    struct str info = m2s_meta_member(a, m2s_server_info(initialize));
    struct buf text;
    struct jout j;
    struct jiter it;
    buf_init(&text, LIMIT_ANSWER_HELD);
    jout_init(&j, &text);
    buf_add(&text, STR("{"));
    buf_add(&text, m2s_members(true));
    buf_add(&text, STR(",\"supportedVersions\":[\"" MCP_STATELESS_LATEST "\"],\"capabilities\":"));
    jout_object(&j);
    if (!str_is_absent(capabilities) && jscan_type(capabilities) == JTYPE_OBJECT)
        for (jscan_iter(&it, capabilities); jscan_next(&it);) {
            struct str name;
            if (jscan_string(a, it.key, &name) && !str_eq(name, STR("tasks"))) {
                jout_key(&j, name);
                jout_raw(&j, it.value);
            }
        }
    jout_object_end(&j);
    if (!str_is_absent(instructions) && jscan_type(instructions) == JTYPE_STRING) {
        buf_add(&text, STR(",\"instructions\":"));
        buf_add(&text, instructions);
    }
    buf_add(&text, STR(",\"_meta\":{"));
    buf_add(&text, info);
    buf_add(&text, STR("}}"));
    *out = str_is_absent(info) ? STR_NONE : finish(a, &text);
    return !str_is_absent(*out) || err_set(e, ERR_UNAVAILABLE, "out of memory");
}

/* ---- log levels ---- */

static const char *const levels[] = {"debug", "info",     "notice", "warning",
                                     "error", "critical", "alert",  "emergency"};

int m2s_level(struct str raw)
{
    if (str_is_absent(raw) || jscan_type(raw) != JTYPE_STRING)
        return -1;
    for (int i = 0; i < (int)ARRAY_LEN(levels); i++)
        if (jscan_string_eq(raw, str_c(levels[i])))
            return i;
    return -1;
}

const char *m2s_level_name(int rank)
{
    return levels[rank];
}
