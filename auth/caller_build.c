/* Puts a caller together: the person, their roles in the organization, what the key narrows. */
#include "auth/caller_build.h"

#include "core/policy.h"
#include "json/jscan.h"
#include "store/members.h"
#include "store/roles.h"
#include "store/users.h"

static bool no_memory(struct err *e)
{
    return err_set(e, ERR_UNAVAILABLE, "out of memory");
}

static unsigned builtin_roles_of(struct str roles)
{
    unsigned bits = 0;
    if (str_list_has(roles, STR("owner")))
        bits |= ROLE_OWNER;
    if (str_list_has(roles, STR("admin")))
        bits |= ROLE_ADMIN;
    if (str_list_has(roles, STR("member")))
        bits |= ROLE_MEMBER;
    return bits;
}

/* Reads a JSON array of strings that the tools have validated before it was stored. */
static bool names_read(struct arena *keep, struct str json, const struct str **out, size_t *n,
                       struct err *e)
{
    *out = NULL;
    *n = 0;
    if (str_is_absent(json))
        return true;
    size_t count = 0;
    struct jiter it;
    for (jscan_iter(&it, json); jscan_next(&it);)
        count++;
    /* An empty array must stay "narrowed to nothing", so the pointer is never NULL here. */
    struct str *names = arena_alloc(keep, (count + 1) * sizeof(*names));
    if (!names)
        return no_memory(e);
    size_t i = 0;
    for (jscan_iter(&it, json); i < count && jscan_next(&it); i++) {
        struct str name;
        if (!jscan_string(keep, it.value, &name))
            return err_set(e, ERR_INTERNAL, "a stored list of names is damaged");
        names[i] = arena_dup(keep, name);
    }
    *out = names;
    *n = count;
    return true;
}

/* The statements of all custom roles of the member, one after the other. */
static bool statements_read(struct arena *keep, const struct role *roles, size_t n_roles,
                            struct caller *c, struct err *e)
{
    struct statement **lists = arena_alloc(keep, (n_roles + 1) * sizeof(*lists));
    size_t *counts = arena_alloc(keep, (n_roles + 1) * sizeof(*counts));
    if (!lists || !counts)
        return no_memory(e);
    size_t total = 0;
    for (size_t i = 0; i < n_roles; i++) {
        if (!policy_statements_read(keep, roles[i].statements, roles[i].name, &lists[i], &counts[i],
                                    e))
            return false;
        total += counts[i];
    }
    struct statement *all = arena_alloc(keep, (total + 1) * sizeof(*all));
    if (!all)
        return no_memory(e);
    size_t at = 0;
    for (size_t i = 0; i < n_roles; i++)
        for (size_t k = 0; k < counts[i]; k++)
            all[at++] = lists[i][k];
    c->statements = all;
    c->n_statements = total;
    return true;
}

static bool key_apply(struct arena *keep, const struct api_key *key, struct caller *c,
                      struct err *e)
{
    c->key_id = key->id;
    c->expires_at = key->expires_at;
    if (!str_is_absent(key->scopes) && !policy_scopes_read(key->scopes, &c->scopes))
        return err_set(e, ERR_INTERNAL, "a stored scope is unknown");
    return names_read(keep, key->tools, &c->tools, &c->n_tools, e) &&
           names_read(keep, key->connection_ids, &c->connection_ids, &c->n_connection_ids, e);
}

bool caller_build(struct services *sv, struct arena *keep, struct str org_id, struct str user_id,
                  const struct api_key *key, struct caller *out, struct err *e)
{
    struct user user;
    struct member member;
    if (!users_get(sv->db, keep, user_id, &user, e))
        return false;
    if (user.disabled_at)
        return err_set(e, ERR_NOT_FOUND, "the user is disabled");
    if (!members_get(sv->db, keep, org_id, user_id, &member, e))
        return false;

    struct caller c = {.org_id = arena_dup(keep, org_id),
                       .user_id = user.id,
                       .user_email = user.email,
                       .is_operator = user.is_operator,
                       .builtin_roles = builtin_roles_of(member.roles),
                       .is_management_audience = true,
                       .is_proxy_audience = true};
    struct role *roles;
    size_t n_roles;
    if (!roles_of_member(sv->db, keep, org_id, user_id, &roles, &n_roles, e) ||
        !statements_read(keep, roles, n_roles, &c, e))
        return false;
    if (key && !key_apply(keep, key, &c, e))
        return false;
    c.principal = arena_printf(keep, "%.*s|%.*s|%.*s", STR_FMT(c.org_id), STR_FMT(c.user_id),
                               STR_FMT(c.key_id));
    if (str_is_absent(c.principal))
        return no_memory(e);
    *out = c;
    return true;
}
