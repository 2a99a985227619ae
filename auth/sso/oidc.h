/*
 * Tulle as a client of OpenID Connect providers and of GitHub: there and back. State is 256 random
 * bits, good once, for ten minutes, in the browser that began; a nonce, PKCE (S256) and the issuer
 * are always checked, each provider has an address of its own to come back to (mix-up). Source:
 * OpenID Connect Core, RFC 6749, 7636, 9207, 9700.
 */
#pragma once

#include "auth/sso/identity.h"
#include "auth/sso/oidc_config.h"
#include "auth/sso/steps.h"
#include "io/forms.h"
#include "store/sso_providers.h"

/* A provider with all of its addresses. */
struct oidc_provider {
    struct sso_provider row;
    struct oidc_config config; /* endpoints filled in by discovery */
    bool has_iss;              /* it says who answers (RFC 9207) */
};
/*
 * Finds the provider's addresses: as configured, else by discovery (cached). Every one must be
 * https, or allowed by EGRESS_ALLOW. ERR_EGRESS, ERR_UPSTREAM, ERR_TIMEOUT; ERR_INVALID: the
 * configuration. Also for checking a configuration before it is stored: p->row.kind and .config.
 */
bool oidc_provider_complete(struct services *sv, struct arena *a, struct oidc_provider *p,
                            struct err *e) must_use;

/* Why somebody goes to a provider. */
struct oidc_errand {
    const char *purpose;   /* signin, test, link, reauth */
    struct str return_to;  /* absent: none */
    struct str user_id;    /* who links, tests or proves themselves again; absent: nobody yet */
    struct str context;    /* given back: the id of a test; absent: none */
    struct str login_hint; /* the address that was typed; absent: none */
};
/*
 * Begins: *url is where the browser goes, whose cookie is set on the answer. ERR_NOT_FOUND: no such
 * provider, disabled, or of another kind (SAML).
 */
bool oidc_begin(struct http_request *rq, struct str provider_id, const struct oidc_errand *errand,
                struct str *url, struct err *e) must_use;

/* What came back. */
struct oidc_return {
    struct str purpose, return_to, user_id, context; /* of the errand */
    struct oidc_provider provider;
    struct identity identity;
    const char *method;     /* for signin_complete: "oidc", "github" */
    struct sso_steps steps; /* what was seen, also when it fails */
    bool has_errand;        /* the state was good: purpose and the like are set */
};
/*
 * Judges the answer that the browser brought back and redeems its code. ERR_BAD_REQUEST: it belongs
 * to nothing that was begun in this browser, or is ill-formed. ERR_ACCESS_DENIED: the provider says
 * no. ERR_UPSTREAM, ERR_TIMEOUT, ERR_EGRESS: the provider cannot be asked, or its answer is not to
 * be trusted; the message may be shown.
 */
bool oidc_finish(struct http_request *rq, struct str provider_id, const struct form *params,
                 struct oidc_return *out, struct err *e) must_use;

/* The address to register at a provider: BASE_URL/auth/oidc/ID/callback. STR_NONE: memory. */
struct str oidc_redirect_uri(const struct services *sv, struct arena *a,
                             struct str provider_id) must_use;
