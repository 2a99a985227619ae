/*
 * The decision, in one order for every action: membership, the tool's own switch, deny statements,
 * what grants (built-in role, then allow statements), and last what the key or grant narrows. A
 * narrowing can only refuse, never grant.
 */
#include "core/policy.h"

#include "base/text.h"

/* The three kinds of thing that a statement names on a connection. */
enum kind { KIND_TOOL, KIND_RESOURCE, KIND_PROMPT, N_KINDS };

static struct policy_verdict refused(enum policy_reason reason, const struct statement *statement)
{
    return (struct policy_verdict){.is_allowed = false, .reason = reason, .statement = statement};
}

static struct policy_verdict allowed(const struct statement *statement)
{
    return (struct policy_verdict){.is_allowed = true, .reason = POLICY_OK, .statement = statement};
}

static const struct str *patterns_of(const struct statement *s, enum kind kind, size_t *n)
{
    *n = kind == KIND_TOOL ? s->n_tools : kind == KIND_RESOURCE ? s->n_resources : s->n_prompts;
    return kind == KIND_TOOL ? s->tools : kind == KIND_RESOURCE ? s->resources : s->prompts;
}

static bool any_matches(const struct str *patterns, size_t n, struct str name)
{
    for (size_t i = 0; i < n; i++)
        if (text_glob(patterns[i], name))
            return true;
    return false;
}

static bool has_star(const struct str *patterns, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(patterns[i], STR("*")))
            return true;
    return false;
}

/* Where something is: on a connection (or "org"), perhaps reached through a virtual server. */
struct place {
    struct str on, via;
};

static struct place place_of(const struct policy_target *t)
{
    return (struct place){t->connection_id, t->virtual_id};
}

static bool is_about(const struct statement *s, struct place place)
{
    return str_eq(s->on, STR("*")) || str_eq(s->on, place.on) ||
           (!str_is_absent(place.via) && str_eq(s->on, place.via));
}

/* The first statement of the given effect that names this thing at this place, or NULL. */
static const struct statement *statement_find(const struct caller *c, bool is_deny,
                                              struct place place, enum kind kind, struct str name)
{
    for (size_t i = 0; i < c->n_statements; i++) {
        const struct statement *s = &c->statements[i];
        size_t n;
        const struct str *patterns = patterns_of(s, kind, &n);
        if (s->is_deny == is_deny && is_about(s, place) && any_matches(patterns, n, name))
            return s;
    }
    return NULL;
}

static bool is_member(const struct caller *c)
{
    return c->builtin_roles != 0 || c->n_statements != 0;
}

/* ---- what a key or grant narrows ---- */

static bool is_narrowed_by_tools(const struct caller *c)
{
    return c->tools && !has_star(c->tools, c->n_tools);
}

enum reach { REACH_NONE, REACH_READ, REACH_ALL };

static bool is_at(struct str id, struct place place)
{
    return str_eq(id, place.on) || (!str_is_absent(place.via) && str_eq(id, place.via));
}

/* How much of a place the key or grant leaves. */
static enum reach key_reach(const struct caller *c, struct place place)
{
    static const struct str read = STR(":read");
    enum reach most = REACH_NONE;
    if (!c->connection_ids)
        return REACH_ALL;
    for (size_t i = 0; i < c->n_connection_ids; i++) {
        struct str id = c->connection_ids[i];
        if (is_at(id, place))
            return REACH_ALL;
        if (str_ends(id, read) && is_at(str_slice(id, 0, id.n - read.n), place))
            most = REACH_READ;
    }
    return most;
}

/* Use of connections needs mcp, or mcp:read for what only reads. */
static struct policy_verdict narrow_use(const struct caller *c, enum policy_action action,
                                        const struct policy_target *t,
                                        const struct statement *granting)
{
    bool is_read_only = c->scopes != 0 && !(c->scopes & SCOPE_MCP);
    if (is_read_only && !(c->scopes & SCOPE_MCP_READ))
        return refused(POLICY_SCOPE, NULL);
    enum reach reach = key_reach(c, place_of(t));
    if (reach == REACH_NONE)
        return refused(POLICY_KEY_CONNECTIONS, NULL);
    is_read_only = is_read_only || reach == REACH_READ;
    if (action == POLICY_TOOL && is_narrowed_by_tools(c) &&
        !any_matches(c->tools, c->n_tools, t->name))
        return refused(POLICY_KEY_TOOLS, NULL);
    /* A key that names tools names neither resources nor prompts: what is not named is not granted.
     */
    if ((action == POLICY_RESOURCE || action == POLICY_PROMPT) && is_narrowed_by_tools(c))
        return refused(POLICY_KEY_TOOLS, NULL);
    if (action == POLICY_TOOL && is_read_only && t->effect != EFFECT_READ)
        return refused(POLICY_READ_ONLY, NULL);
    return allowed(granting);
}

/* Managing needs mcp:manage; without it only the reads remain that everybody has of what is their
 * own. */
static struct policy_verdict narrow_manage(const struct caller *c, const struct policy_target *t,
                                           const struct statement *granting)
{
    bool is_own_read = (t->manage_roles & MANAGE_ANYONE) != 0 && t->effect == EFFECT_READ;
    if (c->scopes != 0 && !(c->scopes & SCOPE_MCP_MANAGE) && !is_own_read)
        return refused(POLICY_SCOPE, NULL);
    if (is_narrowed_by_tools(c) && !any_matches(c->tools, c->n_tools, t->name))
        return refused(POLICY_KEY_TOOLS, NULL);
    if (!str_is_absent(t->connection_id) && key_reach(c, place_of(t)) != REACH_ALL)
        return refused(POLICY_KEY_CONNECTIONS, NULL);
    return allowed(granting);
}

