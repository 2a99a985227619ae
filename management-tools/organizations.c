/* ORGANIZATION_*: the organization itself. */
#include "base/clock.h"
#include "base/ids.h"
#include "core/principal_rules.h"
#include "core/vault.h"
#include "management-tools/tool_io.h"
#include "mcp/upstream.h"
#include "store/members.h"
#include "store/orgs.h"

tool_fn tool_organization_create, tool_organization_list, tool_organization_get,
    tool_organization_update, tool_organization_delete;

/* One word for what may be several roles: the strongest built-in one, else the first. */
static struct str role_word(struct str roles)
{
    static const struct str builtin[] = {STR("owner"), STR("admin"), STR("member")};
    struct str rest = roles, first;
    for (size_t i = 0; i < ARRAY_LEN(builtin); i++)
        if (str_list_has(roles, builtin[i]))
            return builtin[i];
    return str_next(&rest, ' ', &first) ? first : STR("");
}

static void org_write(struct jout *j, const struct org *o, struct str roles)
{
    jout_object(j);
    jout_kstr(j, "id", o->id);
    jout_kstr(j, "name", o->name);
    jout_kstr(j, "slug", o->slug);
    jout_kstr(j, "description", o->description);
    jout_kstr(j, "role", role_word(roles));
    jout_kbool(j, "audit_arguments", o->audit_arguments);
    jout_kstr(j, "hub_prefix", o->hub_prefix);
    jout_kstr(j, "hub_search", o->hub_search);
    jout_ktime(j, "created_at", o->created_at);
    jout_object_end(j);
}

static bool org_answer(struct tool_call *c, struct str org_id, struct err *e)
{
    struct org org;
    struct member me;
    struct jout j;
    if (!orgs_get(c->sv->db, c->arena, org_id, &org, e) ||
        !members_get(c->sv->db, c->arena, org_id, c->caller->user_id, &me, e))
        return false;
    jout_init(&j, c->out);
    jout_object(&j);
    jout_key(&j, STR("item"));
    org_write(&j, &org, me.roles);
    jout_object_end(&j);
    return true;
}

/* ---- create ---- */

static bool org_insert(struct tool_call *c, struct str slug, void *arg, struct err *e)
{
    struct org *org = arg;
    struct id id = id_new("org");
    struct str wrapped;
    org->slug = slug;
    org->id = arena_dup(c->arena, id_str(&id));
    return (!str_is_absent(org->id) || io_no_memory(e)) &&
           vault_make_data_key(c->sv->keys, org->id, c->arena, &wrapped, e) &&
           orgs_insert(c->sv->db, c->arena, org, wrapped, c->caller->user_id, e);
}

bool tool_organization_create(struct tool_call *c, struct err *e)
{
    struct org org = {.description = jv_get_str(c->arguments, "description"),
                      .created_by = c->caller->user_id};
    org.created_at = org.updated_at = clock_wall_ms();
    if (!io_name(jv_get_str(c->arguments, "name"), &org.name, e) ||
        !io_slug_insert(c, jv_get_str(c->arguments, "slug"), org.name, org_insert, &org, e))
        return false;
    c->object = c->org_id = org.id;
    return org_answer(c, org.id, e);
}

/* ---- list ---- */

/* A key or grant belongs to one organization and lists that one; what an organization's provider
 * proved counts there only. */
static bool list_own(struct tool_call *c, struct str org_id, struct err *e)
{
    struct org org;
    struct member me;
    struct jout j;
    if (!orgs_get(c->sv->db, c->arena, org_id, &org, e) ||
        !members_get(c->sv->db, c->arena, org.id, c->caller->user_id, &me, e))
        return false;
    io_list_begin(c, &j);
    org_write(&j, &org, me.roles);
    const struct io_list_end end = {.total = 1};
    return io_list_end(c, &j, &end, e);
}

bool tool_organization_list(struct tool_call *c, struct err *e)
{
    struct db_page page;
    struct org_of_user *orgs;
    struct jout j;
    size_t n;
    struct io_list_end end = {0};
    if (!io_page_read(c, &page, e))
        return false;
    if (caller_is_bound(c->caller))
        return list_own(c, c->caller->org_id, e);
    if (!str_is_absent(c->caller->proof.org_id))
        return list_own(c, c->caller->proof.org_id, e);
    if (!orgs_list_of_user(c->sv->db, c->arena, c->caller->user_id, &page, &orgs, &n, e) ||
        !orgs_count_of_user(c->sv->db, c->arena, c->caller->user_id, &end.total, e))
        return false;
    io_list_begin(c, &j);
    for (size_t i = 0; i < n && i < (size_t)page.limit; i++) {
        org_write(&j, &orgs[i].org, orgs[i].roles);
        end.last_at = orgs[i].org.created_at;
        end.last_id = orgs[i].org.id;
    }
    end.has_more = n > (size_t)page.limit;
    return io_list_end(c, &j, &end, e);
}

/* ---- one ---- */

bool tool_organization_get(struct tool_call *c, struct err *e)
{
    return org_answer(c, c->org_id, e);
}

bool tool_organization_update(struct tool_call *c, struct err *e)
{
    struct str name = jv_get_str(c->arguments, "name"), slug = jv_get_str(c->arguments, "slug");
    const struct jvalue *audit = jv_get(c->arguments, "audit_arguments");
    c->object = c->org_id;
    if ((!str_is_absent(name) && !io_name(name, &name, e)) ||
        (!str_is_absent(slug) && !principal_slug_check(slug, "arguments.slug", e)))
        return false;
    struct org_change change = {
        .name = name,
        .description = jv_get_str(c->arguments, "description"),
        .slug = slug,
        .audit_arguments = audit ? jv_bool(audit, false) : -1,
        .hub_prefix = jv_get_str(c->arguments, "hub_prefix"),
        .hub_search = jv_get_str(c->arguments, "hub_search"),
    };
    return orgs_update(c->sv->db, c->arena, c->org_id, &change, clock_wall_ms(), e) &&
           org_answer(c, c->org_id, e);
}

/* Tulle's own sessions at the servers of an organization that is about to go. */
static bool sessions_end(struct tool_call *c, struct err *e)
{
    struct db_page page = {.limit = 100};
    struct connection *conns;
    size_t n;
    do {
        if (!connections_list(c->sv->db, c->arena, c->org_id, &page, &conns, &n, e))
            return false;
        for (size_t i = 0; i < n && i < (size_t)page.limit; i++) {
            upstream_forget(c->sv, c->org_id, conns[i].id);
            page.after_at = conns[i].created_at;
            page.after_id = conns[i].id;
        }
    } while (n > (size_t)page.limit);
    return true;
}

bool tool_organization_delete(struct tool_call *c, struct err *e)
{
    struct org org;
    c->object = c->org_id;
    if (!orgs_get(c->sv->db, c->arena, c->org_id, &org, e) ||
        !io_confirm(c, org.slug, org.name, e) || !sessions_end(c, e) ||
        !orgs_delete(c->sv->db, c->arena, c->org_id, clock_wall_ms(), e))
        return false;
    io_deleted(c, c->org_id);
    c->org_id = STR(""); /* nothing of the tenant stays: its end is recorded for the installation */
    return true;
}
