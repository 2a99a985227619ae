/* grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer with an identity assertion (ID-JAG:
 * draft-ietf-oauth-identity-assertion-authz-grant; MCP Enterprise-Managed Authorization): an
 * organization's own provider says which of its people a program of the organization acts for. */
#include "auth/jwks_cache.h"
#include "auth/oauth/failures.h"
#include "auth/oauth/resource_find.h"
#include "auth/oauth/scope.h"
#include "auth/oauth/token.h"
#include "auth/sso/oidc.h"
#include "base/limits.h"
#include "crypto/hash.h"
#include "store/oauth_assertions.h"

enum { SKEW_S = 60, AGE_MAX_S = 5 * 60, LIFE_MAX_S = 10 * 60, NAME_MAX_BYTES = 256 };

struct presented {
    const struct token_call *call;
    struct jws token;
    const struct jvalue *claims;
    struct oidc_provider provider;
    int64_t expires_s;
};

static bool refused(struct err *e, const char *why)
{
    return err_set(e, ERR_INVALID_GRANT, "the assertion %s", why);
}

/* ---- who signed it ---- */

static bool is_typed(struct str typ)
{
    return str_ieq(typ, STR("oauth-id-jag+jwt")) ||
           str_ieq(typ, STR("application/oauth-id-jag+jwt"));
}

static bool is_trusted(const struct sso_provider *row)
{
    struct err ignored;
    auto_free(jdoc_freep) struct jdoc *doc = jdoc_parse(row->config, &ignored);
    return row->is_enabled && str_eq(row->kind, STR("oidc")) && doc &&
           jv_bool(jv_get(jdoc_root(doc), "allow_id_jag"), false);
}

/* The provider of the client's organization that has this issuer and may speak so. */
static bool provider_find(struct presented *p, struct err *e)
{
    const struct token_call *c = p->call;
    struct str issuer = jv_get_str(p->claims, "iss");
    struct db_page page = {.limit = LIMIT_LIST};
    struct sso_provider *rows;
    size_t n;
    if (!sso_providers_list(c->sv->db, c->a, c->client->org_id, &page, &rows, &n, e))
        return false;
    for (size_t i = 0; i < n; i++) {
        struct err why;
        p->provider = (struct oidc_provider){.row = rows[i]};
        if (is_trusted(&rows[i]) &&
            oidc_config_parse(c->a, rows[i].kind, rows[i].config, &p->provider.config, &why) &&
            str_eq(p->provider.config.issuer, issuer))
            return true;
    }
    return refused(e, "is from nobody whom the organization trusts");
}

static bool signature_check(struct presented *p, struct err *e)
{
    const struct token_call *c = p->call;
    struct err why;
    if (!oidc_provider_complete(c->sv, c->a, &p->provider, &why)) {
        err_set(e, ERR_UNAVAILABLE, "the provider's keys cannot be found just now");
        return err_detail(e, "%s", why.msg);
    }
    if (!oidc_config_allows(&p->provider.config, p->token.alg))
        return refused(e, "is signed with an algorithm that the provider does not use");
    if (jwks_cache_verify(c->sv, c->a, p->provider.config.jwks_uri, &p->token, &why))
        return true;
    if (why.code == ERR_UNAUTHENTICATED)
        return refused(e, "is signed by none of the provider's keys");
    err_set(e, ERR_UNAVAILABLE, "the provider's keys cannot be read just now");
    return err_detail(e, "%s", why.msg);
}

/* ---- what it says ---- */

/* A NumericDate: a JSON number, perhaps with a fraction, in a range that seconds have. */
static bool date_read(const struct jvalue *claims, const char *name, int64_t *out)
{
    const struct jvalue *v = jv_get(claims, name);
    double d = jv_double(v, -1);
    *out = 0;
    if (!jv_is_number(v) || !(d >= 0) || d > 9007199254740992.0)
        return false;
    *out = (int64_t)d;
    return true;
}

