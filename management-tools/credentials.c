/* CONNECTION_CREDENTIAL_*: write-only secrets for servers. */
#include "auth/downstream/access.h"
#include "auth/downstream/disconnect.h"
#include "base/clock.h"
#include "core/credential_rules.h"
#include "management-tools/credential_store.h"
#include "management-tools/tool_io.h"
#include "mcp/upstream.h"
#include "store/credentials.h"
#include "store/downstream_tokens.h"

tool_fn tool_connection_authorize, tool_connection_credential_set,
    tool_connection_credential_delete, tool_connection_credential_status;

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
                       "client_secret or private_key");
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

/* ---- at the server's own authorization server ---- */

static bool is_oauth(const struct connection *conn)
{
    return str_eq(conn->auth, STR("oauth"));
}

/* The authorization of an owner; *has: there is one. */
static bool token_find(struct tool_call *c, const struct connection *conn, struct str owner,
                       struct downstream_token *row, bool *has, struct err *e)
{
    *has = downstream_tokens_get(c->sv->db, c->arena, c->org_id, conn->id, owner, row, e);
    return *has || e->code == ERR_NOT_FOUND;
}

bool tool_connection_authorize(struct tool_call *c, struct err *e)
{
    struct connection conn;
    struct downstream_token row;
    struct str owner;
    struct jout j;
    bool has;
    if (!io_connection(c, &conn, e) || !owner_read(c, &conn, &owner, e))
        return false;
    if (!is_oauth(&conn))
        return err_set(e, ERR_UNPROCESSABLE,
                       "this connection's auth is %.*s: only those with oauth are authorized so",
                       STR_FMT(conn.auth));
    if (!token_find(c, &conn, owner, &row, &has, e))
        return false;
    struct str url = downstream_connect_url(c->sv, c->arena, &conn);
    struct str scope = owner.n ? STR("user") : STR("organization");
    if (!str_eq(scope, conn.credential_scope) && !str_is_absent(url))
        url = arena_printf(c->arena, "%.*s&scope=%.*s", STR_FMT(url), STR_FMT(scope));
    if (str_is_absent(url))
        return io_no_memory(e);
    c->object = conn.id;
    jout_init(&j, c->out);
    jout_object(&j);
    jout_kstr(&j, "url", url);
    jout_kstr(&j, "connection_id", conn.id);
    jout_kstr(&j, "scope", scope);
    jout_kbool(&j, "connected", has && str_is_absent(row.failure));
    jout_object_end(&j);
    return true;
}

/* With auth oauth: the authorization first, which is revoked at the server, too; when there is
 * none, the client that was registered there. */
bool tool_connection_credential_delete(struct tool_call *c, struct err *e)
{
    struct connection conn;
    struct str owner;
    bool was_authorized = false;
    if (!io_connection(c, &conn, e) || !owner_read(c, &conn, &owner, e) ||
        (is_oauth(&conn) &&
         !downstream_disconnect(c->sv, c->arena, &conn, owner, &was_authorized, e)))
        return false;
    if (was_authorized) {
        upstream_forget(c->sv, c->org_id, conn.id);
        io_deleted(c, conn.id);
        return true;
    }
    if (!credentials_delete(c->sv->db, c->arena, c->org_id, conn.id, owner, clock_wall_ms(), e))
        return e->code == ERR_NOT_FOUND ? err_set(e, ERR_NOT_FOUND, "no such credential") : false;
    upstream_forget(c->sv, c->org_id, conn.id);
    io_deleted(c, conn.id);
    return true;
}

static bool status_read(struct tool_call *c, struct jout *j, const struct connection *conn,
                        struct str owner, struct err *e)
{
    struct credential_row row;
    struct downstream_token token;
    bool has = false;
    if (is_oauth(conn) && !token_find(c, conn, owner, &token, &has, e))
        return false;
    if (has && str_is_absent(token.failure)) {
        row = (struct credential_row){.kind = STR("oauth"), .updated_at = token.authorized_at};
        status_write(j, owner.n ? STR("user") : STR("organization"), &row);
        return true;
    }
    has = credentials_get(c->sv->db, c->arena, c->org_id, conn->id, owner, &row, e);
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
    if (!status_read(c, &j, &conn, STR(""), e) || !status_read(c, &j, &conn, c->caller->user_id, e))
        return false;
    jout_array_end(&j);
    jout_object_end(&j);
    return true;
}
