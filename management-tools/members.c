/* ORGANIZATION_MEMBER_*: who belongs to the organization, with which roles. */
#include "auth/downstream/disconnect.h"
#include "base/clock.h"
#include "base/limits.h"
#include "management-tools/role_words.h"
#include "management-tools/tool_io.h"
#include "store/api_keys.h"
#include "store/members.h"
#include "store/offboarding.h"
#include "store/service_accounts.h"
#include "store/users.h"

tool_fn tool_organization_member_add, tool_organization_member_remove,
    tool_organization_member_list, tool_organization_member_update_role;

static void member_write(struct jout *j, const struct member *m)
{
    struct str rest = m->roles, role;
    jout_object(j);
    jout_kstr(j, "user_id", m->user_id);
    jout_kstr(j, "email", m->email);
    jout_kstr(j, "name", m->name);
    jout_key(j, STR("roles"));
    jout_array(j);
    while (str_next(&rest, ' ', &role))
        if (role.n)
            jout_str(j, role);
    jout_array_end(j);
    jout_ktime(j, "created_at", m->created_at);
    jout_kbool(j, "active", m->deactivated_at == 0);
    jout_object_end(j);
}

static bool member_answer(struct tool_call *c, struct str user_id, struct err *e)
{
    struct member member = {0};
    struct jout j;
    if (!members_get(c->sv->db, c->arena, c->org_id, user_id, &member, e))
        return false;
    jout_init(&j, c->out);
    jout_object(&j);
    jout_key(&j, STR("item"));
    member_write(&j, &member);
    jout_object_end(&j);
    return true;
}

static bool member_find(struct tool_call *c, struct member *out, struct err *e)
{
    struct user user = {0};
    if (role_words_person(c, &user, e) &&
        members_get(c->sv->db, c->arena, c->org_id, user.id, out, e))
        return true;
    return e->code == ERR_NOT_FOUND ? err_set(e, ERR_NOT_FOUND, "no such person") : false;
}

static bool is_owner(const struct tool_call *c)
{
    return (c->caller->builtin_roles & ROLE_OWNER) != 0;
}

static bool roles_read(struct tool_call *c, struct str *out, struct err *e)
{
    struct str one = jv_get_str(c->arguments, "role");
    const struct jvalue *several = jv_get(c->arguments, "roles");
    if (str_is_absent(one) == (several == NULL))
        return err_set(e, ERR_INVALID, "arguments: expected either role or roles");
    struct buf roles;
    buf_init(&roles, LIMIT_BODY_SMALL);
    bool is_good = !several ? role_words_take(c, one, &roles, e) : true;
    for (size_t i = 0; is_good && i < jv_count(several); i++)
        is_good = role_words_take(c, jv_str(jv_at(several, i)), &roles, e);
    *out = is_good && buf_ok(&roles) ? arena_dup(c->arena, buf_str(&roles)) : STR_NONE;
    buf_end(&roles);
    return is_good && (!str_is_absent(*out) || io_no_memory(e));
}

/* Nobody touches who stands above them. */
static bool may_touch(struct tool_call *c, const struct member *m, struct err *e)
{
    struct group_of_member *groups;
    size_t n;
    if (!groups_of_member(c->sv->db, c->arena, c->org_id, m->user_id, &groups, &n, e))
        return false;
    if ((str_list_has(m->roles, STR("owner")) || groups_give(groups, n, STR("owner"))) &&
        !is_owner(c))
        return err_set(e, ERR_FORBIDDEN, "only owners change or remove owners");
    if ((str_list_has(m->roles, STR("admin")) || groups_give(groups, n, STR("admin"))) &&
        !io_is_admin(c))
        return err_set(e, ERR_FORBIDDEN, "only administrators change or remove administrators");
    return true;
}

bool tool_organization_member_add(struct tool_call *c, struct err *e)
{
    struct user user = {0};
    struct str roles = STR_NONE;
    if (!role_words_person(c, &user, e) || !roles_read(c, &roles, e))
        return false;
    if (!members_add(c->sv->db, c->arena, c->org_id, user.id, roles, clock_wall_ms(), e))
        return e->code == ERR_CONFLICT ? err_set(e, ERR_CONFLICT, "already a member") : false;
    return member_answer(c, user.id, e);
}

/* So that a person who is added again later does not bring old keys to life. */
static bool keys_delete(struct tool_call *c, struct str user_id, struct err *e)
{
    for (size_t n = 1; n > 0;) {
        const struct db_page page = {.limit = LIMIT_LIST};
        struct api_key *keys;
        if (!api_keys_list(c->sv->db, c->arena, c->org_id, user_id, &page, &keys, &n, e))
            return false;
        for (size_t i = 0; i < n; i++)
            if (!api_keys_delete(c->sv->db, c->arena, c->org_id, keys[i].id, clock_wall_ms(), e) &&
                e->code != ERR_NOT_FOUND)
                return false;
    }
    return true;
}