static bool is_name(struct str s)
{
    return s.n > 0 && s.n <= NAME_MAX_BYTES;
}

/* A limit that cannot be read must not read as none. */
static bool is_text_or_absent(const struct jvalue *claims, const char *name)
{
    const struct jvalue *v = jv_get(claims, name);
    return !v || jv_is_string(v);
}

static bool claims_check(struct presented *p, struct err *e)
{
    const struct token_call *c = p->call;
    const struct jvalue *aud = jv_get(p->claims, "aud");
    struct str us = jv_is_array(aud) && jv_count(aud) == 1 ? jv_str(jv_at(aud, 0)) : jv_str(aud);
    int64_t now = c->now / 1000, issued;
    if (!str_eq(us, str_c(c->sv->config->origin)))
        return refused(e, "is for another server (aud)");
    if (!str_eq(jv_get_str(p->claims, "client_id"), c->client->id))
        return refused(e, "is for another client (client_id)");
    if (!date_read(p->claims, "exp", &p->expires_s) || p->expires_s <= now - SKEW_S)
        return refused(e, "has expired (exp)");
    if (!date_read(p->claims, "iat", &issued) || issued > now + SKEW_S ||
        issued < now - AGE_MAX_S - SKEW_S)
        return refused(e, "is too old, or from the future (iat)");
    if (p->expires_s - issued > LIFE_MAX_S)
        return refused(e, "lives too long (exp)");
    if (!is_name(jv_get_str(p->claims, "jti")) || !is_name(jv_get_str(p->claims, "sub")))
        return refused(e, "has no jti or no sub");
    if (!is_text_or_absent(p->claims, "scope") || !is_text_or_absent(p->claims, "resource"))
        return refused(e, "has a scope or a resource that is no text");
    if (jv_get(p->claims, "cnf"))
        return refused(e, "is bound to a key, whose proof this server cannot ask for (cnf)");
    return true;
}

/* None works twice. */
static bool use_up(const struct presented *p, struct err *e)
{
    const struct token_call *c = p->call;
    char name[65];
    struct str parts[] = {STR("id-jag\n"), p->provider.row.id, STR("\n"),
                          jv_get_str(p->claims, "jti")};
    struct sha256 digest = hash_sha256_of(parts, ARRAY_LEN(parts));
    hash_hex(&digest, name);
    if (oauth_assertions_use(c->sv->db, c->a, str_c(name), (p->expires_s + 2 * SKEW_S) * 1000,
                             c->now, e))
        return true;
    return e->code == ERR_CONFLICT ? refused(e, "was used before") : false;
}

/* ---- what it gives ---- */

/* The provider has proven the person as at a sign-in; the address counts where the provider speaks
 * for its domain. */
static bool person_find(const struct presented *p, struct str *user_id, struct err *e)
{
    const struct token_call *c = p->call;
    const struct identity who = {.provider_id = p->provider.row.id,
                                 .org_id = p->provider.row.org_id,
                                 .issuer = p->provider.config.issuer,
                                 .subject = jv_get_str(p->claims, "sub"),
                                 .email = jv_get_str(p->claims, "email"),
                                 .is_email_verified =
                                     jv_bool(jv_get(p->claims, "email_verified"), true)};
    if (identity_resolve(c->sv, c->a, &who, user_id, e))
        return true;
    const struct err why = *e;
    return why.code == ERR_FORBIDDEN ? err_set(e, ERR_INVALID_GRANT, "%s", why.msg) : false;
}

/* What the assertion allows and, of that, what is asked for. */
static bool scope_read(const struct presented *p, struct str *out, struct err *e)
{
    const struct token_call *c = p->call;
    struct str most = jv_get_str(p->claims, "scope"), asked = wire_param(c->form, "scope");
    if (str_is_absent(asked))
        asked = str_is_absent(most) ? STR(SCOPE_DEFAULT) : most;
    if (!str_is_absent(most) && !scope_is_within(asked, most))
        return err_set(e, ERR_INVALID_SCOPE, "scope is wider than the assertion's");
    return scope_at_authorize(c->a, asked, out, e);
}

