/* From a code to an identity: the token endpoint, the ID token, the user information. */
#include "auth/downstream/grant.h"
#include "auth/jwks_cache.h"
#include "auth/sso/oidc_claims.h"
#include "auth/sso/oidc_parts.h"
#include "auth/sso/provider_secret.h"
#include "base/clock.h"
#include "base/limits.h"

bool oidc_token_call(struct services *sv, struct arena *a, const struct oidc_provider *p,
                     const struct oidc_kept *kept, struct str code, struct str *access_token,
                     struct str *id_token, struct err *e)
{
    auto_free(secret_end) struct secret secret = {0};
    struct downstream_tokens_got got = {0};
    struct buf form;
    struct downstream_grant g = {.client = {.client_id = p->config.client_id,
                                            .client_secret = STR(""),
                                            .auth_method = p->config.token_auth},
                                 .token_endpoint = p->config.token_endpoint};
    if (!str_is_absent(p->row.sealed_secret)) {
        if (!provider_secret_open(sv, a, p->row.org_id, p->row.id, p->row.sealed_secret, &secret,
                                  e))
            return false;
        g.client.client_secret = secret_reveal(&secret);
    }
    buf_init(&form, LIMIT_OAUTH_DOCUMENT);
    downstream_form_add(&form, "grant_type", STR("authorization_code"));
    downstream_form_add(&form, "code", code);
    downstream_form_add(&form, "redirect_uri", oidc_redirect_uri(sv, a, p->row.id));
    downstream_form_add(&form, "code_verifier", kept->verifier);
    bool is_good = downstream_token_request(sv, a, &g, &form, &got, e);
    if (form.p)
        secret_wipe(form.p, form.n);
    buf_end(&form);
    if (is_good) {
        *access_token = got.access_token;
        *id_token = got.id_token;
        return true;
    }
    if (e->code == ERR_INVALID_CLIENT)
        return err_set(e, ERR_UPSTREAM,
                       "The identity provider does not accept Tulle's client id or secret.");
    if (e->code == ERR_INVALID_GRANT)
        return err_set(e, ERR_UPSTREAM, "The identity provider does not accept its own code.");
    return false;
}

bool oidc_api_get(struct services *sv, struct arena *a, struct str url, struct str access_token,
                  struct downstream_answer *out, struct err *e)
{
    const struct downstream_post get = {.authorization =
                                            arena_printf(a, "Bearer %.*s", STR_FMT(access_token))};
    if (str_is_absent(get.authorization))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    if (!downstream_fetch(sv, a, url, &get, out, e))
        return false;
    return (out->status == 200 && out->value) ||
           err_set(e, ERR_UPSTREAM, "The identity provider answered %d where it says who you are.",
                   out->status);
}

static bool signature_check(struct services *sv, struct arena *a, const struct oidc_provider *p,
                            const struct jws *token, struct err *e)
{
    if (jwks_cache_verify(sv, a, p->config.jwks_uri, token, e))
        return true;
    return e->code == ERR_UNAUTHENTICATED
               ? err_set(e, ERR_UPSTREAM,
                         "The identity provider's answer was refused: its ID token is not signed "
                         "by one of its keys.")
               : false;
}

/* The claims before the signature: what cannot be right costs no fetch. */
static bool token_check(struct services *sv, struct arena *a, const struct oidc_provider *p,
                        const struct oidc_expected *x, const struct jws *token,
                        struct sso_steps *steps, struct err *e)
{
    return sso_step_end(steps, "ID token", oidc_claims_check(token, x, e), e) &&
           sso_step_end(steps, "signature", signature_check(sv, a, p, token, e), e);
}

/* Asked where the ID token leaves something out. */
static bool userinfo_get(struct services *sv, struct arena *a, const struct oidc_provider *p,
                         const struct jvalue *claims, struct str access_token,
                         const struct jvalue **out, struct err *e)
{
    struct downstream_answer answer = {0};
    const char *email = arena_cstr(a, p->config.email_claim);
    const char *groups = arena_cstr(a, p->config.groups_claim);
    bool has_all = email && groups && jv_get(claims, email) &&
                   (jv_get(claims, groups) || jv_get(claims, "_claim_names"));
    *out = NULL;
    if (str_is_absent(p->config.userinfo_endpoint) || has_all)
        return true;
    if (!oidc_api_get(sv, a, p->config.userinfo_endpoint, access_token, &answer, e))
        return false;
    *out = answer.json;
    return (answer.json && str_eq(jv_get_str(answer.json, "sub"), jv_get_str(claims, "sub"))) ||
           err_set(e, ERR_UPSTREAM,
                   "The identity provider's answer was refused: its user information is about "
                   "somebody else.");
}

static void jws_close(void *token)
{
    jws_end(token);
}

/* *out lives as long as the arena. */
static bool token_read(struct arena *a, struct str text, struct jws **out, struct err *e)
{
    struct err ignored;
    *out = arena_alloc(a, sizeof(**out));
    if (!*out)
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    if (str_is_absent(text))
        return err_set(e, ERR_UPSTREAM, "The identity provider gave no ID token.");
    if (!jws_parse(a, text, *out, &ignored))
        return err_set(e, ERR_UPSTREAM,
                       "The identity provider's answer was refused: its ID token is no signed "
                       "token.");
    if (arena_on_end(a, jws_close, *out))
        return true;
    jws_end(*out);
    return err_set(e, ERR_UNAVAILABLE, "out of memory");
}

bool oidc_redeem(struct services *sv, struct arena *a, const struct oidc_provider *p,
                 const struct oidc_kept *kept, struct str code, struct oidc_return *out,
                 struct err *e)
{
    struct sso_steps *steps = &out->steps;
    struct str access_token = STR_NONE, id_token = STR_NONE;
    struct jws *token = NULL;
    const struct jvalue *userinfo = NULL;
    if (!sso_step_end(steps, "token request",
                      oidc_token_call(sv, a, p, kept, code, &access_token, &id_token, e), e) ||
        !sso_step_end(steps, "ID token", token_read(a, id_token, &token, e), e) || !token)
        return false;
    const struct oidc_expected x = {.config = &p->config,
                                    .nonce = kept->nonce,
                                    .access_token = access_token,
                                    .now_s = clock_wall_ms() / 1000,
                                    .authenticated_since_s = kept->is_reauth ? kept->begun_s : 0};
    const struct jvalue *claims = jdoc_root(token->claims);
    return token_check(sv, a, p, &x, token, steps, e) &&
           sso_step_end(steps, "user information",
                        userinfo_get(sv, a, p, claims, access_token, &userinfo, e), e) &&
           oidc_claims_identity(a, &p->config, claims, userinfo, &out->identity, e) &&
           oidc_groups_fetch(sv, a, p, claims, access_token, out, e);
}
