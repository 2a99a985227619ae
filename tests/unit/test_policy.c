/* The decision function, row by row: who, what, and the verdict with its reason. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "core/policy.h"

#define CONN_A "conn_00000000000000000000000000000001"
#define CONN_B "conn_00000000000000000000000000000002"

enum {
    ANYONE = MANAGE_ANYONE,
    OPERATOR = MANAGE_OPERATOR,
    MEMBERS = ROLE_OWNER | ROLE_ADMIN | ROLE_MEMBER,
    ADMINS = ROLE_OWNER | ROLE_ADMIN,
    OWNERS = ROLE_OWNER,
};

/* Who: everything a caller can be narrowed or widened by, as text. */
struct who {
    unsigned roles;
    const char *statements; /* JSON, or NULL */
    unsigned scopes;
    const char *tools,
        *connections; /* comma separated, NULL: not narrowed, "": narrowed to nothing */
    bool is_operator;
};

struct row {
    struct who who;
    enum policy_action action;
    const char *name;
    const char *connection;
    enum effect effect;
    unsigned manage_roles;
    bool is_disabled;
    bool allowed;
    enum policy_reason reason;
};

static const struct str *list_read(struct arena *a, const char *text, size_t *n)
{
    *n = 0;
    if (!text)
        return NULL;
    struct str *out = arena_alloc(a, 8 * sizeof(*out));
    assert_non_null(out);
    struct str rest = str_c(text), piece;
    while (*text && str_next(&rest, ',', &piece))
        out[(*n)++] = piece;
    return out;
}

static struct caller caller_make(struct arena *a, const struct who *w)
{
    struct caller c = {.org_id = STR("org_x"), .user_id = STR("usr_x"), .builtin_roles = w->roles};
    struct err e = {0};
    c.is_operator = w->is_operator;
    c.scopes = w->scopes;
    c.tools = list_read(a, w->tools, &c.n_tools);
    c.connection_ids = list_read(a, w->connections, &c.n_connection_ids);
    if (w->statements) {
        struct statement *s;
        bool ok =
            policy_statements_read(a, str_c(w->statements), STR("tested"), &s, &c.n_statements, &e);
        if (!ok)
            fail_msg("%s", e.msg);
        c.statements = s;
    }
    return c;
}

static void rows_check(const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct row *r = &rows[i];
        struct arena *a = arena_new(1 << 20);
        assert_non_null(a);
        struct caller c = caller_make(a, &r->who);
        struct policy_target t = {.connection_id = str_c(r->connection),
                                  .name = str_c(r->name),
                                  .effect = r->effect,
                                  .manage_roles = r->manage_roles,
                                  .is_tool_enabled = !r->is_disabled};
        struct policy_verdict v = policy_decide(&c, r->action, &t);
        struct str why = policy_explain(a, &c, &v);
        if (v.is_allowed != r->allowed || (!r->allowed && v.reason != r->reason) || why.n == 0)
            fail_msg("row %zu (%s): allowed %d reason %d, %.*s", i, r->name ? r->name : "-",
                     v.is_allowed, (int)v.reason, STR_FMT(why));
        arena_end(a);
    }
}

#define S_ALLOW_A_ECHO "[{\"on\":\"" CONN_A "\",\"tools\":[\"echo\"],\"effect\":\"allow\"}]"
#define S_DENY_A_ALL   "[{\"on\":\"" CONN_A "\",\"tools\":[\"*\"],\"effect\":\"deny\"}]"
#define S_DENY_A_EVERY                                                                             \
    "[{\"on\":\"" CONN_A                                                                           \
    "\",\"tools\":[\"*\"],\"resources\":[\"*\"],\"prompts\":[\"*\"],\"effect\":\"deny\"}]"
#define S_ALLOW_DENY                                                                               \
    "[{\"on\":\"*\",\"tools\":[\"*\"],\"effect\":\"allow\"},{\"on\":\"" CONN_A                     \
    "\",\"tools\":[\"delete_*\"],\"effect\":\"deny\"}]"
#define S_GLOBS                                                                                    \
    "[{\"on\":\"*\",\"tools\":[\"get_*\"],\"resources\":[\"file:///docs/"                          \
    "*\"],\"prompts\":[\"hello\"],\"effect\":\"allow\"}]"
