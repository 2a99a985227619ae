/* ORGANIZATION_ISSUER_*: other authorization servers whose access tokens work here. */
#include "auth/oauth/scope.h"
#include "base/clock.h"
#include "base/ids.h"
#include "base/limits.h"
#include "base/secret.h"
#include "base/uri.h"
#include "core/policy.h"
#include "core/vault.h"
#include "io/http_guard.h"
#include "management-tools/tool_io.h"
#include "store/members.h"
#include "store/org_issuers.h"
#include "store/service_accounts.h"

tool_fn tool_organization_issuer_create, tool_organization_issuer_list,
    tool_organization_issuer_update, tool_organization_issuer_delete;

enum { USERS_MAX = 200, SCOPES_MAPPED_MAX = 50 };

static void issuer_write(struct jout *j, const struct org_issuer *i)
{
    struct str rest = i->required_scopes, word;
    jout_object(j);
    jout_kstr(j, "id", i->id);
    jout_kstr(j, "name", i->name);
    jout_kstr(j, "issuer", i->issuer);
    jout_kstr(j, "kind", i->kind);
    jout_kstr(j, "jwks_uri", i->jwks_uri);
    jout_kstr(j, "introspection_endpoint", i->introspection_endpoint);
    jout_kstr(j, "client_id", i->client_id);
    jout_kbool(j, "has_secret", !str_is_absent(i->sealed));
    jout_kraw(j, "audiences", i->audiences);
    jout_key(j, STR("required_scopes"));
    jout_array(j);
    while (str_next(&rest, ' ', &word))
        if (word.n)
            jout_str(j, word);
    jout_array_end(j);
    jout_kraw(j, "scope_map", i->scope_map);
    jout_kbool(j, "accept_plain_jwt", i->accepts_plain_jwt);
    jout_kraw(j, "subject", i->subject);
    jout_kbool(j, "enabled", i->is_enabled);
    jout_kbool(j, "vouches_for_owners", i->is_owners);
    jout_ktime(j, "created_at", i->created_at);
    jout_ktime(j, "updated_at", i->updated_at);
    jout_object_end(j);
}

static bool issuer_answer(struct tool_call *c, const struct org_issuer *i)
{
    struct jout j;
    jout_init(&j, c->out);
    jout_object(&j);
    jout_key(&j, STR("item"));
    issuer_write(&j, i);
    jout_object_end(&j);
    c->object = i->id;
    return true;
}

/* ---- reading ---- */

static void text_take(const struct tool_call *c, const char *name, struct str *out)
{
    if (jv_get(c->arguments, name))
        *out = jv_get_str(c->arguments, name);
}

static bool address_check(struct tool_call *c, const char *name, struct str given, struct err *e)
{
    struct uri u;
    struct err why;
    if (str_is_absent(given))
        return true;
    if (!uri_parse(given, &u) || !uri_is_http(&u) || u.host.n == 0 || !str_is_absent(u.userinfo) ||
        !str_is_absent(u.fragment))
        return err_set(e, ERR_INVALID, "arguments.%s: expected an https address", name);
    return http_guard_url(c->sv->guard, given, &why) ||
           err_set(e, ERR_UNPROCESSABLE, "arguments.%s: %.300s", name, why.msg);
}

static bool addresses_read(struct tool_call *c, struct org_issuer *i, struct err *e)
{
    text_take(c, "issuer", &i->issuer);
    text_take(c, "jwks_uri", &i->jwks_uri);
    text_take(c, "introspection_endpoint", &i->introspection_endpoint);
    text_take(c, "client_id", &i->client_id);
    if (str_eq(i->issuer, str_c(c->sv->config->origin)))
        return err_set(e, ERR_UNPROCESSABLE, "arguments.issuer: that is this server itself");
    return address_check(c, "issuer", i->issuer, e) &&
           address_check(c, "jwks_uri", i->jwks_uri, e) &&
           address_check(c, "introspection_endpoint", i->introspection_endpoint, e);
}

static bool required_read(struct tool_call *c, struct org_issuer *i, struct err *e)
{
    const struct jvalue *list = jv_get(c->arguments, "required_scopes");
    struct buf text;
    if (!list)
        return true;
    buf_init(&text, LIMIT_SCOPE_GRANTED);
    for (size_t k = 0; k < jv_count(list); k++) {
        buf_add(&text, k ? STR(" ") : STR(""));
        buf_add(&text, jv_str(jv_at(list, k)));
    }
    i->required_scopes = buf_ok(&text) ? arena_dup(c->arena, buf_str(&text)) : STR_NONE;
    buf_end(&text);
    return !str_is_absent(i->required_scopes) || io_no_memory(e);
}

