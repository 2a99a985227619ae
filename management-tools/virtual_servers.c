/* VIRTUAL_SERVER_*: chosen tools, resources and prompts of several connections at one address. */
#include "base/clock.h"
#include "base/ids.h"
#include "base/limits.h"
#include "management-tools/tool_io.h"
#include "store/virtual_servers.h"

tool_fn tool_virtual_server_create, tool_virtual_server_list, tool_virtual_server_get,
    tool_virtual_server_update, tool_virtual_server_delete;

static bool no_virtual_server(struct err *e)
{
    return err_set(e, ERR_NOT_FOUND, "no such virtual server");
}

/* ---- answers ---- */

static void item_write(struct tool_call *c, struct jout *j, const struct virtual_server *v)
{
    jout_object(j);
    jout_kstr(j, "id", v->id);
    jout_kstr(j, "name", v->name);
    jout_kstr(j, "description", v->description);
    jout_kstr(j, "icon", v->icon);
    jout_kstr(j, "instructions", v->instructions);
    jout_kstr(j, "prefix", v->prefix);
    jout_kstr(j, "search", v->search);
    jout_kbool(j, "enabled", v->enabled);
    jout_kstr(j, "url",
              arena_printf(c->arena, "%s/mcp/%.*s", c->sv->config->origin, STR_FMT(v->id)));
    jout_key(j, STR("connections"));
    jout_array(j);
    for (size_t i = 0; i < v->n_members; i++) {
        const struct virtual_member *m = &v->members[i];
        jout_object(j);
        jout_kstr(j, "connection_id", m->connection_id);
        jout_kraw(j, "tools", m->tools);
        jout_kraw(j, "resources", m->resources);
        jout_kraw(j, "prompts", m->prompts);
        jout_object_end(j);
    }
    jout_array_end(j);
    jout_ktime(j, "created_at", v->created_at);
    jout_kstr(j, "created_by", v->created_by);
    jout_ktime(j, "updated_at", v->updated_at);
    jout_object_end(j);
}

static bool item_answer(struct tool_call *c, struct str id, struct err *e)
{
    struct virtual_server v;
    struct jout j;
    if (!virtual_servers_get(c->sv->db, c->arena, c->org_id, id, &v, e))
        return e->code == ERR_NOT_FOUND ? no_virtual_server(e) : false;
    jout_init(&j, c->out);
    jout_object(&j);
    jout_key(&j, STR("item"));
    item_write(c, &j, &v);
    jout_object_end(&j);
    return true;
}

/* ---- what is given ---- */