static bool resource_read(const struct presented *p, struct str scope, struct str *out,
                          struct err *e)
{
    const struct token_call *c = p->call;
    struct str given = STR_NONE, claimed = jv_get_str(p->claims, "resource");
    struct resource_ref ref;
    if (!wire_resource(c->form, &given, e) ||
        !resource_parse(c->sv->config, str_is_absent(claimed) ? given : claimed, &ref, e))
        return false;
    *out = str_list_has(scope, STR("mcp:manage")) ? STR("management") : STR("hub");
    if (ref.kind != RESOURCE_OPEN && !resource_find(c->sv, c->a, c->client->org_id, &ref, out, e))
        return false;
    return str_is_absent(claimed) ||
           resource_agrees(c->sv, c->a, c->client->org_id, given, *out, e);
}

static struct str grant_id(const struct token_call *c, const struct oauth_grant *g)
{
    char hex[65];
    struct str parts[] = {STR("id-jag\n"), c->client->id, STR("\n"), g->user_id, STR("\n"),
                          g->resource,     STR("\n"),     g->scope,  STR("\n"),  g->proof.by};
    struct sha256 digest = hash_sha256_of(parts, ARRAY_LEN(parts));
    hash_hex(&digest, hex);
    return arena_printf(c->a, "gnt_%.32s", hex);
}

static bool grant(const struct presented *p, struct issued *out, struct err *e)
{
    const struct token_call *c = p->call;
    const struct proof proof = {.by = p->provider.row.id, .org_id = c->client->org_id};
    struct oauth_grant g = {.org_id = c->client->org_id,
                            .client_id = c->client->id,
                            .redirect_host = STR(""),
                            .proof = proof};
    struct oauth_pair pair;
    struct str scope = STR_NONE;
    if (!scope_read(p, &scope, e) || !resource_read(p, scope, &g.resource, e) || !use_up(p, e) ||
        !person_find(p, &g.user_id, e) || !token_person_check(c, g.org_id, g.user_id, &proof, e))
        return false;
    g.scope = scope_for_resource(c->a, scope, g.resource);
    g.id = str_is_absent(g.scope) ? STR_NONE : grant_id(c, &g);
    if (str_is_absent(g.id))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    if (!issue_pair(c->a, g.scope, c->now, c->now, &pair, out, e))
        return false;
    pair.refresh_hash = STR_NONE;
    out->refresh = STR_NONE;
    const struct wire_event event = {.method = "oauth_identity_assertion",
                                     .org_id = g.org_id,
                                     .user_id = g.user_id,
                                     .client_id = g.client_id,
                                     .name = g.id,
                                     .outcome = "ok"};
    return oauth_tokens_issue(c->sv->db, c->a, &g, &pair, e) && wire_audit(c->rq, &event, e);
}

bool token_identity_assertion(const struct token_call *c, struct issued *out, struct err *e)
{
    struct presented p = {.call = c};
    struct err why;
    struct str text = wire_param(c->form, "assertion");
    if (str_is_absent(text))
        return err_set(e, ERR_BAD_REQUEST, "assertion is missing");
    if (str_is_absent(c->client->org_id) || str_eq(c->client->auth_method, STR("none")))
        return err_set(e, ERR_UNAUTHORIZED_CLIENT, "this client may not use that grant type");
    if (!jws_parse(c->a, text, &p.token, &why))
        return refused(e, "is no signed token") || failures_count(c->rq, c->client->id, e);
    p.claims = jdoc_root(p.token.claims);
    bool is_good = is_typed(p.token.typ) || refused(e, "is of another type (typ)");
    is_good = is_good && provider_find(&p, e) && claims_check(&p, e) && signature_check(&p, e) &&
              grant(&p, out, e);
    jws_end(&p.token);
    return is_good || (e->code == ERR_INVALID_GRANT && failures_count(c->rq, c->client->id, e));
}
