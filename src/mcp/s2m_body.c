/* A session client's request, written for a stateless server. */
#include "base/limits.h"
#include "json/jout.h"
#include "json/jscan.h"
#include "mcp/m2s_caps.h"
#include "mcp/s2m.h"

#define OWN "io.modelcontextprotocol/"

/* ---- what stands for the session ---- */

int s2m_caps(const struct client_session *s)
{
    const struct client_hello *hello = client_session_hello(s);
    int caps = m2s_caps_read(hello->capabilities);
    if (str_cmp(hello->version, STR("2025-11-25")) < 0)
        caps &= ~(M2S_URL | M2S_SAMPLING_TOOLS | M2S_SAMPLING_CONTEXT);
    if (str_cmp(hello->version, STR("2025-06-18")) < 0)
        caps &= ~M2S_FORM;
    return caps;
}

static void flag(struct jout *j, int caps, int cap, const char *name)
{
    if (caps & cap)
        jout_kraw(j, name, STR("{}"));
}

/* Extensions without core tasks' namesake, whose results a session client cannot follow. */
static void extensions_write(struct jout *j, struct str extensions)
{
    struct jiter it;
    jout_key(j, STR("extensions"));
    jout_object(j);
    for (jscan_iter(&it, extensions); jscan_next(&it);) {
        if (jscan_string_eq(it.key, STR(OWN "tasks")))
            continue;
        jout_raw_key(j, it.key);
        jout_raw(j, it.value);
    }
    jout_object_end(j);
}

static void capabilities_write(struct jout *j, const struct client_session *s, bool can_ask)
{
    struct jwant wants[] = {{.name = STR("extensions")}, {.name = STR("experimental")}};
    struct str declared = client_session_hello(s)->capabilities;
    int caps = can_ask ? s2m_caps(s) : 0;
    struct err ignored;
    jout_object(j);
    flag(j, caps, M2S_ROOTS, "roots");
    if (caps & M2S_SAMPLING) {
        jout_key(j, STR("sampling"));
        jout_object(j);
        flag(j, caps, M2S_SAMPLING_TOOLS, "tools");
        flag(j, caps, M2S_SAMPLING_CONTEXT, "context");
        jout_object_end(j);
    }
    if (caps & (M2S_FORM | M2S_URL)) {
        jout_key(j, STR("elicitation"));
        jout_object(j);
        flag(j, caps, M2S_FORM, "form");
        flag(j, caps, M2S_URL, "url");
        jout_object_end(j);
    }
    if (!str_is_absent(declared) && jscan_object(declared, wants, ARRAY_LEN(wants), &ignored)) {
        if (!str_is_absent(wants[0].value) && jscan_type(wants[0].value) == JTYPE_OBJECT)
            extensions_write(j, wants[0].value);
        if (!str_is_absent(wants[1].value))
            jout_kraw(j, "experimental", wants[1].value);
    }
    jout_object_end(j);
}

static void stamp_write(struct jout *j, const struct client_session *s, bool can_ask)
{
    const struct client_hello *hello = client_session_hello(s);
    struct str level = client_session_level(s);
    jout_kstr(j, OWN "protocolVersion", STR(MCP_STATELESS_LATEST));
    jout_key(j, STR(OWN "clientCapabilities"));
    capabilities_write(j, s, can_ask);
    if (!str_is_absent(hello->client_info))
        jout_kraw(j, OWN "clientInfo", hello->client_info);
    if (!str_is_absent(level))
        jout_kstr(j, OWN "logLevel", level);
}

struct str s2m_stamp(struct arena *a, const struct client_session *s, bool can_ask)
{
    struct buf out;
    struct jout j;
    buf_init(&out, (size_t)8 * LIMIT_SESSION_HELLO);
    jout_init(&j, &out);
    jout_object(&j);
    stamp_write(&j, s, can_ask);
    jout_object_end(&j);
    struct str text = buf_ok(&out) ? arena_dup(a, buf_str(&out)) : STR_NONE;
    buf_end(&out);
    return str_is_absent(text) ? text : str_slice(text, 1, text.n - 2);
}

