/* CONNECTION_CREDENTIAL_*: write-only secrets for servers. */
#include "base/clock.h"
#include "core/credential_rules.h"
#include "management-tools/credential_store.h"
#include "management-tools/tool_io.h"
#include "mcp/upstream.h"
#include "store/credentials.h"

tool_fn tool_connection_credential_set, tool_connection_credential_delete,
    tool_connection_credential_status;

/*
 * Whose credential the arguments mean: "" or a user. The organization's belongs to who manages
 * connections; a person's own to everybody where the connection is used with personal ones.
 */
static bool owner_read(struct tool_call *c, const struct connection *conn, struct str *owner,
                       struct err *e)
{
    struct str scope = jv_get_str(c->arguments, "scope"),
               user_id = jv_get_str(c->arguments, "user_id");
    bool is_manager = io_may(c, "CONNECTION_UPDATE", conn->id);
    if (str_is_absent(scope))
        scope = str_is_absent(user_id) ? conn->credential_scope : STR("user");
    if (str_eq(scope, STR("organization"))) {
        *owner = STR("");
        if (!str_is_absent(user_id))
            return err_set(e, ERR_INVALID, "arguments: user_id goes with scope user");
        return is_manager || err_set(e, ERR_FORBIDDEN,
                                     "only administrators change the organization's credential");
    }
    *owner = str_is_absent(user_id) ? c->caller->user_id : user_id;
    if (!str_eq(*owner, c->caller->user_id) && !is_manager)
        return err_set(e, ERR_FORBIDDEN, "only administrators forget the credentials of others");
    if (!is_manager && !str_eq(conn->credential_scope, STR("user")))
        return err_set(e, ERR_UNPROCESSABLE,
                       "this connection is used with the organization's credential, not with "
                       "personal ones");
    return true;
}

static void status_write(struct jout *j, struct str scope, const struct credential_row *row)
{
    jout_object(j);
    jout_kstr(j, "scope", scope);
    jout_kstr(j, "kind", row ? row->kind : STR_NONE);
    jout_kbool(j, "has_credential", row != NULL);
    jout_ktime(j, "updated_at", row ? row->updated_at : 0);
    jout_object_end(j);
}

/* `auth` follows the first credential, where nothing was said of it yet. */
static bool auth_follow(struct tool_call *c, struct connection *conn, struct str kind,
                        struct err *e)
{
    struct str auth = credential_rules_auth(kind);
    if (!str_eq(conn->auth, STR("none")) || str_eq(auth, STR("none")))
        return true;
    conn->auth = auth;
    return connections_update(c->sv->db, c->arena, conn, clock_wall_ms(), e);
}

static bool kind_fits(struct tool_call *c, const struct connection *conn, struct err *e)
{
    bool is_stdio = str_eq(conn->transport, STR("stdio")),
         is_env = jv_get(c->arguments, "env") != NULL;
    if (is_stdio != is_env)
        return err_set(e, ERR_UNPROCESSABLE, "a %s server takes %s", is_stdio ? "stdio" : "network",
                       is_stdio ? "env" : "bearer, headers, query or client_id");
    return true;
}

bool tool_connection_credential_set(struct tool_call *c, struct err *e)
{
    struct connection conn;
    struct credential_row row;
    struct str owner, kind;
    struct jout j;
    if (!io_connection(c, &conn, e) || !owner_read(c, &conn, &owner, e))
        return false;
    if (!credential_rules_has(c->arguments))
        return err_set(e, ERR_INVALID,
                       "arguments: expected one of bearer, headers, query, env, or client_id with "
                       "client_secret");
    if (!kind_fits(c, &conn, e) || !credential_store_put(c, &conn, owner, c->arguments, &kind, e) ||
        !auth_follow(c, &conn, kind, e) ||
        !credentials_get(c->sv->db, c->arena, c->org_id, conn.id, owner, &row, e))
        return false;
    jout_init(&j, c->out);
    jout_object(&j);
    jout_key(&j, STR("item"));
    status_write(&j, owner.n ? STR("user") : STR("organization"), &row);
    jout_object_end(&j);
    return true;
}

bool tool_connection_credential_delete(struct tool_call *c, struct err *e)
{
    struct connection conn;
    struct str owner;
    if (!io_connection(c, &conn, e) || !owner_read(c, &conn, &owner, e))
        return false;
    if (!credentials_delete(c->sv->db, c->arena, c->org_id, conn.id, owner, clock_wall_ms(), e))
        return e->code == ERR_NOT_FOUND ? err_set(e, ERR_NOT_FOUND, "no such credential") : false;
    upstream_forget(c->sv, c->org_id, conn.id);
    io_deleted(c, conn.id);
    return true;
}

static bool status_read(struct tool_call *c, struct jout *j, struct str connection_id,
                        struct str owner, struct err *e)
{
    struct credential_row row;
    bool has = credentials_get(c->sv->db, c->arena, c->org_id, connection_id, owner, &row, e);
    if (!has && e->code != ERR_NOT_FOUND)
        return false;
    status_write(j, owner.n ? STR("user") : STR("organization"), has ? &row : NULL);
    return true;
}

bool tool_connection_credential_status(struct tool_call *c, struct err *e)
{
    struct connection conn;
    struct jout j;
    if (!io_connection(c, &conn, e))
        return false;
    jout_init(&j, c->out);
    jout_object(&j);
    jout_key(&j, STR("items"));
    jout_array(&j);
    if (!status_read(c, &j, conn.id, STR(""), e) ||
        !status_read(c, &j, conn.id, c->caller->user_id, e))
        return false;
    jout_array_end(&j);
    jout_object_end(&j);
    return true;
}
