/* ORGANIZATION_SCIM_TOKEN_*: with these an organization's directory manages its people. */
#include "auth/scim/scim_token.h"
#include "auth/secret_text.h"
#include "base/clock.h"
#include "base/ids.h"
#include "base/limits.h"
#include "base/secret.h"
#include "management-tools/tool_io.h"
#include "store/scim_tokens.h"

tool_fn tool_organization_scim_token_create, tool_organization_scim_token_list,
    tool_organization_scim_token_revoke;

enum { PREFIX_SHOWN = 16 };

static void token_write(struct jout *j, const struct scim_token *t)
{
    jout_object(j);
    jout_kstr(j, "id", t->id);
    jout_kstr(j, "name", t->name);
    jout_kstr(j, "prefix", t->prefix);
    jout_kbool(j, "is_owners", t->is_owners);
    jout_kstr(j, "created_by", t->created_by);
    jout_ktime(j, "expires_at", t->expires_at);
    jout_ktime(j, "last_used_at", t->last_used_at);
    jout_ktime(j, "created_at", t->created_at);
    jout_object_end(j);
}

/* A directory says who is an administrator by groups: no custom role gives that away. */
static bool may_manage(const struct tool_call *c, struct err *e)
{
    return io_is_admin(c) || err_set(e, ERR_FORBIDDEN, "only administrators connect directories");
}

bool tool_organization_scim_token_create(struct tool_call *c, struct err *e)
{
    static const int64_t day_ms = 24 * 60 * 60 * 1000;
    struct id id = id_new("scim");
    struct secret_text secret;
    struct jout j;
    int64_t now = clock_wall_ms();
    struct scim_token t = {
        .id = arena_dup(c->arena, id_str(&id)),
        .org_id = c->org_id,
        .is_owners = (c->caller->builtin_roles & ROLE_OWNER) != 0,
        .created_by = c->caller->user_id,
        .created_at = now,
        .expires_at = now + jv_get_i64(c->arguments, "expires_in_days", 365) * day_ms,
    };
    c->object = t.id;
    if (!may_manage(c, e) || !io_name(jv_get_str(c->arguments, "name"), &t.name, e))
        return false;
    secret_text_make(&secret, SCIM_TOKEN_PREFIX);
    t.hash = str_c(secret.hash_hex);
    t.prefix = str_slice(str_c(secret.text), 0, PREFIX_SHOWN);
    bool is_good = scim_tokens_insert(c->sv->db, c->arena, &t, e);
    if (is_good) {
        jout_init(&j, c->out);
        jout_object(&j);
        jout_key(&j, STR("item"));
        token_write(&j, &t);
        jout_kstr(&j, "token", str_c(secret.text));
        jout_kstr(&j, "url", arena_printf(c->arena, "%s/scim/v2", c->sv->config->origin));
        jout_object_end(&j);
    }
    secret_wipe(&secret, sizeof(secret));
    return is_good;
}

bool tool_organization_scim_token_list(struct tool_call *c, struct err *e)
{
    struct db_page page;
    struct scim_token *tokens;
    struct jout j;
    size_t n;
    struct io_list_end end = {0};
    if (!io_page_read(c, &page, e) ||
        !scim_tokens_list(c->sv->db, c->arena, c->org_id, &page, &tokens, &n, e) ||
        !scim_tokens_count(c->sv->db, c->arena, c->org_id, &end.total, e))
        return false;
    io_list_begin(c, &j);
    for (size_t i = 0; i < n && i < (size_t)page.limit; i++) {
        token_write(&j, &tokens[i]);
        end.last_at = tokens[i].created_at;
        end.last_id = tokens[i].id;
    }
    end.has_more = n > (size_t)page.limit;
    return io_list_end(c, &j, &end, e);
}

bool tool_organization_scim_token_revoke(struct tool_call *c, struct err *e)
{
    struct str id = jv_get_str(c->arguments, "scim_token_id");
    c->object = id;
    if (!may_manage(c, e))
        return false;
    if (!scim_tokens_delete(c->sv->db, c->arena, c->org_id, id, e))
        return e->code == ERR_NOT_FOUND ? err_set(e, ERR_NOT_FOUND, "no such token") : false;
    io_deleted(c, id);
    return true;
}
