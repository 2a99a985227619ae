/* The claims of an ID token, judged (OpenID Connect Core section 3.1.3.7), and what they say about
 * a person. Pure. */
#pragma once

#include "auth/sso/identity.h"
#include "auth/sso/oidc_config.h"
#include "auth/sso/steps.h"
#include "crypto/jws.h"

struct oidc_expected {
    const struct oidc_config *config;
    struct str nonce;
    struct str access_token; /* for at_hash */
    int64_t now_s;
    int64_t authenticated_since_s; /* auth_time must be at least this; 0: whenever */
};
/* ERR_UPSTREAM: one sentence says which rule the token breaks; it quotes nothing of it. */
bool oidc_claims_check(const struct jws *token, const struct oidc_expected *x,
                       struct err *e) must_use;
/* The same of a logout token (OpenID Connect Back-Channel Logout 1.0 section 2.6), its signature
 * and whether it was used before aside. */
bool oidc_claims_check_logout(const struct jws *token, const struct oidc_expected *x,
                              struct err *e) must_use;
/*
 * What an ID token and (userinfo NULL: none) the user information say: everything of *out but
 * provider_id, org_id and issuer. Groups only when they are there; see oidc_groups_fetch. Spans of
 * the documents. ERR_UNAVAILABLE: memory.
 */
bool oidc_claims_identity(struct arena *a, const struct oidc_config *c, const struct jvalue *claims,
                          const struct jvalue *userinfo, struct identity *out,
                          struct err *e) must_use;
/* A list of groups: texts, or one text, or objects with an id. False: memory. */
bool oidc_groups_add(struct arena *a, const struct jvalue *value, struct identity *out) must_use;
