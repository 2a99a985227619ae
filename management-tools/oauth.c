/* OAUTH_CLIENT_*, OAUTH_GRANT_*: which programs act for people here, and ending that. */
#include "base/clock.h"
#include "management-tools/oauth_item.h"
#include "store/oauth_grants.h"

tool_fn tool_oauth_client_list, tool_oauth_client_get, tool_oauth_client_delete,
    tool_oauth_grant_list, tool_oauth_grant_revoke;

/* Administrators see everybody's, others their own. */
static struct str whose(const struct tool_call *c)
{
    return io_is_admin(c) ? STR_NONE : c->caller->user_id;
}

/* ERR_NOT_FOUND in these words for what is unknown, foreign, or somebody else's. */
static bool missed(struct err *e, const char *what)
{
    return e->code == ERR_NOT_FOUND ? err_set(e, ERR_NOT_FOUND, "no such %s", what) : false;
}

static void words_array(struct jout *j, struct str words)
{
    struct str rest = words, word;
    jout_array(j);
    while (str_next(&rest, ' ', &word))
        if (word.n)
            jout_str(j, word);
    jout_array_end(j);
}

static void words_write(struct jout *j, const char *key, struct str words)
{
    jout_key(j, str_c(key));
    words_array(j, words);
}

/* ---- clients ---- */

void oauth_item_write(struct jout *j, const struct oauth_client_use *u)
{
    jout_object(j);
    jout_kstr(j, "id", u->client.id);
    jout_kstr(j, "name", u->client.name);
    words_write(j, "redirect_uris", u->client.redirect_uris);
    jout_kstr(j, "auth_method", u->client.auth_method);
    jout_kstr(j, "source", u->client.source);
    jout_kstr(j, "service_account_id", u->client.service_account_id);
    jout_key(j, STR("scopes"));
    if (str_is_absent(u->client.scope))
        jout_null(j);
    else
        words_array(j, u->client.scope);
    jout_ki64(j, "grant_count", u->n_grants);
    jout_ktime(j, "first_granted_at", u->first_at);
    jout_ktime(j, "last_granted_at", u->last_at);
    jout_ktime(j, "created_at", u->client.created_at);
    jout_object_end(j);
}

bool tool_oauth_client_list(struct tool_call *c, struct err *e)
{
    struct db_page page;
    struct oauth_client_use *list;
    struct jout j;
    size_t n;
    struct io_list_end end = {0};
    if (!io_page_read(c, &page, e) ||
        !oauth_clients_list(c->sv->db, c->arena, c->org_id, whose(c), &page, &list, &n, e) ||
        !oauth_clients_count(c->sv->db, c->arena, c->org_id, whose(c), &end.total, e))
        return false;
    io_list_begin(c, &j);
    for (size_t i = 0; i < n && i < (size_t)page.limit; i++) {
        oauth_item_write(&j, &list[i]);
        end.last_at = list[i].first_at;
        end.last_id = list[i].client.id;
    }
    end.has_more = n > (size_t)page.limit;
    return io_list_end(c, &j, &end, e);
}

static bool client_find(struct tool_call *c, struct oauth_client_use *out, struct err *e)
{
    struct str id = jv_get_str(c->arguments, "client_id");
    if (!oauth_clients_use_get(c->sv->db, c->arena, c->org_id, whose(c), id, out, e))
        return missed(e, "client");
    c->object = out->client.id;
    return true;
}

bool tool_oauth_client_get(struct tool_call *c, struct err *e)
{
    struct oauth_client_use use;
    struct jout j;
    if (!client_find(c, &use, e))
        return false;
    jout_init(&j, c->out);
    jout_object(&j);
    jout_key(&j, STR("item"));
    oauth_item_write(&j, &use);
    jout_object_end(&j);
    return true;
}

bool tool_oauth_client_delete(struct tool_call *c, struct err *e)
{
    struct oauth_client_use use;
    if (!client_find(c, &use, e))
        return false;
    bool is_own = io_is_admin(c) && str_eq(use.client.org_id, c->org_id);
    bool is_gone =
        is_own ? oauth_clients_delete(c->sv->db, c->arena, use.client.id, e)
               : oauth_clients_forget(c->sv->db, c->arena, c->org_id, whose(c), use.client.id, e);
    if (!is_gone)
        return false;
    io_deleted(c, use.client.id);
    return true;
}

/* ---- grants ---- */

static void grant_write(struct jout *j, const struct oauth_grant *g)
{
    jout_object(j);
    jout_kstr(j, "id", g->id);
    jout_kstr(j, "client_id", g->client_id);
    jout_kstr(j, "client_name", g->client_name);
    jout_kstr(j, "user_id", g->user_id);
    jout_kstr(j, "email", g->user_email);
    jout_kstr(j, "resource", g->resource);
    words_write(j, "scopes", g->scope);
    jout_kstr(j, "redirect_host", g->redirect_host);
    jout_ktime(j, "created_at", g->created_at);
    jout_ktime(j, "last_used_at", g->last_used_at);
    jout_object_end(j);
}

bool tool_oauth_grant_list(struct tool_call *c, struct err *e)
{
    struct db_page page;
    struct oauth_grant *list;
    struct jout j;
    size_t n;
    struct io_list_end end = {0};
    if (!io_page_read(c, &page, e) ||
        !oauth_grants_list(c->sv->db, c->arena, c->org_id, whose(c), &page, &list, &n, e) ||
        !oauth_grants_count(c->sv->db, c->arena, c->org_id, whose(c), &end.total, e))
        return false;
    io_list_begin(c, &j);
    for (size_t i = 0; i < n && i < (size_t)page.limit; i++) {
        grant_write(&j, &list[i]);
        end.last_at = list[i].created_at;
        end.last_id = list[i].id;
    }
    end.has_more = n > (size_t)page.limit;
    return io_list_end(c, &j, &end, e);
}

bool tool_oauth_grant_revoke(struct tool_call *c, struct err *e)
{
    struct str id = jv_get_str(c->arguments, "grant_id");
    if (!oauth_grants_revoke(c->sv->db, c->arena, c->org_id, whose(c), id, clock_wall_ms(), e))
        return missed(e, "grant");
    c->object = id;
    io_deleted(c, id);
    return true;
}
