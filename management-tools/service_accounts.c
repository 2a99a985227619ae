/* SERVICE_ACCOUNT_*: accounts of the organization's programs. */
#include "store/service_accounts.h"

#include "base/clock.h"
#include "base/ids.h"
#include "base/limits.h"
#include "management-tools/tool_io.h"
#include "store/roles.h"

tool_fn tool_service_account_create, tool_service_account_list, tool_service_account_update,
    tool_service_account_delete;

static void account_write(struct jout *j, const struct service_account *s)
{
    struct str rest = s->roles, role;
    jout_object(j);
    jout_kstr(j, "id", s->id);
    jout_kstr(j, "name", s->name);
    jout_key(j, STR("roles"));
    jout_array(j);
    while (str_next(&rest, ' ', &role))
        if (role.n)
            jout_str(j, role);
    jout_array_end(j);
    jout_kbool(j, "disabled", s->disabled_at != 0);
    jout_ktime(j, "created_at", s->created_at);
    jout_object_end(j);
}

static bool account_answer(struct tool_call *c, const struct service_account *s)
{
    struct jout j;
    jout_init(&j, c->out);
    jout_object(&j);
    jout_key(&j, STR("item"));
    account_write(&j, s);
    jout_object_end(&j);
    c->object = s->id;
    return true;
}

/* Whoever makes accounts without being an administrator must not give them what they have not. */
static bool role_take(struct tool_call *c, struct str role, struct buf *roles, struct err *e)
{
    struct role custom;
    bool is_builtin = str_eq(role, STR("admin")) || str_eq(role, STR("member"));
    if (str_eq(role, STR("owner")))
        return err_set(e, ERR_UNPROCESSABLE, "a service account is never an owner");
    if (!is_builtin && !id_is(role, "role"))
        return err_set(e, ERR_INVALID,
                       "arguments.role: given \"%.*s\", expected admin, member or role_...",
                       STR_FMT(str_slice(role, 0, 60)));
    if (!is_builtin && !roles_get(c->sv->db, c->arena, c->org_id, role, &custom, e))
        return e->code == ERR_NOT_FOUND ? err_set(e, ERR_NOT_FOUND, "no such role") : false;
    if (!str_eq(role, STR("member")) && !io_is_admin(c))
        return err_set(e, ERR_FORBIDDEN, "only administrators give other roles than member");
    if (str_list_has(buf_str(roles), role))
        return true;
    if (roles->n)
        buf_add_char(roles, ' ');
    buf_add(roles, role);
    return true;
}

/* *out stays as it is where nothing is given. */
static bool roles_read(struct tool_call *c, struct str *out, struct err *e)
{
    struct str one = jv_get_str(c->arguments, "role");
    const struct jvalue *several = jv_get(c->arguments, "roles");
    struct buf roles;
    if (!str_is_absent(one) && several)
        return err_set(e, ERR_INVALID, "arguments: expected either role or roles");
    if (str_is_absent(one) && !several)
        return true;
    buf_init(&roles, LIMIT_BODY_SMALL);
    bool is_good = several || role_take(c, one, &roles, e);
    for (size_t i = 0; is_good && i < jv_count(several); i++)
        is_good = role_take(c, jv_str(jv_at(several, i)), &roles, e);
    struct str text = is_good && buf_ok(&roles) ? arena_dup(c->arena, buf_str(&roles)) : STR_NONE;
    buf_end(&roles);
    if (!is_good)
        return false;
    *out = text;
    return !str_is_absent(text) || io_no_memory(e);
}

static bool account_find(struct tool_call *c, struct service_account *out, struct err *e)
{
    struct str id = jv_get_str(c->arguments, "service_account_id");
    if (service_accounts_get(c->sv->db, c->arena, c->org_id, id, out, e))
        return true;
    return e->code == ERR_NOT_FOUND ? err_set(e, ERR_NOT_FOUND, "no such service account") : false;
}

bool tool_service_account_create(struct tool_call *c, struct err *e)
{
    struct id id = id_new("sa");
    struct service_account s = {.id = arena_dup(c->arena, id_str(&id)),
                                .roles = STR("member"),
                                .created_at = clock_wall_ms()};
    if (str_is_absent(s.id))
        return io_no_memory(e);
    return io_name(jv_get_str(c->arguments, "name"), &s.name, e) && roles_read(c, &s.roles, e) &&
           service_accounts_insert(c->sv->db, c->arena, c->org_id, &s, e) && account_answer(c, &s);
}

bool tool_service_account_list(struct tool_call *c, struct err *e)
{
    struct db_page page;
    struct service_account *list;
    struct jout j;
    size_t n;
    struct io_list_end end = {0};
    if (!io_page_read(c, &page, e) ||
        !service_accounts_list(c->sv->db, c->arena, c->org_id, &page, &list, &n, e) ||
        !service_accounts_count(c->sv->db, c->arena, c->org_id, &end.total, e))
        return false;
    io_list_begin(c, &j);
    for (size_t i = 0; i < n && i < (size_t)page.limit; i++) {
        account_write(&j, &list[i]);
        end.last_at = list[i].created_at;
        end.last_id = list[i].id;
    }
    end.has_more = n > (size_t)page.limit;
    return io_list_end(c, &j, &end, e);
}

bool tool_service_account_update(struct tool_call *c, struct err *e)
{
    struct service_account s;
    int64_t now = clock_wall_ms();
    struct str name = jv_get_str(c->arguments, "name");
    const struct jvalue *disabled = jv_get(c->arguments, "disabled");
    if (!account_find(c, &s, e) || (!str_is_absent(name) && !io_name(name, &s.name, e)) ||
        !roles_read(c, &s.roles, e))
        return false;
    /* Giving an administrator's account other roles, or waking it, is for administrators. */
    if (!io_is_admin(c) && !str_eq(s.roles, STR("member")))
        return err_set(e, ERR_FORBIDDEN, "only administrators change accounts with other roles");
    if (disabled)
        s.disabled_at = !jv_bool(disabled, false) ? 0 : s.disabled_at ? s.disabled_at : now;
    return service_accounts_update(c->sv->db, c->arena, c->org_id, &s, now, e) &&
           account_answer(c, &s);
}

bool tool_service_account_delete(struct tool_call *c, struct err *e)
{
    struct service_account s;
    if (!account_find(c, &s, e) ||
        !service_accounts_delete(c->sv->db, c->arena, c->org_id, s.id, e))
        return false;
    io_deleted(c, s.id);
    return true;
}
