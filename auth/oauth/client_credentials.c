/* grant_type=client_credentials (RFC 6749 section 4.4): a program of an organization as its own
 * service account. */
#include "auth/oauth/resource_find.h"
#include "auth/oauth/scope.h"
#include "auth/oauth/token.h"
#include "auth/token_check.h"
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

bool token_client_credentials(const struct token_call *c, struct issued *out, struct err *e)
{
    struct str scope, resource;
    struct oauth_pair pair;
    struct oauth_grant g = {.org_id = c->client->org_id,
                            .user_id = c->client->service_account_id,
                            .client_id = c->client->id,
                            .redirect_host = STR("")};
    if (str_is_absent(g.user_id) || str_is_absent(g.org_id) || str_is_absent(c->client->scope))
        return err_set(e, ERR_UNAUTHORIZED_CLIENT, "this client may not use that grant type");
    if (!scope_read(c, &scope, e) || !resource_read(c, scope, &resource, e) ||
        !token_person_check(c, g.org_id, g.user_id, NULL, e))
        return false;
    g.resource = resource;
    g.scope = scope_for_resource(c->a, scope, resource);
    g.id = str_is_absent(g.scope) ? STR_NONE : grant_id(c, resource, g.scope);
    if (str_is_absent(g.id))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    if (!scope_is_within(g.scope, c->client->scope))
        return err_set(e, ERR_INVALID_SCOPE, "none of these scopes is for this resource");
    if (!issue_pair(c->a, g.scope, c->now, c->now, &pair, out, e))
        return false;
    pair.refresh_hash = STR_NONE;
    out->refresh = STR_NONE;
    return oauth_tokens_issue(c->sv->db, c->a, &g, &pair, e);
}