/* ---- actions ---- */

/* May a tool, a resource or a prompt of this connection be allowed to anybody's guess? For
 * POLICY_CONNECT. */
static bool kind_is_open(const struct caller *c, enum kind kind, struct place place)
{
    bool is_granted = c->builtin_roles != 0;
    for (size_t i = 0; i < c->n_statements; i++) {
        const struct statement *s = &c->statements[i];
        size_t n;
        const struct str *patterns = patterns_of(s, kind, &n);
        if (n == 0 || !is_about(s, place))
            continue;
        if (s->is_deny && has_star(patterns, n))
            return false;
        is_granted = is_granted || !s->is_deny;
    }
    return is_granted && (kind == KIND_TOOL || !is_narrowed_by_tools(c));
}

static struct policy_verdict decide_connect(const struct caller *c, const struct policy_target *t)
{
    for (int kind = 0; kind < N_KINDS; kind++)
        if (kind_is_open(c, (enum kind)kind, place_of(t)))
            return narrow_use(c, POLICY_CONNECT, t, NULL);
    return refused(POLICY_NOT_GRANTED, NULL);
}

static struct policy_verdict decide_use(const struct caller *c, enum policy_action action,
                                        const struct policy_target *t)
{
    enum kind kind = action == POLICY_TOOL       ? KIND_TOOL
                     : action == POLICY_RESOURCE ? KIND_RESOURCE
                                                 : KIND_PROMPT;
    if (action == POLICY_TOOL && !t->is_tool_enabled)
        return refused(POLICY_DISABLED, NULL);
    const struct statement *deny = statement_find(c, true, place_of(t), kind, t->name);
    if (deny)
        return refused(POLICY_DENIED_BY_STATEMENT, deny);
    if (c->builtin_roles != 0)
        return narrow_use(c, action, t, NULL);
    const struct statement *allow = statement_find(c, false, place_of(t), kind, t->name);
    return allow ? narrow_use(c, action, t, allow) : refused(POLICY_NOT_GRANTED, NULL);
}

/*
 * Statements on "org" or "*" name management tools. They never grant what only owners or operators
 * have: administrators write custom roles and could otherwise make themselves owners.
 */
static struct policy_verdict decide_manage(const struct caller *c, const struct policy_target *t)
{
    const struct place org = {.on = STR("org")};
    const struct statement *deny = statement_find(c, true, org, KIND_TOOL, t->name);
    if (deny)
        return refused(POLICY_DENIED_BY_STATEMENT, deny);
    bool is_operators = (t->manage_roles & MANAGE_OPERATOR) != 0 && c->is_operator;
    if ((t->manage_roles & MANAGE_ANYONE) != 0 || is_operators ||
        (t->manage_roles & c->builtin_roles) != 0)
        return narrow_manage(c, t, NULL);
    if (!is_member(c))
        return refused(POLICY_NOT_MEMBER, NULL);
    const struct statement *allow = statement_find(c, false, org, KIND_TOOL, t->name);
    if (allow && (t->manage_roles & (ROLE_ADMIN | ROLE_MEMBER)) != 0)
        return narrow_manage(c, t, allow);
    return refused(POLICY_NOT_GRANTED, NULL);
}

struct policy_verdict policy_decide(const struct caller *c, enum policy_action action,
                                    const struct policy_target *t)
{
    if (action == POLICY_MANAGE)
        return decide_manage(c, t);
    if (!is_member(c))
        return refused(POLICY_NOT_MEMBER, NULL);
    return action == POLICY_CONNECT ? decide_connect(c, t) : decide_use(c, action, t);
}

/* ---- words ---- */

static const char *reason_text(enum policy_reason reason)
{
    switch (reason) {
    case POLICY_NOT_MEMBER:
        return "not a member of the organization";
    case POLICY_SCOPE:
        return "the key or grant has not the scope for it";
    case POLICY_KEY_TOOLS:
        return "the key is narrowed to other tools";
    case POLICY_KEY_CONNECTIONS:
        return "the key is narrowed to other connections";
    case POLICY_NOT_GRANTED:
        return "no role grants it";
    case POLICY_DISABLED:
        return "an administrator disabled the tool";
    case POLICY_READ_ONLY:
        return "the scope mcp:read is for tools that an administrator marked as read, and this one "
               "is not";
    default:
        return "denied";
    }
}

static const char *builtin_name(unsigned roles)
{
    return roles & ROLE_OWNER    ? "owner"
           : roles & ROLE_ADMIN  ? "admin"
           : roles & ROLE_MEMBER ? "member"
                                 : NULL;
}

/* ' of the group "..."', or nothing where the role is the member's own. */
static struct str by_group(struct arena *a, struct str group)
{
    return str_is_absent(group) ? STR("")
                                : arena_printf(a, " of the group \"%.*s\"", STR_FMT(group));
}

struct str policy_explain(struct arena *a, const struct caller *c, const struct policy_verdict *v)
{
    if (v->statement)
        return arena_printf(a, "%s by the role \"%.*s\"%.*s (a statement on %.*s)",
                            v->is_allowed ? "allowed" : "denied", STR_FMT(v->statement->role_name),
                            STR_FMT(by_group(a, v->statement->group_name)),
                            STR_FMT(v->statement->on));
    if (!v->is_allowed)
        return arena_printf(a, "%s", reason_text(v->reason));
    const char *role = builtin_name(c->builtin_roles);
    return role ? arena_printf(a, "allowed by the built-in role %s%.*s", role,
                               STR_FMT(by_group(a, c->builtin_group)))
                : arena_printf(a, "allowed: everybody has it for what is their own");
}
