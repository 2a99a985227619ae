/* Downstream credentials: read, sealed, stored. */
#include "management-tools/credential_store.h"

#include "auth/downstream/disconnect.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/secret.h"
#include "core/credential_rules.h"
#include "core/vault.h"
#include "management-tools/tool_io.h"
#include "mcp/upstream.h"
#include "store/credentials.h"
#include "store/downstream_tokens.h"

bool credential_store_seal_text(struct tool_call *c, struct credential_row *row, struct str plain,
                                struct err *e)
{
    struct str row_id =
        arena_printf(c->arena, "%.*s/%.*s", STR_FMT(row->connection_id), STR_FMT(row->user_id));
    struct vault_place place = {c->org_id, STR("credentials"), STR("sealed"), row_id};
    return (!str_is_absent(row_id) || io_no_memory(e)) &&
           vault_seal(c->sv->vault, c->arena, &place, plain, &row->sealed, e);
}

bool credential_store_seal(struct tool_call *c, const struct connection *conn, struct str user_id,
                           const struct jvalue *form, struct credential_row *row, struct err *e)
{
    struct buf plain;
    if (user_id.n > 0 && !credential_rules_personal(form, e))
        return false;
    *row = (struct credential_row){.connection_id = conn->id,
                                   .user_id = user_id,
                                   .updated_by = c->caller->user_id,
                                   .updated_at = clock_wall_ms()};
    buf_init(&plain, LIMIT_CREDENTIAL);
    /* Its memory is taken at once, so that growing leaves no copies behind. */
    bool is_good = buf_reserve(&plain, LIMIT_CREDENTIAL - 1) || io_no_memory(e);
    is_good = is_good && credential_rules_read(form, &row->kind, &plain, e) &&
              credential_store_seal_text(c, row, buf_str(&plain), e);
    if (plain.p)
        secret_wipe(plain.p, plain.cap);
    buf_end(&plain);
    return is_good;
}

bool credential_store_put(struct tool_call *c, const struct connection *conn, struct str user_id,
                          const struct jvalue *form, struct str *kind, struct err *e)
{
    struct credential_row row;
    if (!credential_store_seal(c, conn, user_id, form, &row, e) ||
        !credentials_put(c->sv->db, c->arena, c->org_id, &row, e))
        return false;
    upstream_forget(c->sv, c->org_id, conn->id);
    *kind = row.kind;
    return true;
}

bool credential_store_clear(struct tool_call *c, const struct connection *conn, struct err *e)
{
    struct credential_row *rows;
    size_t n;
    if (!downstream_disconnect_all(c->sv, c->arena, conn, e))
        return false;
    if (!credentials_list(c->sv->db, c->arena, c->org_id, conn->id, STR_NONE, &rows, &n, e))
        return false;
    for (size_t i = 0; i < n; i++)
        if (!credentials_delete(c->sv->db, c->arena, c->org_id, conn->id, rows[i].user_id,
                                clock_wall_ms(), e) &&
            e->code != ERR_NOT_FOUND)
            return false;
    return true;
}

struct str credential_store_owner(const struct tool_call *c, const struct connection *conn)
{
    return str_eq(conn->credential_scope, STR("user")) ? c->caller->user_id : STR("");
}

bool credential_store_has(struct tool_call *c, const struct connection *conn, bool *out,
                          struct err *e)
{
    if (str_eq(conn->auth, STR("oauth"))) {
        struct downstream_token token;
        *out = downstream_tokens_get(c->sv->db, c->arena, c->org_id, conn->id,
                                     credential_store_owner(c, conn), &token, e) &&
               str_is_absent(token.failure);
        if (*out)
            return true;
    }
    struct credential_row row;
    *out = credentials_get(c->sv->db, c->arena, c->org_id, conn->id,
                           credential_store_owner(c, conn), &row, e);
    return *out || e->code == ERR_NOT_FOUND;
}