#define S_ORG_ADMINISH "[{\"on\":\"org\",\"tools\":[\"*\"],\"effect\":\"allow\"}]"
#define S_ORG_CONNS    "[{\"on\":\"org\",\"tools\":[\"CONNECTION_*\"],\"effect\":\"allow\"}]"
#define S_ORG_DENY     "[{\"on\":\"org\",\"tools\":[\"API_KEY_*\"],\"effect\":\"deny\"}]"
#define S_OTHER_PLACE                                                                              \
    "[{\"on\":\"" CONN_A "\",\"tools\":[\"CONNECTION_UPDATE\"],\"effect\":\"allow\"}]"

static void builtin_roles_use_every_connection(void **state)
{
    (void)state;
    /* clang-format off */
    static const struct row rows[] = {
        {{.roles = ROLE_OWNER}, POLICY_TOOL, "echo", CONN_A, 0, 0, false, true, 0},
        {{.roles = ROLE_ADMIN}, POLICY_TOOL, "echo", CONN_A, 0, 0, false, true, 0},
        {{.roles = ROLE_MEMBER}, POLICY_TOOL, "echo", CONN_A, EFFECT_DESTRUCTIVE, 0, false, true, 0},
        {{.roles = ROLE_MEMBER}, POLICY_RESOURCE, "file:///a", CONN_A, 0, 0, false, true, 0},
        {{.roles = ROLE_MEMBER}, POLICY_PROMPT, "hello", CONN_A, 0, 0, false, true, 0},
        {{.roles = ROLE_MEMBER}, POLICY_CONNECT, NULL, CONN_A, 0, 0, false, true, 0},
        {{.roles = 0}, POLICY_TOOL, "echo", CONN_A, 0, 0, false, false, POLICY_NOT_MEMBER},
        {{.roles = 0}, POLICY_RESOURCE, "file:///a", CONN_A, 0, 0, false, false, POLICY_NOT_MEMBER},
        {{.roles = 0}, POLICY_PROMPT, "hello", CONN_A, 0, 0, false, false, POLICY_NOT_MEMBER},
        {{.roles = 0}, POLICY_CONNECT, NULL, CONN_A, 0, 0, false, false, POLICY_NOT_MEMBER},
    };
    /* clang-format on */
    rows_check(rows, ARRAY_LEN(rows));
}

static void an_operator_has_no_rights_without_membership(void **state)
{
    (void)state;
    /* clang-format off */
    static const struct row rows[] = {
        {{.is_operator = true}, POLICY_TOOL, "echo", CONN_A, 0, 0, false, false, POLICY_NOT_MEMBER},
        {{.is_operator = true}, POLICY_CONNECT, NULL, CONN_A, 0, 0, false, false, POLICY_NOT_MEMBER},
        {{.is_operator = true}, POLICY_MANAGE, "ORGANIZATION_GET", NULL, EFFECT_READ, MEMBERS, false, false, POLICY_NOT_MEMBER},
        {{.is_operator = true}, POLICY_MANAGE, "CONNECTION_CREATE", NULL, EFFECT_WRITE, ADMINS, false, false, POLICY_NOT_MEMBER},
        {{.is_operator = true}, POLICY_MANAGE, "ORGANIZATION_CREATE", NULL, EFFECT_WRITE, OPERATOR, false, true, 0},
        {{.is_operator = true}, POLICY_MANAGE, "USER_GET", NULL, EFFECT_READ, ANYONE, false, true, 0},
        {{.roles = ROLE_OWNER}, POLICY_MANAGE, "ORGANIZATION_CREATE", NULL, EFFECT_WRITE, OPERATOR, false, false, POLICY_NOT_GRANTED},
    };
    /* clang-format on */
    rows_check(rows, ARRAY_LEN(rows));
}

