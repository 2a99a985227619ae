#include "auth/sso/oidc_config.h"

#include "base/limits.h"
#include "base/text.h"
#include "base/uri.h"
#include "crypto/jws.h"

#define GITHUB_SITE "https://github.com"
#define GITHUB_API  "https://api.github.com"

static bool no_memory(struct err *e)
{
    return err_set(e, ERR_UNAVAILABLE, "out of memory");
}

static bool text_get(const struct jvalue *json, const char *name, size_t max, struct str *out,
                     struct err *e)
{
    const struct jvalue *v = jv_get(json, name);
    *out = STR_NONE;
    if (!v || jv_is_null(v))
        return true;
    *out = jv_str(v);
    if (jv_is_string(v) && out->n > 0 && out->n <= max && !text_has_control(*out))
        return true;
    return err_set(e, ERR_INVALID, "%s is expected to be text of 1 to %zu bytes", name, max);
}

static bool url_get(const struct jvalue *json, const char *name, struct str *out, struct err *e)
{
    struct uri u;
    if (!text_get(json, name, LIMIT_URL, out, e))
        return false;
    if (str_is_absent(*out) || (uri_parse(*out, &u) && uri_is_http(&u) && u.host.n > 0 &&
                                str_is_absent(u.userinfo) && str_is_absent(u.fragment)))
        return true;
    return err_set(e, ERR_INVALID, "%s is \"%.*s\", expected an https address", name,
                   STR_FMT(str_slice(*out, 0, 200)));
}

static bool endpoints_read(const struct jvalue *json, struct oidc_config *c, struct err *e)
{
    return url_get(json, "issuer", &c->issuer, e) &&
           url_get(json, "authorization_endpoint", &c->authorization_endpoint, e) &&
           url_get(json, "token_endpoint", &c->token_endpoint, e) &&
           url_get(json, "jwks_uri", &c->jwks_uri, e) &&
           url_get(json, "userinfo_endpoint", &c->userinfo_endpoint, e) &&
           url_get(json, "emails_endpoint", &c->emails_endpoint, e) &&
           url_get(json, "groups_endpoint", &c->groups_endpoint, e);
}

/* Text, or an array of texts, to one list. */
static bool scopes_read(struct arena *a, const struct jvalue *json, const char *usual,
                        struct str *out, struct err *e)
{
    const struct jvalue *v = jv_get(json, "scopes");
    if (!jv_is_array(v)) {
        if (!text_get(json, "scopes", LIMIT_SCOPE, out, e))
            return false;
        if (str_is_absent(*out))
            *out = str_c(usual);
        return true;
    }
    struct buf list;
    buf_init(&list, LIMIT_SCOPE);
    bool is_good = jv_count(v) > 0;
    for (size_t i = 0; i < jv_count(v); i++) {
        struct str word = jv_str(jv_at(v, i));
        is_good = is_good && word.n > 0 && !text_has_control(word) &&
                  str_find_char(word, ' ') == SIZE_MAX;
        if (i)
            buf_add_char(&list, ' ');
        buf_add(&list, word);
    }
    *out = is_good && buf_ok(&list) ? arena_dup(a, buf_str(&list)) : STR_NONE;
    buf_end(&list);
    return !str_is_absent(*out) ||
           err_set(e, ERR_INVALID, "scopes is expected to be a list of words, at most %d bytes",
                   LIMIT_SCOPE);
}

static bool claims_read(const struct jvalue *json, struct oidc_config *c, struct err *e)
{
    const struct jvalue *claims = jv_get(json, "claims");
    if (claims && !jv_is_object(claims) && !jv_is_null(claims))
        return err_set(e, ERR_INVALID, "claims is expected to be {email?, name?, groups?}");
    if (!text_get(claims, "email", LIMIT_NAME, &c->email_claim, e) ||
        !text_get(claims, "name", LIMIT_NAME, &c->name_claim, e) ||
        !text_get(claims, "groups", LIMIT_NAME, &c->groups_claim, e))
        return false;
    c->email_claim = str_is_absent(c->email_claim) ? STR("email") : c->email_claim;
    c->name_claim = str_is_absent(c->name_claim) ? STR("name") : c->name_claim;
    c->groups_claim = str_is_absent(c->groups_claim) ? STR("groups") : c->groups_claim;
    return true;
}

static bool algorithms_read(const struct jvalue *json, struct oidc_config *c, struct err *e)
{
    const struct jvalue *list = jv_get(json, "algorithms");
    if (!list || jv_is_null(list))
        return true;
    bool is_good = jv_is_array(list) && jv_count(list) > 0;
    for (size_t i = 0; is_good && i < jv_count(list); i++)
        is_good = jws_is_algorithm(jv_str(jv_at(list, i)));
    c->algorithms = list;
    return is_good || err_set(e, ERR_INVALID,
                              "algorithms is expected to be a list of RS256 to RS512, PS256 to "
                              "PS512, ES256 to ES512, EdDSA");
}

