/* Where a provider's endpoints are. */
#include "auth/jwks_cache.h"
#include "auth/sso/oidc_parts.h"
#include "base/limits.h"
#include "io/http_guard.h"

static bool endpoint_check(const struct services *sv, const char *name, struct str url,
                           struct err *e)
{
    struct err why;
    if (str_is_absent(url) || (url.n <= LIMIT_URL && http_guard_url(sv->guard, url, &why)))
        return true;
    if (url.n > LIMIT_URL)
        return err_set(e, ERR_UPSTREAM, "the provider's %s is too long", name);
    return err_set(e, why.code, "the provider's %s: %s", name, why.msg);
}

static void fill(struct str *member, const struct jvalue *metadata, const char *name)
{
    struct str found = jv_get_str(metadata, name);
    if (str_is_absent(*member) && found.n > 0)
        *member = found;
}

bool oidc_provider_complete(struct services *sv, struct arena *a, struct oidc_provider *p,
                            struct err *e)
{
    struct oidc_config *c = &p->config;
    const struct jvalue *metadata;
    if (!oidc_config_parse(a, p->row.kind, p->row.config, c, e))
        return false;
    bool has_all = !str_is_absent(c->authorization_endpoint) && !str_is_absent(c->token_endpoint) &&
                   (c->is_github || !str_is_absent(c->jwks_uri));
    if (!has_all) {
        if (!endpoint_check(sv, "issuer", c->issuer, e) ||
            !jwks_cache_metadata(sv, a, c->issuer, &metadata, e))
            return false;
        fill(&c->authorization_endpoint, metadata, "authorization_endpoint");
        fill(&c->token_endpoint, metadata, "token_endpoint");
        fill(&c->jwks_uri, metadata, "jwks_uri");
        fill(&c->userinfo_endpoint, metadata, "userinfo_endpoint");
        p->has_iss = jv_get_bool(metadata, "authorization_response_iss_parameter_supported", false);
        if (str_is_absent(c->authorization_endpoint) || str_is_absent(c->token_endpoint) ||
            str_is_absent(c->jwks_uri))
            return err_set(e, ERR_UPSTREAM,
                           "the provider's metadata lacks authorization_endpoint, token_endpoint "
                           "or jwks_uri");
    }
    return endpoint_check(sv, "authorization_endpoint", c->authorization_endpoint, e) &&
           endpoint_check(sv, "token_endpoint", c->token_endpoint, e) &&
           endpoint_check(sv, "jwks_uri", c->jwks_uri, e) &&
           endpoint_check(sv, "userinfo_endpoint", c->userinfo_endpoint, e) &&
           endpoint_check(sv, "emails_endpoint", c->emails_endpoint, e) &&
           endpoint_check(sv, "groups_endpoint", c->groups_endpoint, e);
}
