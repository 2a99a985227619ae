/* Private to auth/sso/oidc_*.c. */
#pragma once

#include "auth/downstream/fetch.h"
#include "auth/sso/oidc.h"

/* What was kept while the person was away. */
struct oidc_kept {
    struct str nonce, verifier, issuer, context;
    int64_t begun_s;
    bool is_reauth;
};
/* A provider that people sign in through, with its addresses. ERR_NOT_FOUND: there is none, it is
 * switched off, or SAML's; else as oidc_provider_complete. */
bool oidc_provider_load(struct services *sv, struct arena *a, struct str id,
                        struct oidc_provider *out, struct err *e) must_use;
/* The code's tokens, judged, as an identity. */
bool oidc_redeem(struct services *sv, struct arena *a, const struct oidc_provider *p,
                 const struct oidc_kept *kept, struct str code, struct oidc_return *out,
                 struct err *e) must_use;
/* The same at GitHub. */
bool oidc_redeem_github(struct services *sv, struct arena *a, const struct oidc_provider *p,
                        const struct oidc_kept *kept, struct str code, struct oidc_return *out,
                        struct err *e) must_use;
/* The token endpoint's answer to a code: *id_token is absent when there is none. */
bool oidc_token_call(struct services *sv, struct arena *a, const struct oidc_provider *p,
                     const struct oidc_kept *kept, struct str code, struct str *access_token,
                     struct str *id_token, struct err *e) must_use;
/*
 * Groups that did not fit into the token (OpenID Connect Core section 5.6.2, Entra's overage) are
 * fetched from where it says, if that is the provider's own address. What cannot be fetched leaves
 * the person's groups as they are.
 */
bool oidc_groups_fetch(struct services *sv, struct arena *a, const struct oidc_provider *p,
                       const struct jvalue *claims, struct str access_token,
                       struct oidc_return *out, struct err *e) must_use;
/* GET with the access token; out->status 200 and JSON, or ERR_UPSTREAM. */
bool oidc_api_get(struct services *sv, struct arena *a, struct str url, struct str access_token,
                  struct downstream_answer *out, struct err *e) must_use;