static void management_follows_the_built_in_roles(void **state)
{
    (void)state;
    /* clang-format off */
    static const struct row rows[] = {
        {{.roles = ROLE_OWNER}, POLICY_MANAGE, "ORGANIZATION_DELETE", NULL, EFFECT_DESTRUCTIVE, OWNERS, false, true, 0},
        {{.roles = ROLE_ADMIN}, POLICY_MANAGE, "ORGANIZATION_DELETE", NULL, EFFECT_DESTRUCTIVE, OWNERS, false, false, POLICY_NOT_GRANTED},
        {{.roles = ROLE_MEMBER}, POLICY_MANAGE, "ORGANIZATION_DELETE", NULL, EFFECT_DESTRUCTIVE, OWNERS, false, false, POLICY_NOT_GRANTED},
        {{.roles = ROLE_OWNER}, POLICY_MANAGE, "CONNECTION_CREATE", NULL, EFFECT_WRITE, ADMINS, false, true, 0},
        {{.roles = ROLE_ADMIN}, POLICY_MANAGE, "CONNECTION_CREATE", NULL, EFFECT_WRITE, ADMINS, false, true, 0},
        {{.roles = ROLE_MEMBER}, POLICY_MANAGE, "CONNECTION_CREATE", NULL, EFFECT_WRITE, ADMINS, false, false, POLICY_NOT_GRANTED},
        {{.roles = ROLE_MEMBER}, POLICY_MANAGE, "CONNECTION_LIST", NULL, EFFECT_READ, MEMBERS, false, true, 0},
        {{.roles = ROLE_MEMBER}, POLICY_MANAGE, "API_KEY_CREATE", NULL, EFFECT_WRITE, MEMBERS, false, true, 0},
        {{.roles = 0}, POLICY_MANAGE, "CONNECTION_LIST", NULL, EFFECT_READ, MEMBERS, false, false, POLICY_NOT_MEMBER},
        {{.roles = 0}, POLICY_MANAGE, "USER_GET", NULL, EFFECT_READ, ANYONE, false, true, 0},
    };
    /* clang-format on */
    rows_check(rows, ARRAY_LEN(rows));
}

static void a_custom_role_grants_only_what_it_names(void **state)
{
    (void)state;
    /* clang-format off */
    static const struct row rows[] = {
        {{.statements = S_ALLOW_A_ECHO}, POLICY_TOOL, "echo", CONN_A, 0, 0, false, true, 0},
        {{.statements = S_ALLOW_A_ECHO}, POLICY_TOOL, "Echo", CONN_A, 0, 0, false, false, POLICY_NOT_GRANTED},
        {{.statements = S_ALLOW_A_ECHO}, POLICY_TOOL, "add", CONN_A, 0, 0, false, false, POLICY_NOT_GRANTED},
        {{.statements = S_ALLOW_A_ECHO}, POLICY_TOOL, "echo", CONN_B, 0, 0, false, false, POLICY_NOT_GRANTED},
        {{.statements = S_ALLOW_A_ECHO}, POLICY_RESOURCE, "echo", CONN_A, 0, 0, false, false, POLICY_NOT_GRANTED},
        {{.statements = S_ALLOW_A_ECHO}, POLICY_PROMPT, "echo", CONN_A, 0, 0, false, false, POLICY_NOT_GRANTED},
        {{.statements = S_ALLOW_A_ECHO}, POLICY_CONNECT, NULL, CONN_A, 0, 0, false, true, 0},
        {{.statements = S_ALLOW_A_ECHO}, POLICY_CONNECT, NULL, CONN_B, 0, 0, false, false, POLICY_NOT_GRANTED},
        {{.statements = S_GLOBS}, POLICY_TOOL, "get_weather", CONN_B, 0, 0, false, true, 0},
        {{.statements = S_GLOBS}, POLICY_TOOL, "set_weather", CONN_B, 0, 0, false, false, POLICY_NOT_GRANTED},
        {{.statements = S_GLOBS}, POLICY_RESOURCE, "file:///docs/x/y", CONN_B, 0, 0, false, true, 0},
        {{.statements = S_GLOBS}, POLICY_RESOURCE, "file:///etc/passwd", CONN_B, 0, 0, false, false, POLICY_NOT_GRANTED},
        {{.statements = S_GLOBS}, POLICY_PROMPT, "hello", CONN_B, 0, 0, false, true, 0},
        {{.statements = S_GLOBS}, POLICY_PROMPT, "hello2", CONN_B, 0, 0, false, false, POLICY_NOT_GRANTED},
    };
    /* clang-format on */
    rows_check(rows, ARRAY_LEN(rows));
}

