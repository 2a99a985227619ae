/* USER_*: people, as they and their colleagues see them. */
#include "base/clock.h"
#include "management-tools/tool_io.h"
#include "store/members.h"
#include "store/orgs.h"
#include "store/users.h"

tool_fn tool_user_get, tool_user_update;

static bool user_write(struct tool_call *c, const struct user *u)
{
    struct jout j;
    bool is_self = str_eq(u->id, c->caller->user_id);
    jout_init(&j, c->out);
    jout_object(&j);
    jout_key(&j, STR("item"));
    jout_object(&j);
    jout_kstr(&j, "id", u->id);
    jout_kstr(&j, "email", u->email);
    jout_kstr(&j, "name", u->name);
    jout_kbool(&j, "is_operator", is_self && u->is_operator); /* nobody else's business */
    jout_ktime(&j, "created_at", u->created_at);
    jout_object_end(&j);
    jout_object_end(&j);
    return true;
}

/* A key sees the people of its organization; a person without one, whom they share an organization
 * with. */
static bool is_visible(struct tool_call *c, struct str user_id, bool *out, struct err *e)
{
    struct member member;
    *out = str_eq(user_id, c->caller->user_id);
    if (*out)
        return true;
    if (!caller_is_bound(c->caller))
        return users_share_org(c->sv->db, c->arena, c->caller->user_id, user_id, out, e);
    *out = members_get(c->sv->db, c->arena, c->caller->org_id, user_id, &member, e);
    return *out || e->code == ERR_NOT_FOUND;
}

bool tool_user_get(struct tool_call *c, struct err *e)
{
    struct str id = jv_get_str(c->arguments, "user_id");
    struct user user;
    bool may_see;
    if (str_is_absent(id))
        id = c->caller->user_id;
    if (!is_visible(c, id, &may_see, e))
        return false;
    if (!may_see)
        return err_set(e, ERR_NOT_FOUND, "no such user");
    return users_get(c->sv->db, c->arena, id, &user, e) && user_write(c, &user);
}

/* Accounts are the installation's: its operators stop them. */
static bool disabled_set(struct tool_call *c, struct str id, struct err *e)
{
    const struct jvalue *disabled = jv_get(c->arguments, "disabled");
    int64_t now = clock_wall_ms();
    if (!disabled)
        return true;
    if (str_eq(id, c->caller->user_id))
        return err_set(e, ERR_UNPROCESSABLE, "your own account cannot be disabled");
    return users_set_disabled(c->sv->db, c->arena, id, jv_bool(disabled, false) ? now : 0, now, e);
}

/* A name is shown in all of a person's organizations: one of them, whose provider proved who this
 * is, does not change it for the others. */
static bool name_check(struct tool_call *c, struct err *e)
{
    const struct db_page page = {.limit = 1};
    struct str proof_org_id = c->use->caller->proof.org_id;
    struct org_of_user *orgs;
    size_t n;
    if (str_is_absent(proof_org_id))
        return true;
    if (!orgs_list_of_user(c->sv->db, c->arena, c->caller->user_id, &page, &orgs, &n, e))
        return false;
    for (size_t i = 0; i < n; i++)
        if (!str_eq(orgs[i].org.id, proof_org_id))
            return err_set(e, ERR_FORBIDDEN,
                           "an organization's sign-in provider brought you here: sign out, and in "
                           "again without it, to change your name in all of your organizations");
    return true;
}

bool tool_user_update(struct tool_call *c, struct err *e)
{
    struct str given = jv_get_str(c->arguments, "name"), name, id;
    struct user user;
    bool may_see;
    id = jv_get_str(c->arguments, "user_id");
    if (str_is_absent(id))
        id = c->caller->user_id;
    bool is_others = !str_eq(id, c->caller->user_id);
    if (!c->caller->is_operator && (is_others || jv_get(c->arguments, "disabled")))
        return err_set(e, ERR_FORBIDDEN, "only operators change other accounts, or disable one");
    if (is_others && !str_is_absent(given))
        return err_set(e, ERR_UNPROCESSABLE, "people change their names themselves");
    if (!is_visible(c, id, &may_see, e))
        return false;
    if (!may_see)
        return err_set(e, ERR_NOT_FOUND, "no such user");
    c->object = id;
    if (!users_get(c->sv->db, c->arena, id, &user, e))
        return false;
    if (!str_is_absent(given) &&
        (!name_check(c, e) || !io_name(given, &name, e) ||
         !users_update_name(c->sv->db, c->arena, id, name, clock_wall_ms(), e)))
        return false;
    return disabled_set(c, id, e) && users_get(c->sv->db, c->arena, id, &user, e) &&
           user_write(c, &user);
}