static bool token_auth_read(const struct jvalue *json, const char *usual, struct oidc_config *c,
                            struct err *e)
{
    if (!text_get(json, "token_auth", LIMIT_NAME, &c->token_auth, e))
        return false;
    if (str_is_absent(c->token_auth))
        c->token_auth = str_c(usual);
    return str_eq(c->token_auth, STR("client_secret_basic")) ||
           str_eq(c->token_auth, STR("client_secret_post")) || str_eq(c->token_auth, STR("none")) ||
           err_set(e, ERR_INVALID,
                   "token_auth is \"%.*s\", expected client_secret_basic, client_secret_post or "
                   "none",
                   STR_FMT(str_slice(c->token_auth, 0, 100)));
}

static struct str or_else(struct str given, struct str usual)
{
    return str_is_absent(given) ? usual : given;
}

/* Endpoints without an issuer: it is who answers at the first of them. */
static bool issuer_derive(struct arena *a, struct oidc_config *c, struct err *e)
{
    struct uri u;
    if (!str_is_absent(c->issuer))
        return true;
    if (!uri_parse(c->authorization_endpoint, &u))
        return err_set(e, ERR_INVALID, "authorization_endpoint is no address");
    c->issuer = uri_origin(a, &u);
    return !str_is_absent(c->issuer) || no_memory(e);
}

static bool github_finish(struct arena *a, struct oidc_config *c, struct err *e)
{
    c->authorization_endpoint =
        or_else(c->authorization_endpoint, STR(GITHUB_SITE "/login/oauth/authorize"));
    c->token_endpoint = or_else(c->token_endpoint, STR(GITHUB_SITE "/login/oauth/access_token"));
    c->userinfo_endpoint = or_else(c->userinfo_endpoint, STR(GITHUB_API "/user"));
    c->emails_endpoint = or_else(c->emails_endpoint, STR(GITHUB_API "/user/emails"));
    c->style = or_else(c->style, STR("github"));
    return issuer_derive(a, c, e);
}

static bool is_template(struct str issuer)
{
    /* Entra's addresses for any tenant name no one issuer. */
    return str_find_char(issuer, '{') != SIZE_MAX ||
           str_find(issuer, STR("/common/")) != SIZE_MAX ||
           str_find(issuer, STR("/organizations/")) != SIZE_MAX ||
           str_find(issuer, STR("/consumers/")) != SIZE_MAX;
}

static bool openid_finish(struct arena *a, struct oidc_config *c, struct err *e)
{
    bool has_all = !str_is_absent(c->authorization_endpoint) && !str_is_absent(c->token_endpoint) &&
                   !str_is_absent(c->jwks_uri);
    if (str_is_absent(c->issuer) && !has_all)
        return err_set(
            e, ERR_INVALID,
            "issuer is missing (or authorization_endpoint, token_endpoint and jwks_uri)");
    if (!str_is_absent(c->issuer) && is_template(c->issuer))
        return err_set(e, ERR_INVALID,
                       "issuer is for any tenant: name yours, for example "
                       "https://login.microsoftonline.com/TENANT_ID/v2.0");
    c->style = or_else(c->style, STR("oidc"));
    return issuer_derive(a, c, e);
}

bool oidc_config_read(struct arena *a, struct str kind, const struct jvalue *json,
                      struct oidc_config *out, struct err *e)
{
    *out = (struct oidc_config){.is_github = str_eq(kind, STR("github"))};
    bool is_github = out->is_github;
    if (!jv_is_object(json))
        return err_set(e, ERR_INVALID, "the configuration is expected to be an object");
    if (!endpoints_read(json, out, e) ||
        !text_get(json, "client_id", LIMIT_NAME * 4, &out->client_id, e) ||
        !token_auth_read(json, is_github ? "client_secret_post" : "client_secret_basic", out, e) ||
        !scopes_read(a, json, is_github ? "read:user user:email" : "openid email profile",
                     &out->scopes, e) ||
        !claims_read(json, out, e) || !algorithms_read(json, out, e) ||
        !text_get(json, "hosted_domain", LIMIT_EMAIL, &out->hosted_domain, e) ||
        !text_get(json, "tenant", LIMIT_NAME, &out->tenant, e) ||
        !text_get(json, "style", LIMIT_NAME, &out->style, e))
        return false;
    if (str_is_absent(out->client_id))
        return err_set(e, ERR_INVALID, "client_id is missing");
    if (!is_github && !str_list_has(out->scopes, STR("openid")))
        return err_set(e, ERR_INVALID, "scopes is \"%.*s\", expected openid among them",
                       STR_FMT(out->scopes));
    return is_github ? github_finish(a, out, e) : openid_finish(a, out, e);
}

static void doc_free(void *doc)
{
    jdoc_free(doc);
}

bool oidc_config_parse(struct arena *a, struct str kind, struct str text, struct oidc_config *out,
                       struct err *e)
{
    struct jdoc *doc = jdoc_parse(text, e);
    if (!doc || !arena_on_end(a, doc_free, doc)) {
        jdoc_free(doc);
        return err_set(e, ERR_INTERNAL, "a provider's configuration is damaged");
    }
    return oidc_config_read(a, kind, jdoc_root(doc), out, e);
}

bool oidc_config_allows(const struct oidc_config *c, struct str algorithm)
{
    if (!c->algorithms)
        return str_list_has(STR(OIDC_ALGORITHMS), algorithm);
    for (size_t i = 0; i < jv_count(c->algorithms); i++)
        if (str_eq(jv_str(jv_at(c->algorithms, i)), algorithm))
            return true;
    return false;
}
