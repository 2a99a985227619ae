/* OAUTH_CLIENT_CREATE, OAUTH_CLIENT_UPDATE: programs of the organization's own. */
#include "auth/oauth/client_rules.h"
#include "auth/oauth/redirect_uri.h"
#include "auth/oauth/scope.h"
#include "auth/secret_text.h"
#include "base/clock.h"
#include "base/ids.h"
#include "base/limits.h"
#include "base/secret.h"
#include "management-tools/oauth_item.h"
#include "store/service_accounts.h"

tool_fn tool_oauth_client_create, tool_oauth_client_update;

/* secret NULL: null. */
static bool client_answer(struct tool_call *c, const struct oauth_client *client,
                          const struct secret_text *secret, struct err *e)
{
    struct oauth_client_use use = {.client = *client};
    struct jout j;
    if (!oauth_clients_use_get(c->sv->db, c->arena, c->org_id, STR_NONE, client->id, &use, e))
        return false;
    jout_init(&j, c->out);
    jout_object(&j);
    jout_key(&j, STR("item"));
    oauth_item_write(&j, &use);
    jout_key(&j, STR("client_secret"));
    if (secret)
        jout_str(&j, str_c(secret->text));
    else
        jout_null(&j);
    jout_object_end(&j);
    c->object = client->id;
    return true;
}

static bool redirects_read(struct tool_call *c, struct str *out, struct err *e)
{
    const struct jvalue *list = jv_get(c->arguments, "redirect_uris");
    struct buf text;
    struct err why;
    if (!list)
        return true;
    buf_init(&text, 4 * LIMIT_BODY_FORM);
    for (size_t i = 0; i < jv_count(list); i++) {
        struct str uri = jv_str(jv_at(list, i));
        if (!redirect_uri_check(uri, &why)) {
            buf_end(&text);
            return err_set(e, ERR_INVALID, "arguments.redirect_uris[%zu]: %.300s", i, why.msg);
        }
        if (i)
            buf_add_char(&text, ' ');
        buf_add(&text, uri);
    }
    *out = buf_ok(&text) ? arena_dup(c->arena, buf_str(&text)) : STR_NONE;
    buf_end(&text);
    return !str_is_absent(*out) || io_no_memory(e);
}

static bool scopes_read(struct tool_call *c, struct str *out, struct err *e)
{
    const struct jvalue *list = jv_get(c->arguments, "scopes");
    struct buf text;
    struct err ignored;
    if (!list)
        return true;
    buf_init(&text, LIMIT_SCOPE);
    for (size_t i = 0; i < jv_count(list); i++) {
        struct str word = jv_str(jv_at(list, i)), known;
        if (str_find_char(word, ' ') != SIZE_MAX ||
            !scope_at_authorize(c->arena, word, &known, &ignored) || !str_list_has(known, word) ||
            str_eq(word, STR("offline_access")) || str_list_has(STR(SCOPES_OPENID), word)) {
            buf_end(&text);
            return err_set(e, ERR_INVALID,
                           "arguments.scopes[%zu]: expected mcp, mcp:read, mcp:manage or "
                           "conn:CONNECTION_ID",
                           i);
        }
        if (i)
            buf_add_char(&text, ' ');
        buf_add(&text, word);
    }
    *out = buf_ok(&text) ? arena_dup(c->arena, buf_str(&text)) : STR_NONE;
    buf_end(&text);
    return !str_is_absent(*out) || err_set(e, ERR_INVALID, "arguments.scopes: too long");
}

static bool keys_read(struct tool_call *c, struct str *out, struct err *e)
{
    const struct jvalue *jwks = jv_get(c->arguments, "jwks");
    struct err why;
    if (!jwks || client_keys_read(c->arena, jwks, out, &why))
        return true;
    return err_set(e, ERR_INVALID, "arguments.%.300s", why.msg);
}

/* Whoever has a client's secret or key acts for its service account; absent: it has none. */
static bool account_check(struct tool_call *c, struct str id, struct err *e)
{
    struct service_account s;
    if (str_is_absent(id))
        return true;
    if (!service_accounts_get(c->sv->db, c->arena, c->org_id, id, &s, e))
        return e->code == ERR_NOT_FOUND ? err_set(e, ERR_NOT_FOUND, "no such service account")
                                        : false;
    return str_eq(s.roles, STR("member")) || io_is_admin(c) ||
           err_set(e, ERR_FORBIDDEN, "only administrators act for accounts with other roles");
}