/* Ours that a foreign token may have: never to manage. */
static bool ours_check(struct str scope)
{
    struct str rest = scope, word;
    unsigned bits = 0;
    while (str_next(&rest, ' ', &word)) {
        bool is_use = str_eq(word, STR("mcp")) || str_eq(word, STR("mcp:read"));
        bits |= is_use ? 1U : 0U;
        if (!is_use && !scope_is_connection(word))
            return false;
    }
    return bits != 0;
}

static bool map_read(struct tool_call *c, struct org_issuer *i, struct err *e)
{
    const struct jvalue *map = jv_get(c->arguments, "scope_map"), *value;
    struct str name;
    if (!map)
        return true;
    if (jv_count(map) > SCOPES_MAPPED_MAX)
        return err_set(e, ERR_INVALID, "arguments.scope_map: expected at most %d scopes",
                       SCOPES_MAPPED_MAX);
    for (void *iter = NULL; jv_is_object(map) && jv_member(map, &iter, &name, &value);)
        if (!ours_check(jv_str(value)))
            return err_set(e, ERR_INVALID,
                           "arguments.scope_map: expected mcp or mcp:read, with "
                           "conn:CONNECTION_ID where only some connections are meant");
    return io_json(c, jv_is_object(map) ? map : NULL, STR_NONE, &i->scope_map, e);
}

static bool users_check(struct tool_call *c, const struct jvalue *users, struct err *e)
{
    const struct jvalue *value;
    struct str name;
    struct member member;
    if (jv_count(users) == 0 || jv_count(users) > USERS_MAX)
        return err_set(e, ERR_INVALID, "arguments.subject.users: expected 1 to %d", USERS_MAX);
    for (void *iter = NULL; jv_member(users, &iter, &name, &value);)
        if (!members_get(c->sv->db, c->arena, c->org_id, jv_str(value), &member, e))
            return e->code == ERR_NOT_FOUND
                       ? err_set(e, ERR_NOT_FOUND, "no such member of the organization")
                       : false;
    return true;
}

static bool subject_read(struct tool_call *c, struct org_issuer *i, struct err *e)
{
    const struct jvalue *v = jv_get(c->arguments, "subject");
    struct service_account account;
    if (!v)
        return true;
    struct str by = jv_get_str(v, "by"), id = jv_get_str(v, "service_account_id");
    bool is_claim = str_eq(by, STR("claim"));
    bool is_account = str_eq(by, STR("service_account"));
    if (is_claim != (jv_get(v, "users") != NULL) || (!is_claim && jv_get(v, "claim")) ||
        is_account == str_is_absent(id))
        return err_set(
            e, ERR_INVALID,
            "arguments.subject: by claim takes users and claim, by service_account takes "
            "service_account_id, by email nothing else");
    if (is_claim && !users_check(c, jv_get(v, "users"), e))
        return false;
    if (is_account && !service_accounts_get(c->sv->db, c->arena, c->org_id, id, &account, e))
        return e->code == ERR_NOT_FOUND ? err_set(e, ERR_NOT_FOUND, "no such service account")
                                        : false;
    return io_json(c, v, STR_NONE, &i->subject, e);
}

static bool secret_read(struct tool_call *c, struct org_issuer *i, struct err *e)
{
    struct vault_place place = {c->org_id, STR("org_issuers"), STR("sealed"), i->id};
    struct str secret = jv_get_str(c->arguments, "client_secret");
    if (!jv_get(c->arguments, "client_secret"))
        return true;
    i->sealed = STR_NONE;
    return str_is_absent(secret) ||
           vault_seal(c->sv->vault, c->arena, &place, secret, &i->sealed, e);
}

static bool belongs_together(const struct org_issuer *i, struct err *e)
{
    bool is_opaque = str_eq(i->kind, STR("opaque"));
    if (is_opaque == str_is_absent(i->introspection_endpoint))
        return err_set(e, ERR_UNPROCESSABLE,
                       "an opaque issuer needs an introspection_endpoint, and only it does");
    if (is_opaque != !str_is_absent(i->client_id) || is_opaque != !str_is_absent(i->sealed))
        return err_set(e, ERR_UNPROCESSABLE,
                       "an opaque issuer needs client_id and client_secret, and only it does");
    return !is_opaque || str_is_absent(i->jwks_uri) ||
           err_set(e, ERR_UNPROCESSABLE, "an opaque issuer has no jwks_uri");
}

/* Whoever says who a token is could be anybody. */
static bool issuer_read(struct tool_call *c, struct org_issuer *i, struct err *e)
{
    const struct jvalue *audiences = jv_get(c->arguments, "audiences");
    struct str name = jv_get_str(c->arguments, "name");
    if (!io_is_admin(c))
        return err_set(e, ERR_FORBIDDEN, "only administrators say whose tokens are trusted");
    text_take(c, "kind", &i->kind);
    i->accepts_plain_jwt = jv_get_bool(c->arguments, "accept_plain_jwt", i->accepts_plain_jwt);
    i->is_enabled = jv_get_bool(c->arguments, "enabled", i->is_enabled);
    return (str_is_absent(name) || io_name(name, &i->name, e)) && addresses_read(c, i, e) &&
           (!audiences || io_json(c, audiences, STR("[]"), &i->audiences, e)) &&
           required_read(c, i, e) && map_read(c, i, e) && subject_read(c, i, e) &&
           secret_read(c, i, e) && belongs_together(i, e);
}