static void deny_wins_over_everything(void **state)
{
    (void)state;
    /* clang-format off */
    static const struct row rows[] = {
        {{.statements = S_ALLOW_DENY}, POLICY_TOOL, "delete_all", CONN_A, 0, 0, false, false, POLICY_DENIED_BY_STATEMENT},
        {{.statements = S_ALLOW_DENY}, POLICY_TOOL, "delete_all", CONN_B, 0, 0, false, true, 0},
        {{.statements = S_ALLOW_DENY}, POLICY_TOOL, "list", CONN_A, 0, 0, false, true, 0},
        {{.roles = ROLE_MEMBER, .statements = S_DENY_A_ALL}, POLICY_TOOL, "echo", CONN_A, 0, 0, false, false, POLICY_DENIED_BY_STATEMENT},
        {{.roles = ROLE_ADMIN, .statements = S_DENY_A_ALL}, POLICY_TOOL, "echo", CONN_A, 0, 0, false, false, POLICY_DENIED_BY_STATEMENT},
        {{.roles = ROLE_OWNER, .statements = S_DENY_A_ALL}, POLICY_TOOL, "echo", CONN_A, 0, 0, false, false, POLICY_DENIED_BY_STATEMENT},
        {{.roles = ROLE_MEMBER, .statements = S_DENY_A_ALL}, POLICY_TOOL, "echo", CONN_B, 0, 0, false, true, 0},
        {{.roles = ROLE_MEMBER, .statements = S_DENY_A_ALL}, POLICY_RESOURCE, "x:y", CONN_A, 0, 0, false, true, 0},
        {{.roles = ROLE_MEMBER, .statements = S_DENY_A_ALL}, POLICY_CONNECT, NULL, CONN_A, 0, 0, false, true, 0},
        {{.roles = ROLE_MEMBER, .statements = S_DENY_A_EVERY}, POLICY_CONNECT, NULL, CONN_A, 0, 0, false, false, POLICY_NOT_GRANTED},
        {{.roles = ROLE_MEMBER, .statements = S_DENY_A_EVERY}, POLICY_CONNECT, NULL, CONN_B, 0, 0, false, true, 0},
        {{.roles = ROLE_MEMBER, .statements = S_ORG_DENY}, POLICY_MANAGE, "API_KEY_CREATE", NULL, EFFECT_WRITE, MEMBERS, false, false, POLICY_DENIED_BY_STATEMENT},
        {{.roles = ROLE_MEMBER, .statements = S_ORG_DENY}, POLICY_MANAGE, "CONNECTION_LIST", NULL, EFFECT_READ, MEMBERS, false, true, 0},
    };
    /* clang-format on */
    rows_check(rows, ARRAY_LEN(rows));
}

static void a_custom_role_can_add_management_but_never_ownership(void **state)
{
    (void)state;
    /* clang-format off */
    static const struct row rows[] = {
        {{.statements = S_ORG_CONNS}, POLICY_MANAGE, "CONNECTION_UPDATE", NULL, EFFECT_WRITE, ADMINS, false, true, 0},
        {{.statements = S_ORG_CONNS}, POLICY_MANAGE, "ORGANIZATION_UPDATE", NULL, EFFECT_WRITE, ADMINS, false, false, POLICY_NOT_GRANTED},
        {{.statements = S_ORG_CONNS}, POLICY_MANAGE, "ORGANIZATION_GET", NULL, EFFECT_READ, MEMBERS, false, false, POLICY_NOT_GRANTED},
        {{.statements = S_ORG_CONNS}, POLICY_TOOL, "CONNECTION_UPDATE", CONN_A, 0, 0, false, false, POLICY_NOT_GRANTED},
        {{.roles = ROLE_MEMBER, .statements = S_ORG_CONNS}, POLICY_MANAGE, "ORGANIZATION_GET", NULL, EFFECT_READ, MEMBERS, false, true, 0},
        {{.statements = S_ORG_ADMINISH}, POLICY_MANAGE, "ORGANIZATION_DELETE", NULL, EFFECT_DESTRUCTIVE, OWNERS, false, false, POLICY_NOT_GRANTED},
        {{.roles = ROLE_ADMIN, .statements = S_ORG_ADMINISH}, POLICY_MANAGE, "ORGANIZATION_DELETE", NULL, EFFECT_DESTRUCTIVE, OWNERS, false, false, POLICY_NOT_GRANTED},
        {{.statements = S_ORG_ADMINISH}, POLICY_MANAGE, "ORGANIZATION_CREATE", NULL, EFFECT_WRITE, OPERATOR, false, false, POLICY_NOT_GRANTED},
        {{.statements = S_OTHER_PLACE}, POLICY_MANAGE, "CONNECTION_UPDATE", NULL, EFFECT_WRITE, ADMINS, false, false, POLICY_NOT_GRANTED},
        {{.statements = S_OTHER_PLACE}, POLICY_MANAGE, "CONNECTION_UPDATE", CONN_A, EFFECT_WRITE, ADMINS, false, false, POLICY_NOT_GRANTED},
    };
    /* clang-format on */
    rows_check(rows, ARRAY_LEN(rows));
}

