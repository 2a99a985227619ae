/* ORGANIZATION_ROLE_*: custom roles. */
#include "base/clock.h"
#include "base/ids.h"
#include "core/policy.h"
#include "management-tools/tool_io.h"
#include "store/roles.h"

tool_fn tool_organization_role_create, tool_organization_role_list, tool_organization_role_update,
    tool_organization_role_delete;

static void role_write(struct jout *j, const struct role *r)
{
    jout_object(j);
    jout_kstr(j, "id", r->id);
    jout_kstr(j, "name", r->name);
    jout_kstr(j, "description", r->description);
    jout_kraw(j, "statements", r->statements);
    jout_ktime(j, "created_at", r->created_at);
    jout_ktime(j, "updated_at", r->updated_at);
    jout_object_end(j);
}

static bool role_answer(struct tool_call *c, struct str id, struct err *e)
{
    struct role role;
    struct jout j;
    if (!roles_get(c->sv->db, c->arena, c->org_id, id, &role, e))
        return e->code == ERR_NOT_FOUND ? err_set(e, ERR_NOT_FOUND, "no such role") : false;
    jout_init(&j, c->out);
    jout_object(&j);
    jout_key(&j, STR("item"));
    role_write(&j, &role);
    jout_object_end(&j);
    return true;
}

/* What a role grants is an administrator's word: a custom role that may edit roles could grant
 * itself everything. */
static bool may_define(const struct tool_call *c, struct err *e)
{
    return io_is_admin(c) || err_set(e, ERR_FORBIDDEN, "only administrators say what roles grant");
}

/* The statements as text, once they have been understood. */
static bool statements_read(struct tool_call *c, struct str *out, struct err *e)
{
    struct statement *read;
    size_t n;
    if (!io_json(c, jv_get(c->arguments, "statements"), STR_NONE, out, e))
        return false;
    return str_is_absent(*out) || policy_statements_read(c->arena, *out, STR("new"), &read, &n, e);
}

static bool name_taken(struct err *e)
{
    return e->code == ERR_CONFLICT ? err_set(e, ERR_CONFLICT, "a role of this name exists") : false;
}

bool tool_organization_role_create(struct tool_call *c, struct err *e)
{
    struct id id = id_new("role");
    struct role role = {.id = arena_dup(c->arena, id_str(&id)),
                        .description = jv_get_str(c->arguments, "description")};
    role.created_at = role.updated_at = clock_wall_ms();
    if (!may_define(c, e) || !io_name(jv_get_str(c->arguments, "name"), &role.name, e) ||
        !statements_read(c, &role.statements, e))
        return false;
    c->object = role.id;
    return roles_insert(c->sv->db, c->arena, c->org_id, &role, e) ? role_answer(c, role.id, e)
                                                                  : name_taken(e);
}

/* Whoever manages nothing sees the roles they have. */
static bool list_own(struct tool_call *c, const struct db_page *page, struct err *e)
{
    struct role *roles;
    struct jout j;
    size_t n;
    if (!roles_of_member(c->sv->db, c->arena, c->org_id, c->caller->user_id, &roles, &n, e))
        return false;
    io_list_begin(c, &j);
    struct io_list_end end = {.total = (int64_t)n};
    size_t from = 0;
    while (!str_is_absent(page->after_id) && from < n && !str_eq(roles[from].id, page->after_id))
        from++;
    from += !str_is_absent(page->after_id) && from < n;
    size_t to = from;
    for (; to < n && to - from < (size_t)page->limit; to++) {
        role_write(&j, &roles[to]);
        end.last_at = roles[to].created_at;
        end.last_id = roles[to].id;
    }
    end.has_more = to < n;
    return io_list_end(c, &j, &end, e);
}

bool tool_organization_role_list(struct tool_call *c, struct err *e)
{
    struct db_page page;
    struct role *roles;
    struct jout j;
    size_t n;
    struct io_list_end end = {0};
    if (!io_page_read(c, &page, e))
        return false;
    if (!io_may(c, "ORGANIZATION_MEMBER_UPDATE_ROLE", STR_NONE) &&
        !io_may(c, "ORGANIZATION_ROLE_UPDATE", STR_NONE))
        return list_own(c, &page, e);
    if (!roles_list(c->sv->db, c->arena, c->org_id, &page, &roles, &n, e) ||
        !roles_count(c->sv->db, c->arena, c->org_id, &end.total, e))
        return false;
    io_list_begin(c, &j);
    for (size_t i = 0; i < n && i < (size_t)page.limit; i++) {
        role_write(&j, &roles[i]);
        end.last_at = roles[i].created_at;
        end.last_id = roles[i].id;
    }
    end.has_more = n > (size_t)page.limit;
    return io_list_end(c, &j, &end, e);
}

bool tool_organization_role_update(struct tool_call *c, struct err *e)
{
    struct str id = jv_get_str(c->arguments, "role_id"), name = jv_get_str(c->arguments, "name"),
               statements;
    struct role there;
    c->object = id;
    if (!may_define(c, e) || (!str_is_absent(name) && !io_name(name, &name, e)) ||
        !statements_read(c, &statements, e))
        return false;
    if (!roles_get(c->sv->db, c->arena, c->org_id, id, &there, e))
        return e->code == ERR_NOT_FOUND ? err_set(e, ERR_NOT_FOUND, "no such role") : false;
    struct role_change change = {
        .name = name,
        .description = jv_get_str(c->arguments, "description"),
        .statements = statements,
    };
    if (!roles_update(c->sv->db, c->arena, c->org_id, id, &change, clock_wall_ms(), e))
        return name_taken(e);
    return role_answer(c, id, e);
}

/* What is taken from people silently would leave them with more, or less, than was meant. */
static bool in_use(struct tool_call *c, const struct role_uses *u, struct err *e)
{
    const struct {
        int64_t n;
        const char *what;
    } kinds[] = {{u->members, "member"},
                 {u->groups, "group"},
                 {u->invitations, "open invitation"},
                 {u->providers, "sign-in provider"},
                 {u->domains, "domain"}};
    struct str list = STR("");
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (kinds[i].n > 0)
            list = arena_printf(c->arena, "%.*s%s%lld %s%s", STR_FMT(list), list.n ? ", " : "",
                                (long long)kinds[i].n, kinds[i].what, kinds[i].n == 1 ? "" : "s");
    return err_set(e, ERR_CONFLICT, "the role is in use (%.*s): give them another one first",
                   STR_FMT(list));
}

bool tool_organization_role_delete(struct tool_call *c, struct err *e)
{
    struct str id = jv_get_str(c->arguments, "role_id");
    struct role_uses uses;
    c->object = id;
    if (!may_define(c, e))
        return false;
    if (!roles_delete(c->sv->db, c->arena, c->org_id, id, clock_wall_ms(), &uses, e))
        return e->code == ERR_NOT_FOUND  ? err_set(e, ERR_NOT_FOUND, "no such role")
               : e->code == ERR_CONFLICT ? in_use(c, &uses, e)
                                         : false;
    io_deleted(c, id);
    return true;
}