/* A name that every client takes. */
static bool name_is_plain(struct str name)
{
    for (size_t i = 0; i < name.n; i++) {
        char ch = name.p[i];
        if (!((ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9') ||
              ch == '_' || ch == '-'))
            return false;
    }
    return name.n > 0;
}

/* One list of chosen tools or prompts: what is renamed is one thing under a plain name. */
static bool chosen_check(const struct jvalue *list, size_t member, const char *field, struct err *e)
{
    for (size_t i = 0; i < jv_count(list); i++) {
        const struct jvalue *one = jv_at(list, i);
        struct str as = jv_get_str(one, "as"), name = jv_get_str(one, "name");
        if (str_is_absent(as))
            continue;
        if (!name_is_plain(as))
            return err_set(e, ERR_INVALID,
                           "arguments.connections[%zu].%s[%zu].as: given \"%.*s\", expected "
                           "letters, digits, _ and -",
                           member, field, i, STR_FMT(as));
        if (str_find_char(name, '*') != SIZE_MAX)
            return err_set(e, ERR_INVALID,
                           "arguments.connections[%zu].%s[%zu].as: several things cannot have one "
                           "name",
                           member, field, i);
    }
    return true;
}

static bool member_read(struct tool_call *c, const struct jvalue *given, size_t i,
                        struct virtual_member *out, struct err *e)
{
    struct connection conn;
    out->connection_id = jv_get_str(given, "connection_id");
    if (!connections_get(c->sv->db, c->arena, c->org_id, out->connection_id, &conn, e))
        return e->code == ERR_NOT_FOUND
                   ? err_set(e, ERR_NOT_FOUND,
                             "arguments.connections[%zu].connection_id: no such connection", i)
                   : false;
    const struct jvalue *chosen = jv_get(given, "tools"), *prompts = jv_get(given, "prompts");
    return chosen_check(chosen, i, "tools", e) && chosen_check(prompts, i, "prompts", e) &&
           io_json(c, chosen, STR_NONE, &out->tools, e) &&
           io_json(c, jv_get(given, "resources"), STR_NONE, &out->resources, e) &&
           io_json(c, prompts, STR_NONE, &out->prompts, e);
}

static bool members_read(struct tool_call *c, struct virtual_server *v, struct err *e)
{
    const struct jvalue *given = jv_get(c->arguments, "connections");
    v->n_members = jv_count(given);
    v->members = arena_alloc(c->arena, (v->n_members + 1) * sizeof(*v->members));
    if (!v->members)
        return io_no_memory(e);
    for (size_t i = 0; i < v->n_members; i++) {
        if (!member_read(c, jv_at(given, i), i, &v->members[i], e))
            return false;
        for (size_t k = 0; k < i; k++)
            if (str_eq(v->members[k].connection_id, v->members[i].connection_id))
                return err_set(e, ERR_INVALID,
                               "arguments.connections[%zu].connection_id: given twice", i);
    }
    return true;
}

static void text_take(const struct tool_call *c, const char *field, struct str *to)
{
    struct str given = jv_get_str(c->arguments, field);
    if (!str_is_absent(given))
        *to = given;
}

static void texts_take(const struct tool_call *c, struct virtual_server *v)
{
    text_take(c, "description", &v->description);
    text_take(c, "icon", &v->icon);
    text_take(c, "instructions", &v->instructions);
    text_take(c, "prefix", &v->prefix);
    text_take(c, "search", &v->search);
    v->enabled = jv_get_bool(c->arguments, "enabled", v->enabled);
}

/* ---- the tools ---- */

bool tool_virtual_server_create(struct tool_call *c, struct err *e)
{
    struct id id = id_new("vs");
    struct virtual_server v = {.id = arena_dup(c->arena, id_str(&id)),
                               .org_id = c->org_id,
                               .prefix = STR("clash"),
                               .search = STR("off"),
                               .enabled = true,
                               .created_by = c->caller->user_id};
    v.created_at = v.updated_at = clock_wall_ms();
    texts_take(c, &v);
    c->object = v.id;
    return (!str_is_absent(v.id) || io_no_memory(e)) &&
           io_name(jv_get_str(c->arguments, "name"), &v.name, e) && members_read(c, &v, e) &&
           virtual_servers_insert(c->sv->db, c->arena, &v, e) && item_answer(c, v.id, e);
}

bool tool_virtual_server_update(struct tool_call *c, struct err *e)
{
    struct str id = jv_get_str(c->arguments, "virtual_server_id"),
               name = jv_get_str(c->arguments, "name");
    bool has_members = jv_get(c->arguments, "connections") != NULL;
    struct virtual_server v;
    c->object = id;
    if (!virtual_servers_get(c->sv->db, c->arena, c->org_id, id, &v, e))
        return e->code == ERR_NOT_FOUND ? no_virtual_server(e) : false;
    texts_take(c, &v);
    if ((!str_is_absent(name) && !io_name(name, &v.name, e)) ||
        (has_members && !members_read(c, &v, e)))
        return false;
    if (!virtual_servers_update(c->sv->db, c->arena, &v, has_members, clock_wall_ms(), e))
        return e->code == ERR_NOT_FOUND ? no_virtual_server(e) : false;
    return item_answer(c, id, e);
}

/* Whoever makes virtual servers sees all; others those that they may use. */
static bool sees(const struct tool_call *c, const struct virtual_server *v)
{
    if (!c->caller->connection_ids && io_may(c, "VIRTUAL_SERVER_UPDATE", STR_NONE))
        return true;
    struct policy_target target = {.connection_id = v->id};
    if (v->enabled && policy_decide(c->caller, POLICY_CONNECT, &target).is_allowed)
        return true;
    for (size_t i = 0; v->enabled && i < v->n_members; i++) {
        target.connection_id = v->members[i].connection_id;
        target.virtual_id = v->id;
        if (policy_decide(c->caller, POLICY_CONNECT, &target).is_allowed)
            return true;
    }
    return false;
}

bool tool_virtual_server_get(struct tool_call *c, struct err *e)
{
    struct str id = jv_get_str(c->arguments, "virtual_server_id");
    struct virtual_server v;
    c->object = id;
    if (!virtual_servers_get(c->sv->db, c->arena, c->org_id, id, &v, e))
        return e->code == ERR_NOT_FOUND ? no_virtual_server(e) : false;
    return sees(c, &v) ? item_answer(c, id, e) : no_virtual_server(e);
}

/* Writes the visible ones after page, up to its limit; out NULL: only counts. */
static bool visible_walk(struct tool_call *c, struct db_page page, struct jout *out, int limit,
                         struct io_list_end *end, struct err *e)
{
    struct virtual_server *list;
    size_t n;
    int written = 0;
    page.limit = LIMIT_LIST;
    for (;;) {
        if (!virtual_servers_list(c->sv->db, c->arena, c->org_id, &page, &list, &n, e))
            return false;
        size_t usable = n > (size_t)page.limit ? (size_t)page.limit : n;
        for (size_t i = 0; i < usable; i++) {
            page.after_at = list[i].created_at;
            page.after_id = list[i].id;
            if (!sees(c, &list[i]))
                continue;
            if (!out) {
                end->total++;
                continue;
            }
            end->has_more = written == limit;
            if (end->has_more)
                return true;
            item_write(c, out, &list[i]);
            end->last_at = list[i].created_at;
            end->last_id = list[i].id;
            written++;
        }
        if (usable == n)
            return true;
    }
}

bool tool_virtual_server_list(struct tool_call *c, struct err *e)
{
    struct db_page page, start = {.limit = LIMIT_LIST};
    struct io_list_end end = {0};
    struct jout j;
    if (!io_page_read(c, &page, e) || !visible_walk(c, start, NULL, 0, &end, e))
        return false;
    io_list_begin(c, &j);
    return visible_walk(c, page, &j, page.limit, &end, e) && io_list_end(c, &j, &end, e);
}

bool tool_virtual_server_delete(struct tool_call *c, struct err *e)
{
    struct str id = jv_get_str(c->arguments, "virtual_server_id");
    c->object = id;
    if (!virtual_servers_delete(c->sv->db, c->arena, c->org_id, id, e))
        return e->code == ERR_NOT_FOUND ? no_virtual_server(e) : false;
    io_deleted(c, id);
    return true;
}
