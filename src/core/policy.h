/*
 * The one decision: may this caller do this? Used by listing, describing, searching and calling
 * alike, for management tools, proxied tools, resources, prompts and completion. Pure: plain
 * records in, a verdict out.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "core/caller.h"

/* Beside the built-in roles, in policy_target.manage_roles: who else has a management tool. */
enum manage_right {
    MANAGE_ANYONE =
        8, /* whoever is signed in: what is about themselves, member of an organization or not */
    MANAGE_OPERATOR = 16, /* operators of the installation */
};
enum policy_action {
    POLICY_CONNECT,  /* use a connection at all: true when anything on it might be allowed */
    POLICY_TOOL,     /* name: the tool as the server names it */
    POLICY_RESOURCE, /* name: the URI (or URI template) */
    POLICY_PROMPT,   /* name: the prompt */
    POLICY_MANAGE,   /* name: the management tool; object: what it is about */
};
struct policy_target {
    struct str connection_id; /* conn_..; POLICY_MANAGE: the one the tool is about, or absent */
    struct str virtual_id; /* vs_..: the virtual server through which it is reached; absent: none.
                              Statements and keys may name it in the connection's stead */
    struct str name;
    enum effect
        effect; /* the administrator's mark of a proxied tool; the effect of a management tool */
    unsigned manage_roles; /* POLICY_MANAGE: built-in roles that have the tool (its spec's
                              "permission") */
    bool is_tool_enabled;  /* POLICY_TOOL: false refuses everybody */
};
enum policy_reason {
    POLICY_OK,
    POLICY_NOT_MEMBER,
    POLICY_SCOPE,
    POLICY_KEY_TOOLS,
    POLICY_KEY_CONNECTIONS,
    POLICY_DENIED_BY_STATEMENT,
    POLICY_NOT_GRANTED,
    POLICY_DISABLED,
    POLICY_READ_ONLY
};
struct policy_verdict {
    bool is_allowed;
    enum policy_reason reason;
    const struct statement *statement; /* that decided, or NULL */
};
struct policy_verdict policy_decide(const struct caller *c, enum policy_action action,
                                    const struct policy_target *t);
/* One sentence saying why, for POLICY_EXPLAIN and the audit. */
struct str policy_explain(struct arena *a, const struct caller *c, const struct policy_verdict *v);

/* Reads and checks a role's statements (JSON array text) into the arena. ERR_INVALID names the
 * path. */
bool policy_statements_read(struct arena *a, struct str json, struct str role_name,
                            struct statement **out, size_t *n, struct err *e) must_use;
/* "mcp mcp:read mcp:manage" to bits; unknown words give false. */
bool policy_scopes_read(struct str scopes, unsigned *out) must_use;
