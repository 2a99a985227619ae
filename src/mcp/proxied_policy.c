/* What a message wants, and whether its sender may have it. */
#include "base/limits.h"
#include "json/jscan.h"
#include "mcp/proxied.h"

static const struct {
    struct str method;
    enum method_kind kind;
} methods[] = {
    {STR("initialize"), METHOD_INITIALIZE},
    {STR("tools/call"), METHOD_TOOL_CALL},
    {STR("tools/list"), METHOD_LIST_TOOLS},
    {STR("resources/list"), METHOD_LIST_RESOURCES},
    {STR("resources/templates/list"), METHOD_LIST_TEMPLATES},
    {STR("resources/read"), METHOD_RESOURCE},
    {STR("resources/subscribe"), METHOD_RESOURCE},
    {STR("resources/unsubscribe"), METHOD_RESOURCE},
    {STR("prompts/list"), METHOD_LIST_PROMPTS},
    {STR("prompts/get"), METHOD_PROMPT},
    {STR("completion/complete"), METHOD_COMPLETE},
    {STR("subscriptions/listen"), METHOD_LISTEN},
    {STR("ping"), METHOD_PLAIN},
    {STR("logging/setLevel"), METHOD_PLAIN},
    {STR("server/discover"), METHOD_PLAIN},
};

enum method_kind method_kind_of(struct str method)
{
    for (size_t i = 0; i < ARRAY_LEN(methods); i++)
        if (str_eq(methods[i].method, method))
            return methods[i].kind;
    return METHOD_OTHER;
}

/* What the stateless revision took away (MCP 2026-07-28, changelog); it must read as unknown. */
static bool is_removed(const struct proxied *p)
{
    static const struct str removed[] = {STR("initialize"), STR("ping"), STR("logging/setLevel"),
                                         STR("resources/subscribe"), STR("resources/unsubscribe")};
    for (size_t i = 0; i < ARRAY_LEN(removed); i++)
        if (p->in.era == ERA_STATELESS && str_eq(removed[i], p->in.msg.method))
            return true;
    return false;
}

static struct policy_verdict decide(const struct proxied *p, enum policy_action action,
                                    struct str name, const struct connection_tool *tool)
{
    struct policy_target target = {.connection_id = p->entry->conn.id,
                                   .virtual_id = p->view ? p->view->virtual_id : STR_NONE,
                                   .name = name,
                                   .effect = registry_tool_effect(tool),
                                   .is_tool_enabled = !tool || tool->enabled};
    return policy_decide(p->caller, action, &target);
}

bool proxied_may_see(const struct proxied *p, enum policy_action action, struct str name,
                     const struct connection_tool *tool)
{
    return decide(p, action, name, tool).is_allowed;
}

/* Servers resolve what they are given: a URI that another spelling would reach is judged by no
 * pattern of ours. Plain: no controls, spaces or backslashes, a lower-case scheme and host, no dot
 * segments. */
static bool uri_is_plain(struct str uri)
{
    size_t path = str_find(uri, STR("://"));
    bool is_host = true;
    for (size_t i = 0; i < uri.n; i++) {
        unsigned char c = (unsigned char)uri.p[i];
        is_host = is_host && (path == SIZE_MAX || i < path + 3 || c != '/');
        if (c <= 0x20 || c == 0x7F || c == '\\' ||
            (is_host && path != SIZE_MAX && c >= 'A' && c <= 'Z'))
            return false;
    }
    struct str rest = str_slice(uri, 0, str_find_char(uri, '?')), segment;
    while (str_next(&rest, '/', &segment)) {
        char dots[7] = {0};
        size_t n = 0;
        for (size_t i = 0; i < segment.n && n < sizeof(dots); i++, n++) {
            bool is_coded = str_ieq(str_slice(segment, i, 3), STR("%2e"));
            dots[n] = (char)(is_coded ? '.' : segment.p[i]);
            i += is_coded ? 2 : 0;
        }
        if ((n == 1 && dots[0] == '.') || (n == 2 && dots[0] == '.' && dots[1] == '.'))
            return false;
    }
    return true;
}

/* Where the caller may not know an object, it hears what it would hear of one that does not exist.
 */
static bool check(const struct proxied *p, enum policy_action action, struct str name,
                  const char *what, struct err *e)
{
    if (name.n > LIMIT_RESOURCE_URI)
        return err_set(e, ERR_INVALID, "a name or URI of %zu bytes, expected at most %d", name.n,
                       (int)LIMIT_RESOURCE_URI);
    struct policy_verdict verdict = decide(p, action, name, p->tool);
    bool is_narrowed = p->caller->n_statements > 0 || p->caller->tools != NULL;
    if (action == POLICY_RESOURCE && is_narrowed && !uri_is_plain(name)) {
        err_set(e, ERR_NOT_FOUND, "%s: %.*s", what, STR_FMT(str_slice(name, 0, 120)));
        return err_detail(e, "denied: the URI is not in its plain form");
    }
    if (verdict.is_allowed)
        return true;
    if (verdict.reason == POLICY_SCOPE || verdict.reason == POLICY_READ_ONLY)
        return err_set(e, ERR_INSUFFICIENT_SCOPE, "this needs the scope mcp");
    err_set(e, ERR_NOT_FOUND, "%s: %.*s", what, STR_FMT(str_slice(name, 0, 120)));
    struct str why = policy_explain(p->a, p->caller, &verdict);
    return err_detail(e, "denied: %.*s", STR_FMT(why));
}

