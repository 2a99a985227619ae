#include "management-tools/role_words.h"

#include "base/ids.h"
#include "base/limits.h"
#include "base/text.h"
#include "management-tools/tool_io.h"
#include "store/roles.h"
#include "store/users.h"

bool role_words_may_give(const struct tool_call *c, struct str roles, struct err *e)
{
    struct str rest = roles, role;
    while (str_next(&rest, ' ', &role)) {
        if (str_eq(role, STR("owner")) && !(c->caller->builtin_roles & ROLE_OWNER))
            return err_set(e, ERR_FORBIDDEN, "only owners make owners");
        /* Whoever manages members by a custom role must not give away more than they have. */
        if (role.n > 0 && !str_eq(role, STR("member")) && !io_is_admin(c))
            return err_set(e, ERR_FORBIDDEN, "only administrators give other roles than member");
    }
    return true;
}

bool role_words_take(struct tool_call *c, struct str role, struct buf *roles, struct err *e)
{
    struct role custom;
    bool is_builtin =
        str_eq(role, STR("owner")) || str_eq(role, STR("admin")) || str_eq(role, STR("member"));
    if (!is_builtin && !id_is(role, "role"))
        return err_set(e, ERR_INVALID,
                       "arguments.role: given \"%.*s\", expected owner, admin, member or role_...",
                       STR_FMT(str_slice(role, 0, 60)));
    if (!is_builtin && !roles_get(c->sv->db, c->arena, c->org_id, role, &custom, e))
        return e->code == ERR_NOT_FOUND ? err_set(e, ERR_NOT_FOUND, "no such role") : false;
    if (!role_words_may_give(c, role, e))
        return false;
    if (!str_list_has(buf_str(roles), role)) {
        if (roles->n)
            buf_add_char(roles, ' ');
        buf_add(roles, role);
    }
    return true;
}

static bool person_by_id(struct tool_call *c, struct str id, struct user *out, struct err *e)
{
    /* An id tells who somebody is: only of people whom the caller shares an organization with. */
    bool is_shared = false;
    if (!users_share_org(c->sv->db, c->arena, c->caller->user_id, id, &is_shared, e))
        return false;
    return is_shared ? users_get(c->sv->db, c->arena, id, out, e)
                     : err_set(e, ERR_NOT_FOUND, "no such person");
}

static bool person_by_email(struct tool_call *c, struct str email, struct user *out, struct err *e)
{
    char lower[LIMIT_EMAIL + 1];
    struct str trimmed = str_slice(str_trim(email), 0, LIMIT_EMAIL);
    memcpy(lower, trimmed.p, trimmed.n);
    text_lower(lower, trimmed.n);
    return users_by_email(c->sv->db, c->arena, (struct str){lower, trimmed.n}, out, e);
}

bool role_words_person(struct tool_call *c, struct user *out, struct err *e)
{
    struct str id = jv_get_str(c->arguments, "user_id"), email = jv_get_str(c->arguments, "email");
    if (str_is_absent(id) == str_is_absent(email))
        return err_set(e, ERR_INVALID, "arguments: expected either user_id or email");
    bool is_found =
        str_is_absent(email) ? person_by_id(c, id, out, e) : person_by_email(c, email, out, e);
    if (is_found && id_is(out->id, "sa")) /* SERVICE_ACCOUNT_* manage those */
        return err_set(e, ERR_NOT_FOUND, "no such person");
    if (is_found)
        c->object = out->id;
    else if (e->code == ERR_NOT_FOUND)
        return err_set(e, ERR_NOT_FOUND, "no such person");
    return is_found;
}
