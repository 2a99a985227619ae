/* CONNECTION_CREATE, _UPDATE, _DELETE, _ENABLE, _DISABLE, _TEST: registering servers. */
#include "auth/downstream/disconnect.h"
#include "base/clock.h"
#include "base/ids.h"
#include "base/limits.h"
#include "base/secret.h"
#include "core/connection_rules.h"
#include "core/credential_rules.h"
#include "core/principal_rules.h"
#include "io/http_guard.h"
#include "management-tools/connection_item.h"
#include "management-tools/credential_store.h"
#include "management-tools/tool_io.h"
#include "mcp/upstream.h"
#include "store/audit.h"

tool_fn tool_connection_create, tool_connection_update, tool_connection_delete,
    tool_connection_enable, tool_connection_disable, tool_connection_test;

/* ---- arguments ---- */

static void take(const struct tool_call *c, const char *name, struct str *field)
{
    struct str given = jv_get_str(c->arguments, name);
    if (!str_is_absent(given))
        *field = given;
}

/* The names of env's variables as a JSON array. */
static bool env_names_read(struct tool_call *c, const struct jvalue *env, struct str *out,
                           struct err *e)
{
    struct buf text;
    struct jout j;
    struct str name;
    const struct jvalue *value;
    buf_init(&text, LIMIT_CREDENTIAL);
    jout_init(&j, &text);
    jout_array(&j);
    for (void *iter = NULL; jv_member(env, &iter, &name, &value);)
        jout_str(&j, name);
    jout_array_end(&j);
    *out = buf_ok(&text) ? arena_dup(c->arena, buf_str(&text)) : STR_NONE;
    buf_end(&text);
    return !str_is_absent(*out) || err_set(e, ERR_INVALID, "arguments.env: too large");
}

/* Overwrites what the arguments give: the same for a new connection and one that is changed. */
static bool fields_read(struct tool_call *c, struct connection *conn, struct err *e)
{
    const struct jvalue *name = jv_get(c->arguments, "name"), *env = jv_get(c->arguments, "env");
    if (name && !io_name(jv_str(name), &conn->name, e))
        return false;
    take(c, "description", &conn->description);
    take(c, "icon", &conn->icon);
    take(c, "transport", &conn->transport);
    take(c, "auth", &conn->auth);
    take(c, "credential_scope", &conn->credential_scope);
    take(c, "url", &conn->url);
    take(c, "command", &conn->command);
    conn->enabled = jv_get_bool(c->arguments, "enabled", conn->enabled);
    conn->calls_per_minute = jv_get_i64(c->arguments, "calls_per_minute", conn->calls_per_minute);
    conn->calls_at_once = jv_get_i64(c->arguments, "calls_at_once", conn->calls_at_once);
    if (env && !env_names_read(c, env, &conn->env_names, e))
        return false;
    return io_json(c, jv_get(c->arguments, "args"), conn->args, &conn->args, e) &&
           io_json(c, jv_get(c->arguments, "configuration"), conn->configuration,
                   &conn->configuration, e) &&
           io_json(c, jv_get(c->arguments, "metadata"), conn->metadata, &conn->metadata, e);
}

static bool fields_check(struct tool_call *c, struct connection *conn, struct err *e)
{
    if (!connection_rules_check(conn, c->sv->config->allow_stdio_effective, e))
        return false;
    if (str_is_absent(conn->url) || http_guard_url(c->sv->guard, conn->url, e))
        return true;
    if (e->code == ERR_EGRESS)
        e->code = ERR_UNPROCESSABLE; /* nothing was tried: the registration is what is refused */
    return false;
}

/* ---- create ---- */

/* The credential argument, or env of a stdio server. NULL: none. */
static bool form_of(const struct tool_call *c, const struct connection *conn,
                    const struct jvalue **form, struct err *e)
{
    const struct jvalue *credential = jv_get(c->arguments, "credential"),
                        *env = jv_get(c->arguments, "env");
    if (env && !str_eq(conn->transport, STR("stdio")))
        return err_set(e, ERR_INVALID, "arguments.env: only stdio servers have an environment");
    if (env && credential)
        return err_set(e, ERR_INVALID, "arguments: expected either env or credential");
    *form = credential ? credential : env && jv_count(env) > 0 ? c->arguments : NULL;
    return true;
}

/* Reads the form without keeping it: a mistake in it must not leave a connection behind. */
static bool form_check(const struct tool_call *c, const struct jvalue *form,
                       struct connection *conn, struct err *e)
{
    struct buf plain;
    struct str kind;
    buf_init(&plain, LIMIT_CREDENTIAL);
    bool is_good = buf_reserve(&plain, LIMIT_CREDENTIAL - 1) || io_no_memory(e);
    is_good = is_good && credential_rules_read(form, &kind, &plain, e);
    if (plain.p)
        secret_wipe(plain.p, plain.cap);
    buf_end(&plain);
    if (!is_good)
        return false;
    struct str auth = credential_rules_auth(kind);
    bool is_stdio = str_eq(conn->transport, STR("stdio"));
    if (is_stdio != str_eq(kind, STR("env")))
        return err_set(e, ERR_UNPROCESSABLE, "arguments.credential: a %s server takes %s",
                       is_stdio ? "stdio" : "network",
                       is_stdio ? "env" : "bearer, headers, query or client_id");
    if (!jv_get(c->arguments, "auth") || str_eq(conn->auth, STR("none")))
        conn->auth = auth;
    return str_eq(conn->auth, auth) || err_set(e, ERR_UNPROCESSABLE,
                                               "arguments.credential: not of the kind that auth "
                                               "says");
}

struct creation {
    struct connection *conn;
    const struct credential_row *credential; /* NULL: none */
};

