/* grant_type=client_credentials (RFC 6749 section 4.4): a program of an organization as its own
 * service account. */
#include "auth/oauth/resource_find.h"
#include "auth/oauth/scope.h"
#include "auth/oauth/token.h"
#include "auth/token_check.h"
#include "core/row_cache.h"
#include "crypto/hash.h"

/* What the administrator allowed and, of that, what is asked for. */
static bool scope_read(const struct token_call *c, struct str *out, struct err *e)
{
    struct str asked = wire_param(c->form, "scope"), most = c->client->scope, checked;
    *out = most;
    if (str_is_absent(asked))
        return true;
    if (!scope_is_within(asked, most))
        return err_set(e, ERR_INVALID_SCOPE, "scope is wider than what this client may have");
    if (!scope_at_authorize(c->a, asked, &checked, e))
        return false;
    if (!scope_is_within(checked, most))
        return err_set(e, ERR_INVALID_SCOPE, "scope leaves nothing to use");
    *out = scope_keep_narrow(c->a, checked, most);
    return !str_is_absent(*out) || err_set(e, ERR_UNAVAILABLE, "out of memory");
}

static bool resource_read(const struct token_call *c, struct str scope, struct str *out,
                          struct err *e)
{
    struct str given;
    struct resource_ref ref;
    if (!wire_resource(c->form, &given, e) || !resource_parse(c->sv->config, given, &ref, e))
        return false;
    if (ref.kind != RESOURCE_OPEN)
        return resource_find(c->sv, c->a, c->client->org_id, &ref, out, e);
    *out = str_list_has(scope, STR("mcp:manage")) ? STR("management") : STR("hub");
    return true;
}

/* One standing grant for each client, resource and scope: tokens come and go beneath it. */
static struct str grant_id(const struct token_call *c, struct str resource, struct str scope)
{
    char hex[65];
    struct str parts[] = {c->client->id, STR("\n"), resource, STR("\n"), scope};
    struct sha256 digest = hash_sha256_of(parts, ARRAY_LEN(parts));
    hash_hex(&digest, hex);
    return arena_printf(c->a, "gnt_%.32s", hex);
}

/* What a client may have who asks so: everything is checked here but who it is. */
static bool standing_check(const struct token_call *c, struct oauth_grant *g, struct err *e)
{
    struct str scope;
    if (!scope_read(c, &scope, e) || !resource_read(c, scope, &g->resource, e) ||
        !token_person_check(c, g->org_id, g->user_id, NULL, e))
        return false;
    g->scope = scope_for_resource(c->a, scope, g->resource);
    g->id = str_is_absent(g->scope) ? STR_NONE : grant_id(c, g->resource, g->scope);
    if (str_is_absent(g->id))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    return scope_is_within(g->scope, c->client->scope) ||
           err_set(e, ERR_INVALID_SCOPE, "none of these scopes is for this resource");
}

static void *standing_load(struct services *sv unused_arg, struct row *row, void *arg,
                           struct err *e)
{
    struct arena *keep = row->keep;
    const struct token_call *c = arg;
    struct oauth_grant found = {.org_id = c->client->org_id,
                                .user_id = c->client->service_account_id,
                                .client_id = c->client->id};
    struct oauth_grant *g = arena_alloc(keep, sizeof(*g));
    if (!standing_check(c, &found, e))
        return NULL;
    if (g)
        *g = (struct oauth_grant){.id = arena_dup(keep, found.id),
                                  .org_id = arena_dup(keep, found.org_id),
                                  .user_id = arena_dup(keep, found.user_id),
                                  .client_id = arena_dup(keep, found.client_id),
                                  .resource = arena_dup(keep, found.resource),
                                  .scope = arena_dup(keep, found.scope),
                                  .redirect_host = STR("")};
    if (g && !str_is_absent(g->id) && !str_is_absent(g->org_id) && !str_is_absent(g->user_id) &&
        !str_is_absent(g->client_id) && !str_is_absent(g->resource) && !str_is_absent(g->scope))
        return g;
    err_set(e, ERR_UNAVAILABLE, "out of memory");
    return NULL;
}

/* Programs ask for the same again and again: what was found right is so until something changes. */
static struct oauth_grant *standing_find(const struct token_call *c, struct err *e)
{
    struct str resource;
    if (!wire_resource(c->form, &resource, e))
        return NULL;
    /* Digested: a client may say the same in as many ways as it likes, and at any length. */
    struct str parts[] = {c->client->id, STR("\n"), resource, STR("\n"),
                          wire_param(c->form, "scope")};
    struct sha256 digest = hash_sha256_of(parts, ARRAY_LEN(parts));
    struct token_call call = *c;
    const struct row_ask ask = {
        STR("standing"), {(const char *)digest.b, sizeof(digest.b)}, standing_load, &call};
    return row_cache_get(c->sv->rows, c->sv, c->a, &ask, e);
}

bool token_client_credentials(const struct token_call *c, struct issued *out, struct err *e)
{
    struct oauth_pair pair;
    if (str_is_absent(c->client->service_account_id) || str_is_absent(c->client->org_id) ||
        str_is_absent(c->client->scope))
        return err_set(e, ERR_UNAUTHORIZED_CLIENT, "this client may not use that grant type");
    struct oauth_grant *g = standing_find(c, e);
    if (!g || !issue_pair(c->a, g->scope, c->now, c->now, &pair, out, e))
        return false;
    pair.refresh_hash = STR_NONE;
    out->refresh = STR_NONE;
    return oauth_tokens_issue(c->sv->db, c->a, g, &pair, e);
}