static void scopes_only_narrow(void **state)
{
    (void)state;
    /* clang-format off */
    static const struct row rows[] = {
        {{.roles = ROLE_OWNER, .scopes = SCOPE_MCP}, POLICY_TOOL, "echo", CONN_A, EFFECT_WRITE, 0, false, true, 0},
        {{.roles = ROLE_OWNER, .scopes = SCOPE_MCP}, POLICY_MANAGE, "CONNECTION_LIST", NULL, EFFECT_READ, MEMBERS, false, false, POLICY_SCOPE},
        {{.roles = ROLE_OWNER, .scopes = SCOPE_MCP}, POLICY_MANAGE, "USER_GET", NULL, EFFECT_READ, ANYONE, false, true, 0},
        {{.roles = ROLE_OWNER, .scopes = SCOPE_MCP}, POLICY_MANAGE, "USER_UPDATE", NULL, EFFECT_WRITE, ANYONE, false, false, POLICY_SCOPE},
        {{.roles = ROLE_OWNER, .scopes = SCOPE_MCP_MANAGE}, POLICY_MANAGE, "CONNECTION_LIST", NULL, EFFECT_READ, MEMBERS, false, true, 0},
        {{.roles = ROLE_OWNER, .scopes = SCOPE_MCP_MANAGE}, POLICY_TOOL, "echo", CONN_A, EFFECT_READ, 0, false, false, POLICY_SCOPE},
        {{.roles = ROLE_OWNER, .scopes = SCOPE_MCP_MANAGE}, POLICY_CONNECT, NULL, CONN_A, 0, 0, false, false, POLICY_SCOPE},
        {{.roles = ROLE_MEMBER, .scopes = SCOPE_MCP_MANAGE}, POLICY_MANAGE, "CONNECTION_CREATE", NULL, EFFECT_WRITE, ADMINS, false, false, POLICY_NOT_GRANTED},
        {{.scopes = SCOPE_MCP}, POLICY_TOOL, "echo", CONN_A, 0, 0, false, false, POLICY_NOT_MEMBER},
        {{.roles = ROLE_OWNER, .scopes = SCOPE_MCP | SCOPE_MCP_READ}, POLICY_TOOL, "echo", CONN_A, EFFECT_WRITE, 0, false, true, 0},
    };
    /* clang-format on */
    rows_check(rows, ARRAY_LEN(rows));
}