/* The keys, before anything of it ends. */
static bool keys_of(struct tool_call *c, struct str user_id, struct api_key **keys, size_t *n,
                    struct err *e)
{
    const struct db_page page = {.limit = LIMIT_LIST};
    if (!api_keys_list(c->sv->db, c->arena, c->org_id, user_id, &page, keys, n, e))
        return false;
    if (*n > LIMIT_LIST)
        *n = LIMIT_LIST;
    return true;
}

static void leaving_write(struct tool_call *c, struct str user_id, const struct offboarding *o,
                          const struct api_key *keys, size_t n_keys)
{
    struct jout j;
    jout_init(&j, c->out);
    jout_object(&j);
    jout_kbool(&j, "deleted", !jv_get_bool(c->arguments, "preview", false));
    jout_kstr(&j, "id", user_id);
    jout_key(&j, STR("keys"));
    jout_array(&j);
    for (size_t i = 0; i < n_keys; i++) {
        jout_object(&j);
        jout_kstr(&j, "id", keys[i].id);
        jout_kstr(&j, "name", keys[i].name);
        jout_object_end(&j);
    }
    jout_array_end(&j);
    jout_ki64(&j, "grant_count", o->n_grants);
    jout_ki64(&j, "credential_count", o->n_credentials);
    jout_key(&j, STR("authorized_connection_ids"));
    jout_array(&j);
    for (size_t i = 0; i < o->n_connections; i++)
        jout_str(&j, o->connection_ids[i]);
    jout_array_end(&j);
    jout_object_end(&j);
}

/* To a service account: keys of a person would outlive them otherwise. */
static bool keys_to_read(struct tool_call *c, struct str *out, struct err *e)
{
    struct service_account s;
    struct str to = jv_get_str(c->arguments, "keys_to");
    *out = STR_NONE;
    if (str_is_absent(to))
        return true;
    if (!io_is_admin(c))
        return err_set(e, ERR_FORBIDDEN, "only administrators hand keys over");
    if (!service_accounts_get(c->sv->db, c->arena, c->org_id, to, &s, e))
        return e->code == ERR_NOT_FOUND ? err_set(e, ERR_NOT_FOUND, "no such service account")
                                        : false;
    *out = s.id;
    return true;
}

static bool member_end(struct tool_call *c, struct str user_id, struct err *e)
{
    struct downstream_grants grants;
    struct str keys_to;
    if (!keys_to_read(c, &keys_to, e) ||
        !downstream_grants_of(c->sv, c->arena, c->org_id, user_id, &grants, e) ||
        !members_remove_handing(c->sv->db, c->arena, c->org_id, user_id, keys_to, e) ||
        !keys_delete(c, user_id, e))
        return false;
    downstream_grants_revoke(c->sv, c->arena, &grants);
    return true;
}

bool tool_organization_member_remove(struct tool_call *c, struct err *e)
{
    struct member member = {0};
    struct offboarding o;
    struct api_key *keys;
    size_t n_keys;
    if (!member_find(c, &member, e) || !may_touch(c, &member, e) ||
        !offboarding_look(c->sv->db, c->arena, c->org_id, member.user_id, &o, e) ||
        !keys_of(c, member.user_id, &keys, &n_keys, e))
        return false;
    if (!jv_get_bool(c->arguments, "preview", false) && !member_end(c, member.user_id, e))
        return false;
    leaving_write(c, member.user_id, &o, keys, n_keys);
    return true;
}

bool tool_organization_member_list(struct tool_call *c, struct err *e)
{
    struct db_page page;
    struct member *members;
    struct jout j;
    size_t n;
    struct io_list_end end = {0};
    struct str group_id = jv_get_str(c->arguments, "group_id");
    struct group group = {0};
    if (!io_page_read(c, &page, e))
        return false;
    if (!str_is_absent(group_id) &&
        !groups_get(c->sv->db, c->arena, c->org_id, group_id, &group, e))
        return e->code == ERR_NOT_FOUND ? err_set(e, ERR_NOT_FOUND, "no such group") : false;
    if (!members_list(c->sv->db, c->arena, c->org_id, group_id, &page, &members, &n, e))
        return false;
    end.total = group.n_members;
    if (str_is_absent(group_id) && !members_count(c->sv->db, c->arena, c->org_id, &end.total, e))
        return false;
    io_list_begin(c, &j);
    for (size_t i = 0; i < n && i < (size_t)page.limit; i++) {
        member_write(&j, &members[i]);
        end.last_at = members[i].created_at;
        end.last_id = members[i].user_id;
    }
    end.has_more = n > (size_t)page.limit;
    return io_list_end(c, &j, &end, e);
}

bool tool_organization_member_update_role(struct tool_call *c, struct err *e)
{
    struct member member = {0};
    struct str roles = STR_NONE;
    return member_find(c, &member, e) && may_touch(c, &member, e) && roles_read(c, &roles, e) &&
           members_set_roles(c->sv->db, c->arena, c->org_id, member.user_id, roles, clock_wall_ms(),
                             e) &&
           member_answer(c, member.user_id, e);
}
