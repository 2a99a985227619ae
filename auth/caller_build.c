/* Puts a caller together: the person, their roles in the organization, what the key narrows. */
#include "auth/caller_build.h"

#include "auth/oauth/scope.h"
#include "core/policy.h"
#include "json/jscan.h"
#include "store/groups.h"
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

/* What a member has by groups beside their own roles. */
struct by_groups {
    struct str own_roles;
    struct group_of_member *groups;
    size_t n_groups;
};

/* By which group the member has the role; absent: by none, or it is their own. */
static struct str group_giving(const struct by_groups *by, struct str role)
{
    if (!str_list_has(by->own_roles, role))
        for (size_t i = 0; i < by->n_groups; i++)
            if (str_list_has(by->groups[i].roles, role))
                return by->groups[i].name;
    return STR_NONE;
}

static void builtin_roles_read(const struct by_groups *by, struct caller *c)
{
    static const struct {
        unsigned bit;
        struct str name;
    } strongest_first[] = {
        {ROLE_OWNER, STR("owner")}, {ROLE_ADMIN, STR("admin")}, {ROLE_MEMBER, STR("member")}};
    c->builtin_roles = builtin_roles_of(by->own_roles);
    for (size_t i = 0; i < by->n_groups; i++)
        c->builtin_roles |= builtin_roles_of(by->groups[i].roles);
    for (size_t i = 0; i < ARRAY_LEN(strongest_first); i++)
        if (c->builtin_roles & strongest_first[i].bit) {
            c->builtin_group = group_giving(by, strongest_first[i].name);
            return;
        }
}

/* The statements of all custom roles of the member, one after the other. */
static bool statements_read(struct arena *keep, const struct role *roles, size_t n_roles,
                            const struct by_groups *by, struct caller *c, struct err *e)
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
        for (size_t k = 0; k < counts[i]; k++) {
            all[at] = lists[i][k];
            all[at++].group_name = group_giving(by, roles[i].id);
        }
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
    if (member.deactivated_at)
        return err_set(e, ERR_NOT_FOUND, "the membership is deactivated");
    struct by_groups by = {.own_roles = member.roles};
    if (!groups_of_member(sv->db, keep, org_id, user_id, &by.groups, &by.n_groups, e))
        return false;

    struct caller c = {.org_id = arena_dup(keep, org_id),
                       .user_id = user.id,
                       .user_email = user.email,
                       .is_operator = user.is_operator,
                       .is_management_audience = true,
                       .is_proxy_audience = true};
    struct role *roles;
    size_t n_roles;
    builtin_roles_read(&by, &c);
    if (!roles_of_member(sv->db, keep, org_id, user_id, &roles, &n_roles, e) ||
        !statements_read(keep, roles, n_roles, &by, &c, e))
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

bool caller_is_owner(struct services *sv, struct arena *a, struct str org_id, struct str user_id,
                     bool *out, struct err *e)
{
    struct member member;
    struct group_of_member *groups;
    size_t n;
    *out = false;
    if (!members_get(sv->db, a, org_id, user_id, &member, e))
        return e->code == ERR_NOT_FOUND;
    if (member.deactivated_at)
        return true;
    if (!groups_of_member(sv->db, a, org_id, user_id, &groups, &n, e))
        return false;
    *out = str_list_has(member.roles, STR("owner")) || groups_give(groups, n, STR("owner"));
    return true;
}

/* The scopes that the policy knows; none of them is no restriction there, so it must not happen. */
static bool scopes_read(struct str scope, unsigned *out)
{
    unsigned bits;
    struct str rest = scope, word;
    *out = 0;
    while (str_next(&rest, ' ', &word))
        if (policy_scopes_read(word, &bits))
            *out |= bits;
    return *out != 0;
}

/* The connections that the scope names; none named is no narrowing. */
static bool connections_read(struct arena *keep, struct str scope, struct caller *out,
                             struct err *e)
{
    size_t n = 0;
    struct str rest = scope, word, *ids;
    while (str_next(&rest, ' ', &word))
        n += scope_is_connection(word);
    if (n == 0)
        return true;
    ids = arena_alloc(keep, n * sizeof(*ids));
    if (!ids)
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    out->connection_ids = ids;
    rest = scope;
    while (str_next(&rest, ' ', &word))
        if (scope_is_connection(word))
            ids[out->n_connection_ids++] = str_slice(word, 5, SIZE_MAX);
    return true;
}

bool caller_scope_apply(struct arena *keep, struct str scope, struct caller *out, struct err *e)
{
    if (!scopes_read(scope, &out->scopes))
        return err_set(e, ERR_INSUFFICIENT_SCOPE, "the access token has no scope");
    return connections_read(keep, scope, out, e);
}
