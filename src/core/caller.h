/* Who calls, as everything above authentication sees it: a plain record. */
#pragma once

#include <stdint.h>

#include "base/proof.h"

enum effect { EFFECT_UNKNOWN, EFFECT_READ, EFFECT_WRITE, EFFECT_DESTRUCTIVE };
enum builtin_role { ROLE_OWNER = 1, ROLE_ADMIN = 2, ROLE_MEMBER = 4 };
enum scope { SCOPE_MCP = 1, SCOPE_MCP_READ = 2, SCOPE_MCP_MANAGE = 4 };

/* One statement of a custom role: {"on","tools","resources","prompts","effect"} (contract:
 * Permissions). */
struct statement {
    struct str on;                                 /* "org", "conn_...", "vs_...", "*" */
    const struct str *tools, *resources, *prompts; /* patterns */
    size_t n_tools, n_resources, n_prompts;
    bool is_deny;
    struct str role_name;  /* for explanations */
    struct str group_name; /* by which the member has the role; absent: it is their own */
};

/* Immutable; shared by the requests of one worker while they run (caller_hold / caller_release in
 * auth/token_check.h). */
struct caller {
    struct str org_id; /* of the key or grant; absent for a browser session without one */
    struct str user_id;
    struct str user_email;
    struct str key_id;    /* API key; absent otherwise */
    struct str client_id; /* OAuth client; absent otherwise */
    struct proof proof;   /* of a browser session, or of who made the key in one */
    int64_t proved_at;    /* ms, of a browser session: when the person last proved it; else 0 */
    bool is_operator;
    unsigned builtin_roles;   /* enum builtin_role bits in org_id; 0: no member */
    struct str builtin_group; /* that gives the strongest of them; absent: it is their own */
    const struct statement *statements; /* of custom roles */
    size_t n_statements;
    unsigned scopes;         /* enum scope bits; 0: no restriction by scope */
    const struct str *tools; /* the key's own narrowing; n 0 and NULL: none */
    size_t n_tools;
    const struct str *connection_ids; /* "conn_..:read": of that one only what reads */
    size_t n_connection_ids;
    bool is_management_audience;       /* may be used at /mcp and /api */
    bool is_proxy_audience;            /* may be used at connections (an API key: both) */
    struct str audience_connection_id; /* the one connection an access token is for, or "hub", or a
                                          virtual server (vs_..); absent: not
                                          limited by audience */
    int64_t expires_at;                /* ms; 0: never */
    uint8_t token_digest[32]; /* SHA-256 of the bearer: to ask again whether it still holds */
    uint64_t epoch;           /* of the store (db_epoch) before what made this was read */
    struct str principal;     /* organization + user + (client or key): "org_..|usr_..|key_.." */
};

/* now: wall clock ms. */
static inline bool caller_is_expired(const struct caller *c, int64_t now)
{
    return c->expires_at != 0 && c->expires_at <= now;
}

/* Keys and grants belong to one organization; a person signed in may name any of theirs. */
static inline bool caller_is_bound(const struct caller *c)
{
    return !str_is_absent(c->key_id) || !str_is_absent(c->client_id);
}