static bool insert(struct tool_call *c, struct str slug, void *arg, struct err *e)
{
    struct creation *made = arg;
    made->conn->slug = slug;
    return connections_insert(c->sv->db, c->arena, made->conn, made->credential, e);
}

bool tool_connection_create(struct tool_call *c, struct err *e)
{
    struct id id = id_new("conn");
    struct connection conn = {.id = arena_dup(c->arena, id_str(&id)),
                              .org_id = c->org_id,
                              .auth = STR("none"),
                              .credential_scope = STR("organization"),
                              .enabled = true,
                              .status = STR("unknown"),
                              .tool_count = -1,
                              .args = STR("[]"),
                              .env_names = STR("[]"),
                              .configuration = STR("{}"),
                              .metadata = STR("{}"),
                              .created_by = c->caller->user_id};
    const struct jvalue *form = NULL;
    struct credential_row credential;
    struct creation made = {.conn = &conn};
    conn.created_at = conn.updated_at = clock_wall_ms();
    if (str_is_absent(conn.id))
        return io_no_memory(e);
    if (!fields_read(c, &conn, e) || !fields_check(c, &conn, e) || !form_of(c, &conn, &form, e) ||
        (form && !form_check(c, form, &conn, e)))
        return false;
    if (form) {
        if (!credential_store_seal(c, &conn, credential_store_owner(c, &conn), form, &credential,
                                   e))
            return false;
        made.credential = &credential;
    }
    if (!io_slug_insert(c, jv_get_str(c->arguments, "slug"), conn.name, insert, &made, e))
        return false;
    c->object = conn.id;
    return connection_item_answer(c, conn.id, e);
}

/* ---- change ---- */

/* A new url must not take the place of command silently, nor the other way round: what is given
 * decides. */
static void transport_follow(const struct tool_call *c, struct connection *conn)
{
    bool has_url = jv_get(c->arguments, "url") != NULL,
         has_command = jv_get(c->arguments, "command") != NULL;
    if (has_url == has_command)
        return;
    if (has_url && !str_is_absent(conn->command)) {
        conn->command = STR_NONE;
        conn->args = conn->env_names = STR("[]");
    }
    if (has_command)
        conn->url = STR_NONE;
    bool is_stdio = str_eq(conn->transport, STR("stdio"));
    if (!jv_get(c->arguments, "transport") && is_stdio != has_command)
        conn->transport = STR_NONE;
}

bool tool_connection_update(struct tool_call *c, struct err *e)
{
    struct connection before, conn;
    const struct jvalue *form = NULL;
    struct str slug = jv_get_str(c->arguments, "slug"), kind;
    if (!io_connection(c, &before, e))
        return false;
    conn = before;
    if (!str_is_absent(slug) && !principal_slug_check(slug, "arguments.slug", e))
        return false;
    take(c, "slug", &conn.slug);
    if (!fields_read(c, &conn, e))
        return false;
    transport_follow(c, &conn);
    if (!fields_check(c, &conn, e) || !form_of(c, &conn, &form, e) ||
        (form && !form_check(c, form, &conn, e)))
        return false;
    /* Forgotten before the address changes: no moment at which a secret could go to the new one. */
    bool is_moved = connection_rules_moved(c->arena, &before, &conn);
    if (is_moved && !credential_store_clear(c, &before, e))
        return false;
    if (!connections_update(c->sv->db, c->arena, &conn, clock_wall_ms(), e))
        return false;
    upstream_forget(c->sv, c->org_id, conn.id);
    if (form && !credential_store_put(c, &conn, credential_store_owner(c, &conn), form, &kind, e))
        return false;
    return connection_item_answer(c, conn.id, e);
}

static bool set_enabled(struct tool_call *c, bool enabled, struct err *e)
{
    struct connection conn;
    if (!io_connection(c, &conn, e) ||
        !connections_set_enabled(c->sv->db, c->arena, c->org_id, conn.id, enabled, clock_wall_ms(),
                                 e))
        return false;
    if (!enabled)
        upstream_forget(c->sv, c->org_id, conn.id);
    return connection_item_answer(c, conn.id, e);
}

bool tool_connection_enable(struct tool_call *c, struct err *e)
{
    return set_enabled(c, true, e);
}

bool tool_connection_disable(struct tool_call *c, struct err *e)
{
    return set_enabled(c, false, e);
}

/* ---- delete ---- */

static bool has_history(struct tool_call *c, struct str id, bool *out, struct err *e)
{
    const struct audit_filter filter = {.kind = STR("call"), .connection_id = id};
    const struct db_page page = {.limit = 1};
    struct audit_row *rows;
    size_t n;
    if (!audit_list(c->sv->db, c->arena, c->org_id, &filter, &page, &rows, &n, e))
        return false;
    *out = n > 0;
    return true;
}

bool tool_connection_delete(struct tool_call *c, struct err *e)
{
    struct connection conn;
    bool is_used;
    if (!io_connection(c, &conn, e) || !has_history(c, conn.id, &is_used, e))
        return false;
    bool is_confirmed = jv_get(c->arguments, "confirm") != NULL;
    if ((is_used || is_confirmed) && !io_confirm(c, conn.slug, conn.name, e))
        return false;
    if (!downstream_disconnect_all(c->sv, c->arena, &conn, e))
        return false;
    upstream_forget(c->sv, c->org_id, conn.id);
    if (!connections_delete(c->sv->db, c->arena, c->org_id, conn.id, clock_wall_ms(), e))
        return e->code == ERR_NOT_FOUND ? io_no_connection(e) : false;
    io_deleted(c, conn.id);
    return true;
}

bool tool_connection_test(struct tool_call *c, struct err *e)
{
    struct connection conn;
    return io_connection(c, &conn, e) &&
           upstream_test(c->sv, c->arena, &conn, c->caller, c->out, e);
}