static bool is_by_owner(const struct tool_call *c)
{
    return (c->caller->builtin_roles & ROLE_OWNER) != 0;
}

/* An issuer that an administrator changed in anything but its name, or whether it is used, is that
 * administrator's word from then on. */
static bool owners_keep(const struct org_issuer *was, const struct org_issuer *i)
{
    return was->is_owners && was->accepts_plain_jwt == i->accepts_plain_jwt &&
           str_eq(was->issuer, i->issuer) && str_eq(was->kind, i->kind) &&
           str_eq(was->jwks_uri, i->jwks_uri) &&
           str_eq(was->introspection_endpoint, i->introspection_endpoint) &&
           str_eq(was->client_id, i->client_id) && str_eq(was->sealed, i->sealed) &&
           str_eq(was->audiences, i->audiences) &&
           str_eq(was->required_scopes, i->required_scopes) &&
           str_eq(was->scope_map, i->scope_map) && str_eq(was->subject, i->subject);
}

/* ---- tools ---- */

bool tool_organization_issuer_create(struct tool_call *c, struct err *e)
{
    struct id id = id_new("iss");
    int64_t now = clock_wall_ms(), n;
    struct org_issuer i = {.id = arena_dup(c->arena, id_str(&id)),
                           .org_id = c->org_id,
                           .kind = STR("jwt"),
                           .audiences = STR("[]"),
                           .required_scopes = STR(""),
                           .is_enabled = true,
                           .is_owners = is_by_owner(c),
                           .created_at = now,
                           .updated_at = now};
    if (str_is_absent(i.id))
        return io_no_memory(e);
    if (!issuer_read(c, &i, e) || !org_issuers_count(c->sv->db, c->arena, c->org_id, &n, e))
        return false;
    if (n >= LIMIT_ISSUERS)
        return err_set(e, ERR_UNPROCESSABLE, "an organization trusts at most %d issuers",
                       LIMIT_ISSUERS);
    return org_issuers_insert(c->sv->db, c->arena, &i, e) && issuer_answer(c, &i);
}

static bool issuer_find(struct tool_call *c, struct org_issuer *out, struct err *e)
{
    struct str id = jv_get_str(c->arguments, "issuer_id");
    return org_issuers_get(c->sv->db, c->arena, c->org_id, id, out, e) ||
           (e->code == ERR_NOT_FOUND && err_set(e, ERR_NOT_FOUND, "no such issuer"));
}

bool tool_organization_issuer_list(struct tool_call *c, struct err *e)
{
    struct db_page page;
    struct org_issuer *list;
    struct jout j;
    size_t n;
    struct io_list_end end = {0};
    if (!io_page_read(c, &page, e) ||
        !org_issuers_list(c->sv->db, c->arena, c->org_id, &page, &list, &n, e) ||
        !org_issuers_count(c->sv->db, c->arena, c->org_id, &end.total, e))
        return false;
    io_list_begin(c, &j);
    for (size_t i = 0; i < n && i < (size_t)page.limit; i++) {
        issuer_write(&j, &list[i]);
        end.last_at = list[i].created_at;
        end.last_id = list[i].id;
    }
    end.has_more = n > (size_t)page.limit;
    return io_list_end(c, &j, &end, e);
}

bool tool_organization_issuer_update(struct tool_call *c, struct err *e)
{
    struct org_issuer i;
    if (!issuer_find(c, &i, e))
        return false;
    struct org_issuer was = i;
    if (!issuer_read(c, &i, e))
        return false;
    /* The secret is for whom it was given. */
    if (!str_is_absent(i.sealed) && !str_eq(was.introspection_endpoint, i.introspection_endpoint) &&
        !jv_get(c->arguments, "client_secret"))
        return err_set(e, ERR_UNPROCESSABLE,
                       "another introspection_endpoint needs its client_secret");
    i.is_owners = is_by_owner(c) || owners_keep(&was, &i);
    i.updated_at = clock_wall_ms();
    return org_issuers_update(c->sv->db, c->arena, &i, e) && issuer_answer(c, &i);
}

bool tool_organization_issuer_delete(struct tool_call *c, struct err *e)
{
    struct org_issuer i;
    if (!issuer_find(c, &i, e) || !org_issuers_delete(c->sv->db, c->arena, c->org_id, i.id, e))
        return false;
    io_deleted(c, i.id);
    return true;
}
