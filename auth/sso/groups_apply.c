#include "auth/sso/groups_apply.h"

#include "base/clock.h"
#include "base/ids.h"
#include "base/limits.h"
#include "json/jread.h"
#include "store/groups.h"
#include "store/members.h"
#include "store/roles.h"

/* What the person has by what was said, being collected. */
struct collected {
    struct str *group_ids;
    size_t n_groups, max_groups;
    struct buf roles;
};

static bool no_memory(struct err *e)
{
    return err_set(e, ERR_UNAVAILABLE, "out of memory");
}

static bool is_said(const struct groups_said *said, struct str name)
{
    for (size_t i = 0; i < said->n_groups && i < LIMIT_GROUPS_SAID; i++)
        if (str_eq(said->groups[i], name))
            return true;
    return false;
}

static void group_take(struct collected *c, struct str id)
{
    for (size_t i = 0; i < c->n_groups; i++)
        if (str_eq(c->group_ids[i], id))
            return;
    if (c->n_groups < c->max_groups)
        c->group_ids[c->n_groups++] = id;
}

/* One word of group_roles. Ownership never comes from there: who configures providers need not be
 * an owner. */
static bool word_take(struct services *sv, struct arena *a, struct str org_id, struct str word,
                      struct collected *c, struct err *e)
{
    struct group group;
    struct role role;
    if (id_is(word, "grp")) {
        if (groups_get(sv->db, a, org_id, word, &group, e)) {
            if (!str_list_has(group.roles, STR("owner")))
                group_take(c, group.id);
            return true;
        }
        return e->code == ERR_NOT_FOUND;
    }
    bool is_known = str_eq(word, STR("admin")) || str_eq(word, STR("member"));
    if (!is_known && id_is(word, "role")) {
        is_known = roles_get(sv->db, a, org_id, word, &role, e);
        if (!is_known && e->code != ERR_NOT_FOUND)
            return false;
    }
    if (is_known && !str_list_has(buf_str(&c->roles), word)) {
        if (c->roles.n)
            buf_add_char(&c->roles, ' ');
        buf_add(&c->roles, word);
    }
    return true;
}

static bool group_roles_take(struct services *sv, struct arena *a, const struct groups_said *said,
                             struct collected *c, struct err *e)
{
    auto_free(jdoc_freep) struct jdoc *doc = NULL;
    void *iter = NULL;
    struct str name;
    const struct jvalue *value;
    if (str_is_absent(said->group_roles) || said->group_roles.n == 0)
        return true;
    doc = jdoc_parse(said->group_roles, e);
    if (!doc)
        return err_set(e, ERR_INTERNAL, "a provider's group_roles are damaged");
    while (jv_member(jdoc_root(doc), &iter, &name, &value)) {
        if (!is_said(said, name))
            continue;
        struct str one = arena_dup(a, jv_str(value));
        if (!str_is_absent(one) && !word_take(sv, a, said->org_id, one, c, e))
            return false;
        for (size_t i = 0; i < jv_count(value) && jv_is_array(value); i++) {
            struct str word = arena_dup(a, jv_str(jv_at(value, i)));
            if (!str_is_absent(word) && !word_take(sv, a, said->org_id, word, c, e))
                return false;
        }
    }
    return true;
}

/* A group that a name of the provider is mapped to. Nobody becomes an owner by what a provider says
 * that an administrator configured last. */
static bool mapped_take(struct services *sv, struct arena *a, const struct groups_said *said,
                        struct str id, struct collected *c, struct err *e)
{
    struct group group = {0};
    if (!said->is_owners && !groups_get(sv->db, a, said->org_id, id, &group, e))
        return e->code == ERR_NOT_FOUND;
    if (said->is_owners || !str_list_has(group.roles, STR("owner")))
        group_take(c, id);
    return true;
}

static bool collect(struct services *sv, struct arena *a, const struct groups_said *said,
                    struct collected *c, struct err *e)
{
    struct group_name *names;
    size_t n;
    if (!groups_names(sv->db, a, said->org_id, said->provider_id, STR_NONE, &names, &n, e))
        return false;
    c->max_groups = n + LIMIT_GROUPS_SAID;
    c->group_ids = arena_alloc(a, c->max_groups * sizeof(*c->group_ids));
    if (!c->group_ids)
        return no_memory(e);
    for (size_t i = 0; i < n; i++)
        if (is_said(said, names[i].name) && !mapped_take(sv, a, said, names[i].group_id, c, e))
            return false;
    return group_roles_take(sv, a, said, c, e);
}

static bool apply(struct services *sv, struct arena *a, const struct groups_said *said,
                  struct collected *c, struct err *e)
{
    struct member member;
    if (!members_get(sv->db, a, said->org_id, said->user_id, &member, e) ||
        !collect(sv, a, said, c, e))
        return false;
    if (!buf_ok(&c->roles))
        return no_memory(e);
    const struct groups_by_provider g = {
        .org_id = said->org_id,
        .user_id = said->user_id,
        .provider_id = said->provider_id,
        .group_ids = c->group_ids,
        .n_groups = c->n_groups,
        .roles = c->roles.n ? buf_str(&c->roles) : STR(""),
        .now = clock_wall_ms(),
    };
    return groups_set_by_provider(sv->db, a, &g, e);
}

bool groups_apply(struct services *sv, const struct groups_said *said, struct err *e)
{
    auto_free(arena_endp) struct arena *a = arena_new(LIMIT_REQUEST_ARENA);
    struct collected c = {0};
    struct err own;
    e = e ? e : &own;
    if (!a)
        return no_memory(e);
    buf_init(&c.roles, LIMIT_BODY_SMALL);
    bool is_good = apply(sv, a, said, &c, e);
    buf_end(&c.roles);
    return is_good;
}