static bool missing(struct err *e, const char *path, const char *expected)
{
    return err_set(e, ERR_INVALID, "%s is missing, expected %s", path, expected);
}

static bool decide_tool(struct proxied *p, struct err *e)
{
    const struct rpc_message *m = &p->in.msg;
    if (str_is_absent(m->name_text))
        return missing(e, "params.name", "the name of a tool");
    p->tool = registry_tool_as_seen(p->entry, m->name_text);
    /* A name that a rename has retired is as unknown as any other. */
    if (!p->tool && registry_tool(p->entry, m->name_text))
        return err_set(e, ERR_NOT_FOUND, "Unknown tool: %.*s",
                       STR_FMT(str_slice(m->name_text, 0, 120)));
    return check(p, POLICY_TOOL, p->tool ? p->tool->name : m->name_text, "Unknown tool", e);
}

/* completion/complete is as allowed as the prompt or resource that it completes an argument of. */
static bool decide_completion(struct proxied *p, struct err *e)
{
    struct jwant wants[] = {{.name = STR("type")}, {.name = STR("name")}, {.name = STR("uri")}};
    if (str_is_absent(p->in.msg.ref))
        return missing(e, "params.ref", "a prompt or resource reference");
    if (!jscan_object(p->in.msg.ref, wants, ARRAY_LEN(wants), e))
        return err_set(e, ERR_INVALID, "params.ref is not an object");
    struct str name;
    if (!str_is_absent(wants[0].value) && jscan_string_eq(wants[0].value, STR("ref/prompt")) &&
        !str_is_absent(wants[1].value) && jscan_string(p->a, wants[1].value, &name))
        return check(p, POLICY_PROMPT, name, "Unknown prompt", e);
    if (!str_is_absent(wants[0].value) && jscan_string_eq(wants[0].value, STR("ref/resource")) &&
        !str_is_absent(wants[2].value) && jscan_string(p->a, wants[2].value, &name))
        return check(p, POLICY_RESOURCE, name, "Resource not found", e);
    return err_set(e, ERR_INVALID,
                   "params.ref must be {\"type\":\"ref/prompt\",\"name\"} or "
                   "{\"type\":\"ref/resource\",\"uri\"}");
}

/* Every resource that a listen stream wants to hear of must be one that may be read. */
static bool decide_listen(struct proxied *p, struct err *e)
{
    struct jwant params[] = {{.name = STR("notifications")}};
    struct jwant wants[] = {{.name = STR("resourceSubscriptions")}};
    if (str_is_absent(p->in.msg.params) || !jscan_object(p->in.msg.params, params, 1, e) ||
        str_is_absent(params[0].value))
        return missing(e, "params.notifications", "an object");
    if (!jscan_object(params[0].value, wants, 1, e))
        return err_set(e, ERR_INVALID, "params.notifications is not an object");
    if (str_is_absent(wants[0].value))
        return true;
    if (jscan_type(wants[0].value) != JTYPE_ARRAY)
        return err_set(e, ERR_INVALID,
                       "params.notifications.resourceSubscriptions is not an array");
    struct jiter it;
    for (jscan_iter(&it, wants[0].value); jscan_next(&it);) {
        struct str uri;
        if (!jscan_string(p->a, it.value, &uri))
            return err_set(
                e, ERR_INVALID,
                "params.notifications.resourceSubscriptions holds something else than strings");
        if (!check(p, POLICY_RESOURCE, uri, "Resource not found", e))
            return false;
    }
    return true;
}

/* A method this program does not know is passed on only for callers whom nothing narrows: it cannot
 * be judged. */
static bool decide_other(const struct proxied *p, struct err *e)
{
    const struct caller *c = p->caller;
    bool is_plain = c->builtin_roles != 0 && c->n_statements == 0 && !c->tools &&
                    (c->scopes == 0 || (c->scopes & SCOPE_MCP) != 0);
    return is_plain || err_set(e, ERR_METHOD_NOT_FOUND, "Method not found: %.*s",
                               STR_FMT(str_slice(p->in.msg.method, 0, 80)));
}

bool proxied_decide(struct proxied *p, struct err *e)
{
    const struct rpc_message *m = &p->in.msg;
    p->kind = m->kind == RPC_REQUEST ? method_kind_of(m->method) : METHOD_PLAIN;
    if (m->kind == RPC_REQUEST && is_removed(p))
        return err_set(e, ERR_METHOD_NOT_FOUND, "Method not found: %.*s", STR_FMT(m->method));
    switch (p->kind) {
    case METHOD_TOOL_CALL:
        return decide_tool(p, e);
    case METHOD_RESOURCE:
        return str_is_absent(m->uri_text)
                   ? missing(e, "params.uri", "a resource URI")
                   : check(p, POLICY_RESOURCE, m->uri_text, "Resource not found", e);
    case METHOD_PROMPT:
        return str_is_absent(m->name_text)
                   ? missing(e, "params.name", "the name of a prompt")
                   : check(p, POLICY_PROMPT, m->name_text, "Unknown prompt", e);
    case METHOD_COMPLETE:
        return decide_completion(p, e);
    case METHOD_LISTEN:
        return decide_listen(p, e);
    case METHOD_OTHER:
        return decide_other(p, e);
    default:
        return true;
    }
}