static void the_read_scope_follows_the_administrators_mark(void **state)
{
    (void)state;
    /* clang-format off */
    static const struct row rows[] = {
        {{.roles = ROLE_OWNER, .scopes = SCOPE_MCP_READ}, POLICY_TOOL, "get", CONN_A, EFFECT_READ, 0, false, true, 0},
        {{.roles = ROLE_OWNER, .scopes = SCOPE_MCP_READ}, POLICY_TOOL, "get", CONN_A, EFFECT_UNKNOWN, 0, false, false, POLICY_READ_ONLY},
        {{.roles = ROLE_OWNER, .scopes = SCOPE_MCP_READ}, POLICY_TOOL, "set", CONN_A, EFFECT_WRITE, 0, false, false, POLICY_READ_ONLY},
        {{.roles = ROLE_OWNER, .scopes = SCOPE_MCP_READ}, POLICY_TOOL, "rm", CONN_A, EFFECT_DESTRUCTIVE, 0, false, false, POLICY_READ_ONLY},
        {{.roles = ROLE_OWNER, .scopes = SCOPE_MCP_READ}, POLICY_RESOURCE, "file:///a", CONN_A, 0, 0, false, true, 0},
        {{.roles = ROLE_OWNER, .scopes = SCOPE_MCP_READ}, POLICY_PROMPT, "hello", CONN_A, 0, 0, false, true, 0},
        {{.roles = ROLE_OWNER, .scopes = SCOPE_MCP_READ}, POLICY_CONNECT, NULL, CONN_A, 0, 0, false, true, 0},
        {{.roles = ROLE_OWNER, .scopes = SCOPE_MCP_READ}, POLICY_MANAGE, "CONNECTION_LIST", NULL, EFFECT_READ, MEMBERS, false, false, POLICY_SCOPE},
        {{.roles = ROLE_OWNER, .scopes = SCOPE_MCP_READ | SCOPE_MCP_MANAGE}, POLICY_TOOL, "set", CONN_A, EFFECT_WRITE, 0, false, false, POLICY_READ_ONLY},
        {{.roles = ROLE_OWNER, .scopes = SCOPE_MCP_READ | SCOPE_MCP_MANAGE}, POLICY_MANAGE, "CONNECTION_CREATE", NULL, EFFECT_WRITE, ADMINS, false, true, 0},
    };
    /* clang-format on */
    rows_check(rows, ARRAY_LEN(rows));
}

static void a_keys_own_lists_only_narrow(void **state)
{
    (void)state;
    /* clang-format off */
    static const struct row rows[] = {
        {{.roles = ROLE_OWNER, .tools = "echo,get_*"}, POLICY_TOOL, "echo", CONN_A, 0, 0, false, true, 0},
        {{.roles = ROLE_OWNER, .tools = "echo,get_*"}, POLICY_TOOL, "get_x", CONN_A, 0, 0, false, true, 0},
        {{.roles = ROLE_OWNER, .tools = "echo,get_*"}, POLICY_TOOL, "add", CONN_A, 0, 0, false, false, POLICY_KEY_TOOLS},
        {{.roles = ROLE_OWNER, .tools = "echo"}, POLICY_RESOURCE, "file:///a", CONN_A, 0, 0, false, false, POLICY_KEY_TOOLS},
        {{.roles = ROLE_OWNER, .tools = "echo"}, POLICY_PROMPT, "hello", CONN_A, 0, 0, false, false, POLICY_KEY_TOOLS},
        {{.roles = ROLE_OWNER, .tools = "*"}, POLICY_RESOURCE, "file:///a", CONN_A, 0, 0, false, true, 0},
        {{.roles = ROLE_OWNER, .tools = ""}, POLICY_TOOL, "echo", CONN_A, 0, 0, false, false, POLICY_KEY_TOOLS},
        {{.roles = ROLE_OWNER, .tools = "CONNECTION_*"}, POLICY_MANAGE, "CONNECTION_LIST", NULL, EFFECT_READ, MEMBERS, false, true, 0},
        {{.roles = ROLE_OWNER, .tools = "CONNECTION_*"}, POLICY_MANAGE, "USER_GET", NULL, EFFECT_READ, ANYONE, false, false, POLICY_KEY_TOOLS},
        {{.roles = ROLE_OWNER, .connections = CONN_A}, POLICY_TOOL, "echo", CONN_A, 0, 0, false, true, 0},
        {{.roles = ROLE_OWNER, .connections = CONN_A}, POLICY_TOOL, "echo", CONN_B, 0, 0, false, false, POLICY_KEY_CONNECTIONS},
        {{.roles = ROLE_OWNER, .connections = CONN_A}, POLICY_RESOURCE, "x:y", CONN_B, 0, 0, false, false, POLICY_KEY_CONNECTIONS},
        {{.roles = ROLE_OWNER, .connections = CONN_A}, POLICY_PROMPT, "hello", CONN_B, 0, 0, false, false, POLICY_KEY_CONNECTIONS},
        {{.roles = ROLE_OWNER, .connections = CONN_A}, POLICY_CONNECT, NULL, CONN_B, 0, 0, false, false, POLICY_KEY_CONNECTIONS},
        {{.roles = ROLE_OWNER, .connections = CONN_A}, POLICY_MANAGE, "CONNECTION_UPDATE", CONN_B, EFFECT_WRITE, ADMINS, false, false, POLICY_KEY_CONNECTIONS},
        {{.roles = ROLE_OWNER, .connections = CONN_A}, POLICY_MANAGE, "CONNECTION_UPDATE", CONN_A, EFFECT_WRITE, ADMINS, false, true, 0},
        {{.roles = ROLE_OWNER, .connections = ""}, POLICY_CONNECT, NULL, CONN_A, 0, 0, false, false, POLICY_KEY_CONNECTIONS},
        {{.statements = S_ALLOW_A_ECHO, .tools = "*"}, POLICY_TOOL, "add", CONN_A, 0, 0, false, false, POLICY_NOT_GRANTED},
        {{.statements = S_ALLOW_A_ECHO, .connections = CONN_B}, POLICY_TOOL, "echo", CONN_B, 0, 0, false, false, POLICY_NOT_GRANTED},
        {{.roles = ROLE_MEMBER, .tools = "CONNECTION_CREATE"}, POLICY_MANAGE, "CONNECTION_CREATE", NULL, EFFECT_WRITE, ADMINS, false, false, POLICY_NOT_GRANTED},
    };
    /* clang-format on */
    rows_check(rows, ARRAY_LEN(rows));
}