/* ---- the request ---- */

static bool is_one_of(struct str key, const struct str *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (jscan_string_eq(key, names[i]))
            return true;
    return false;
}

/* The client's _meta keeps what is its own; what the revision reserves is Tulle's to say. */
static void meta_write(struct jout *j, struct proxied *p)
{
    static const struct str ours[] = {STR(OWN "protocolVersion"), STR(OWN "clientCapabilities"),
                                      STR(OWN "clientInfo"),      STR(OWN "logLevel"),
                                      STR(OWN "related-task"),    STR("progressToken")};
    const struct rpc_message *m = &p->in.msg;
    jout_key(j, STR("_meta"));
    jout_object(j);
    stamp_write(j, p->client, p->in.accepts_sse);
    if (!str_is_absent(m->progress_token))
        jout_kraw(j, "progressToken", p->hop_token);
    struct jiter it;
    if (!str_is_absent(m->meta))
        for (jscan_iter(&it, m->meta); jscan_next(&it);)
            if (!is_one_of(it.key, ours, ARRAY_LEN(ours))) {
                jout_raw_key(j, it.key);
                jout_raw(j, it.value);
            }
    jout_object_end(j);
}

/* One member of params; false when its cursor is not ours. */
static bool member_write(struct jout *j, struct proxied *p, const struct jiter *it, struct err *e)
{
    static const struct str dropped[] = {STR("_meta"), STR("task"), STR("inputResponses"),
                                         STR("requestState")};
    bool is_list = p->kind >= METHOD_LIST_TOOLS && p->kind <= METHOD_LIST_PROMPTS;
    struct str raw = it->value;
    if (is_one_of(it->key, dropped, ARRAY_LEN(dropped)))
        return true;
    if (is_list && jscan_string_eq(it->key, STR("cursor")) &&
        !proxied_cursor_open(p, it->value, &raw, e))
        return false;
    jout_raw_key(j, it->key);
    if (p->kind == METHOD_TOOL_CALL && p->tool && jscan_string_eq(it->key, STR("name")))
        jout_str(j, p->tool->name);
    else
        jout_raw(j, raw);
    return true;
}

bool s2m_body(struct proxied *p, const struct s2m_round *round, struct str *out, struct err *e)
{
    const struct rpc_message *m = &p->in.msg;
    struct buf text;
    struct jout j;
    buf_init(&text, (size_t)4 * LIMIT_BODY_MCP);
    jout_init(&j, &text);
    jout_object(&j);
    jout_kstr(&j, "jsonrpc", STR("2.0"));
    jout_kraw(&j, "id", p->hop_id);
    jout_kstr(&j, "method", m->method);
    jout_key(&j, STR("params"));
    jout_object(&j);
    meta_write(&j, p);
    bool is_good = true;
    struct jiter it;
    if (!str_is_absent(m->params))
        for (jscan_iter(&it, m->params); is_good && jscan_next(&it);)
            is_good = member_write(&j, p, &it, e);
    if (!str_is_absent(round->responses))
        jout_kraw(&j, "inputResponses", round->responses);
    if (!str_is_absent(round->state))
        jout_kraw(&j, "requestState", round->state);
    jout_object_end(&j);
    jout_object_end(&j);
    *out = is_good && buf_ok(&text) ? arena_dup(p->a, buf_str(&text)) : STR_NONE;
    bool is_large = is_good && !buf_ok(&text);
    buf_end(&text);
    if (!is_good)
        return false;
    if (is_large)
        return err_set(e, ERR_TOO_LARGE, "the client's answers are too large to be passed on");
    return !str_is_absent(*out) || err_set(e, ERR_UNAVAILABLE, "out of memory");
}