/* What the client is for, and how it proves itself, belong together. */
static bool client_check(const struct oauth_client *c, struct err *e)
{
    bool is_keyed = str_eq(c->auth_method, STR("private_key_jwt"));
    if (is_keyed == str_is_absent(c->jwks))
        return err_set(e, ERR_UNPROCESSABLE, "private_key_jwt needs jwks, and only it does");
    if (!str_is_absent(c->service_account_id) && str_eq(c->auth_method, STR("none")))
        return err_set(e, ERR_UNPROCESSABLE,
                       "client credentials need a client that proves itself: not none");
    return c->redirect_uris.n > 0 || !str_is_absent(c->service_account_id) ||
           err_set(e, ERR_UNPROCESSABLE,
                   "a client needs redirect_uris, a service_account_id, or both");
}

static struct str metadata_text(struct tool_call *c, const struct oauth_client *client)
{
    struct buf text;
    struct jout j;
    buf_init(&text, 2 * LIMIT_BODY_FORM);
    jout_init(&j, &text);
    jout_object(&j);
    jout_kstr(&j, "client_name", client->name);
    jout_kstr(&j, "token_endpoint_auth_method", client->auth_method);
    jout_object_end(&j);
    struct str out = buf_ok(&text) ? arena_dup(c->arena, buf_str(&text)) : STR_NONE;
    buf_end(&text);
    return out;
}

bool tool_oauth_client_create(struct tool_call *c, struct err *e)
{
    struct id id = id_new("cli");
    struct secret_text secret;
    struct str method = jv_get_str(c->arguments, "auth_method");
    struct oauth_client client = {
        .id = arena_dup(c->arena, id_str(&id)),
        .redirect_uris = STR(""),
        .auth_method = str_is_absent(method) ? STR("client_secret_basic") : method,
        .source = STR("organization"),
        .org_id = c->org_id,
        .service_account_id = jv_get_str(c->arguments, "service_account_id"),
        .created_at = clock_wall_ms()};
    if (!io_name(jv_get_str(c->arguments, "name"), &client.name, e) ||
        !redirects_read(c, &client.redirect_uris, e) || !keys_read(c, &client.jwks, e) ||
        !account_check(c, client.service_account_id, e))
        return false;
    if (!str_is_absent(client.service_account_id))
        client.scope = STR(SCOPE_DEFAULT);
    if (!scopes_read(c, &client.scope, e) || !client_check(&client, e))
        return false;
    client.metadata = metadata_text(c, &client);
    if (str_is_absent(client.id) || str_is_absent(client.metadata))
        return io_no_memory(e);
    bool has_secret = str_starts(client.auth_method, STR("client_secret_"));
    secret_text_make(&secret, "tulle_cs_");
    if (has_secret)
        client.secret_hash = str_c(secret.hash_hex);
    bool is_good = oauth_clients_insert(c->sv->db, c->arena, &client, e) &&
                   client_answer(c, &client, has_secret ? &secret : NULL, e);
    secret_wipe(&secret, sizeof(secret));
    return is_good;
}

static bool client_find(struct tool_call *c, struct oauth_client *out, struct err *e)
{
    struct str id = jv_get_str(c->arguments, "client_id");
    bool is_there = oauth_clients_get(c->sv->db, c->arena, id, out, e);
    if (!is_there && e->code != ERR_NOT_FOUND)
        return false;
    if (!is_there || !str_eq(out->org_id, c->org_id))
        return err_set(e, ERR_NOT_FOUND, "no such client of this organization's own");
    return true;
}

bool tool_oauth_client_update(struct tool_call *c, struct err *e)
{
    struct oauth_client client;
    struct secret_text secret;
    struct str name = jv_get_str(c->arguments, "name");
    if (!client_find(c, &client, e) || !account_check(c, client.service_account_id, e) ||
        (!str_is_absent(name) && !io_name(name, &client.name, e)) ||
        !redirects_read(c, &client.redirect_uris, e) || !keys_read(c, &client.jwks, e) ||
        !scopes_read(c, &client.scope, e) || !client_check(&client, e))
        return false;
    bool is_new = jv_get_bool(c->arguments, "rotate_secret", false);
    if (is_new && str_is_absent(client.secret_hash))
        return err_set(e, ERR_UNPROCESSABLE, "this client has no secret");
    client.metadata = metadata_text(c, &client);
    client.updated_at = clock_wall_ms();
    if (str_is_absent(client.metadata))
        return io_no_memory(e);
    secret_text_make(&secret, "tulle_cs_");
    if (is_new)
        client.secret_hash = str_c(secret.hash_hex);
    bool is_good = oauth_clients_change(c->sv->db, c->arena, &client, e) &&
                   client_answer(c, &client, is_new ? &secret : NULL, e);
    secret_wipe(&secret, sizeof(secret));
    return is_good;
}