static void a_disabled_tool_is_refused_to_everybody(void **state)
{
    (void)state;
    /* clang-format off */
    static const struct row rows[] = {
        {{.roles = ROLE_OWNER}, POLICY_TOOL, "echo", CONN_A, 0, 0, true, false, POLICY_DISABLED},
        {{.statements = S_ALLOW_A_ECHO}, POLICY_TOOL, "echo", CONN_A, 0, 0, true, false, POLICY_DISABLED},
        {{.roles = ROLE_OWNER}, POLICY_RESOURCE, "file:///a", CONN_A, 0, 0, true, true, 0},
    };
    /* clang-format on */
    rows_check(rows, ARRAY_LEN(rows));
}

/* Whatever a key carries, it never allows what its holder without the key may not do. */
static void no_narrowing_ever_grants(void **state)
{
    (void)state;
    static const char *const statements[] = {NULL,         S_ALLOW_A_ECHO, S_DENY_A_ALL,
                                             S_ALLOW_DENY, S_GLOBS,        S_ORG_ADMINISH};
    static const unsigned roles[] = {0, ROLE_MEMBER, ROLE_ADMIN, ROLE_OWNER};
    static const char *const tools[] = {NULL, "*", "echo", "CONNECTION_*"};
    static const char *const names[] = {"echo", "delete_all", "get_x", "CONNECTION_UPDATE"};
    struct arena *a = arena_new(64 << 20);
    assert_non_null(a);
    size_t n_seen = 0;
    for (size_t i = 0; i < (size_t)6 * 4 * 4 * 8 * 4 * 5; i++) {
        size_t x = i;
        struct who plain = {.roles = roles[x % 4]};
        plain.statements = statements[(x /= 4) % 6];
        struct who key = plain;
        key.tools = tools[(x /= 6) % 4];
        key.scopes = (unsigned)((x /= 4) % 8);
        struct policy_target t = {
            .connection_id = STR(CONN_A), .is_tool_enabled = true, .manage_roles = ADMINS};
        t.name = str_c(names[(x /= 8) % 4]);
        enum policy_action action = (enum policy_action)((x / 4) % 5);
        struct caller with = caller_make(a, &key), without = caller_make(a, &plain);
        bool is_allowed = policy_decide(&with, action, &t).is_allowed;
        assert_true(!is_allowed || policy_decide(&without, action, &t).is_allowed);
        n_seen += is_allowed;
    }
    assert_true(n_seen > 100);
    arena_end(a);
}

