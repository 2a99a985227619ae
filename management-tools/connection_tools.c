/* CONNECTION_TOOLS_LIST, CONNECTION_TOOL_UPDATE: what a server offers, and what administrators say
 * of it. */
#include "base/clock.h"
#include "core/connection_rules.h"
#include "core/policy.h"
#include "json/jscan.h"
#include "management-tools/tool_io.h"
#include "mcp/registry_cache.h"
#include "mcp/upstream.h"

tool_fn tool_connection_tools_list, tool_connection_tool_update;

static void str_or_null(struct arena *a, struct jout *j, const char *key, struct str raw)
{
    struct str text = STR_NONE;
    if (!str_is_absent(raw) && !jscan_string(a, raw, &text))
        text = STR_NONE;
    jout_kstr(j, key, text);
}

static void tool_write(struct tool_call *c, struct jout *j, const struct connection_tool *t)
{
    struct jwant wants[] = {{.name = STR("description")}};
    struct err ignored;
    bool is_read = jscan_object(t->definition, wants, ARRAY_LEN(wants), &ignored);
    bool is_approved = !str_is_absent(t->approved_hash);
    jout_object(j);
    jout_kstr(j, "name", t->name);
    jout_kstr(j, "renamed_to", t->renamed_to.n ? t->renamed_to : STR_NONE);
    str_or_null(c->arena, j, "description", is_read ? wants[0].value : STR_NONE);
    jout_kbool(j, "enabled", t->enabled);
    jout_kstr(j, "effect", t->effect.n ? t->effect : STR_NONE);
    jout_kstr(j, "hash", t->hash);
    jout_kbool(j, "approved", is_approved && str_eq(t->approved_hash, t->hash));
    jout_kbool(j, "changed", is_approved && !str_eq(t->approved_hash, t->hash));
    jout_ktime(j, "changed_at", t->changed_at);
    jout_kraw(j, "definition", is_read ? t->definition : STR("{}"));
    jout_object_end(j);
}

static const struct connection_tool *row_find(const struct connection_tool *rows, size_t n,
                                              struct str name)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(rows[i].name, name))
            return &rows[i];
    return NULL;
}

static bool may_call(const struct tool_call *c, const struct connection *conn,
                     const struct connection_tool *t)
{
    struct policy_target target = {.connection_id = conn->id,
                                   .name = t->name,
                                   .effect = registry_tool_effect(t),
                                   .is_tool_enabled = t->enabled};
    return policy_decide(c->caller, POLICY_TOOL, &target).is_allowed;
}

/* In the server's order; what the record does not know cannot happen: upstream_tools has just
 * written it. */
static size_t tools_write(struct tool_call *c, struct jout *j, const struct connection *conn,
                          struct str listed, const struct connection_tool *rows, size_t n_rows)
{
    bool is_manager = io_may(c, "CONNECTION_UPDATE", conn->id);
    size_t n = 0;
    struct jiter it;
    for (jscan_iter(&it, listed); jscan_next(&it);) {
        struct jwant wants[] = {{.name = STR("name")}};
        struct err ignored;
        struct str name;
        if (!jscan_object(it.value, wants, 1, &ignored) || str_is_absent(wants[0].value) ||
            !jscan_string(c->arena, wants[0].value, &name))
            continue;
        const struct connection_tool *row = row_find(rows, n_rows, name);
        if (!row || (!is_manager && !may_call(c, conn, row)))
            continue;
        tool_write(c, j, row);
        n++;
    }
    return n;
}

static bool enabled_check(const struct connection *conn, struct err *e)
{
    return conn->enabled ||
           err_set(e, ERR_UNPROCESSABLE,
                   "the connection is disabled: CONNECTION_ENABLE lets it be used again");
}

bool tool_connection_tools_list(struct tool_call *c, struct err *e)
{
    struct connection conn;
    struct connection_tool *rows;
    struct str listed;
    struct jout j;
    size_t n_rows;
    if (!io_connection(c, &conn, e) || !enabled_check(&conn, e) ||
        !upstream_tools(c->sv, c->arena, &conn, c->caller, &listed, e) ||
        !connection_tools_list(c->sv->db, c->arena, c->org_id, conn.id, &rows, &n_rows, e))
        return false;
    io_list_begin(c, &j);
    size_t n = tools_write(c, &j, &conn, listed, rows, n_rows);
    const struct io_list_end end = {.total = (int64_t)n};
    return io_list_end(c, &j, &end, e);
}

/* ---- marks ---- */

static bool rename_check(struct tool_call *c, const struct connection *conn, struct str name,
                         struct str new_name, struct err *e)
{
    struct connection_tool *rows;
    size_t n;
    if (str_is_absent(new_name) || new_name.n == 0)
        return true;
    if (!connection_rules_tool_name(new_name))
        return err_set(e, ERR_INVALID,
                       "arguments.renamed_to: expected 1 to 128 letters, digits, _ . / -");
    if (!connection_tools_list(c->sv->db, c->arena, c->org_id, conn->id, &rows, &n, e))
        return false;
    for (size_t i = 0; i < n; i++)
        if (!str_eq(rows[i].name, name) &&
            (str_eq(rows[i].name, new_name) || str_eq(rows[i].renamed_to, new_name)))
            return err_set(e, ERR_CONFLICT, "another tool of this connection is called %.*s",
                           STR_FMT(new_name));
    return true;
}

/* What the record says of the tool; asks the server when it has not heard of it yet. */
static bool tool_find(struct tool_call *c, const struct connection *conn, struct str name,
                      struct connection_tool *out, struct err *e)
{
    struct str ignored;
    if (connection_tools_get(c->sv->db, c->arena, c->org_id, conn->id, name, out, e))
        return true;
    if (e->code != ERR_NOT_FOUND)
        return false;
    if (!upstream_tools(c->sv, c->arena, conn, c->caller, &ignored, e))
        return false;
    if (connection_tools_get(c->sv->db, c->arena, c->org_id, conn->id, name, out, e))
        return true;
    return e->code == ERR_NOT_FOUND ? err_set(e, ERR_NOT_FOUND, "the server has no such tool")
                                    : false;
}

bool tool_connection_tool_update(struct tool_call *c, struct err *e)
{
    struct connection conn;
    struct connection_tool tool;
    struct jout j;
    const struct jvalue *enabled = jv_get(c->arguments, "enabled"),
                        *effect = jv_get(c->arguments, "effect");
    struct connection_tool_mark mark = {
        .name = jv_get_str(c->arguments, "name"),
        .enabled = enabled ? jv_bool(enabled, true) : -1,
        .renamed_to = jv_get_str(c->arguments, "renamed_to"),
        .effect = effect && jv_is_null(effect) ? STR("") : jv_str(effect),
        .approve = jv_get_bool(c->arguments, "approve", false),
    };
    if (!io_connection(c, &conn, e) || !tool_find(c, &conn, mark.name, &tool, e) ||
        !rename_check(c, &conn, mark.name, mark.renamed_to, e) ||
        !connection_tools_update(c->sv->db, c->arena, c->org_id, conn.id, &mark, clock_wall_ms(),
                                 e) ||
        !connection_tools_get(c->sv->db, c->arena, c->org_id, conn.id, mark.name, &tool, e))
        return false;
    jout_init(&j, c->out);
    jout_object(&j);
    jout_key(&j, STR("item"));
    tool_write(c, &j, &tool);
    jout_object_end(&j);
    return true;
}
