/* USER_*: people, as they and their colleagues see them. */
#include "base/clock.h"
#include "management-tools/tool_io.h"
#include "store/members.h"
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

bool tool_user_update(struct tool_call *c, struct err *e)
{
    struct str name;
    struct user user;
    c->object = c->caller->user_id;
    return io_name(jv_get_str(c->arguments, "name"), &name, e) &&
           users_update_name(c->sv->db, c->arena, c->caller->user_id, name, clock_wall_ms(), e) &&
           users_get(c->sv->db, c->arena, c->caller->user_id, &user, e) && user_write(c, &user);
}