static void ill_formed_statements_are_refused_by_path(void **state)
{
    (void)state;
    static const struct {
        const char *json, *says;
    } rows[] = {
        {"{}", "expected an array"},
        {"[1]", "statements[0]: expected an object"},
        {"[{\"on\":\"org\",\"tools\":[\"*\"]}]", "statements[0].effect"},
        {"[{\"on\":\"org\",\"tools\":[\"*\"],\"effect\":\"maybe\"}]", "maybe"},
        {"[{\"on\":\"everything\",\"tools\":[\"*\"],\"effect\":\"allow\"}]", "statements[0].on"},
        {"[{\"on\":\"conn_1\",\"tools\":[\"*\"],\"effect\":\"allow\"}]", "statements[0].on"},
        {"[{\"tools\":[\"*\"],\"effect\":\"allow\"}]", "statements[0].on"},
        {"[{\"on\":\"org\",\"effect\":\"allow\"}]", "names nothing"},
        {"[{\"on\":\"org\",\"tools\":[],\"effect\":\"allow\"}]", "names nothing"},
        {"[{\"on\":\"org\",\"tools\":\"*\",\"effect\":\"allow\"}]", "statements[0].tools"},
        {"[{\"on\":\"org\",\"tools\":[7],\"effect\":\"allow\"}]", "statements[0].tools[0]"},
        {"[{\"on\":\"org\",\"tools\":[\"\"],\"effect\":\"allow\"}]", "statements[0].tools[0]"},
        {"[{\"on\":\"org\",\"tools\":[\"*\"],\"effect\":\"allow\"},{\"on\":\"*\",\"tool\":[\"*\"],"
         "\"effect\":\"deny\"}]",
         "statements[1]: unknown member \"tool\""},
        {"[", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena *a = arena_new(1 << 20);
        struct err e = {0};
        struct statement *s;
        size_t n;
        assert_false(policy_statements_read(a, str_c(rows[i].json), STR("r"), &s, &n, &e));
        assert_non_null(strstr(e.msg, rows[i].says));
        arena_end(a);
    }
}

static void scope_words_are_read_and_unknown_ones_refused(void **state)
{
    (void)state;
    unsigned bits = 0;
    assert_true(policy_scopes_read(STR("mcp mcp:manage"), &bits));
    assert_int_equal(bits, SCOPE_MCP | SCOPE_MCP_MANAGE);
    assert_true(policy_scopes_read(STR("mcp:read"), &bits));
    assert_int_equal(bits, SCOPE_MCP_READ);
    assert_false(policy_scopes_read(STR("mcp admin"), &bits));
    assert_false(policy_scopes_read(STR(""), &bits));
    assert_false(policy_scopes_read(STR("mcp  mcp:read"), &bits));
}

static void an_explanation_names_the_role_that_decided(void **state)
{
    (void)state;
    struct arena *a = arena_new(1 << 20);
    struct who w = {.roles = ROLE_MEMBER, .statements = S_DENY_A_ALL};
    struct caller c = caller_make(a, &w);
    struct policy_target t = {
        .connection_id = STR(CONN_A), .name = STR("echo"), .is_tool_enabled = true};
    struct policy_verdict v = policy_decide(&c, POLICY_TOOL, &t);
    assert_non_null(v.statement);
    struct str why = policy_explain(a, &c, &v);
    assert_true(str_find(why, STR("tested")) != SIZE_MAX);
    arena_end(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(builtin_roles_use_every_connection),
        cmocka_unit_test(an_operator_has_no_rights_without_membership),
        cmocka_unit_test(management_follows_the_built_in_roles),
        cmocka_unit_test(a_custom_role_grants_only_what_it_names),
        cmocka_unit_test(deny_wins_over_everything),
        cmocka_unit_test(a_custom_role_can_add_management_but_never_ownership),
        cmocka_unit_test(scopes_only_narrow),
        cmocka_unit_test(the_read_scope_follows_the_administrators_mark),
        cmocka_unit_test(a_keys_own_lists_only_narrow),
        cmocka_unit_test(a_disabled_tool_is_refused_to_everybody),
        cmocka_unit_test(no_narrowing_ever_grants),
        cmocka_unit_test(ill_formed_statements_are_refused_by_path),
        cmocka_unit_test(scope_words_are_read_and_unknown_ones_refused),
        cmocka_unit_test(an_explanation_names_the_role_that_decided),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
