/*
 * The one way from a proof of who somebody is to a browser session: password, link, provider,
 * passkey, invitation, setup. What an organization demands beyond the proof (its own provider, a
 * second factor) is judged here and nowhere else.
 */
#pragma once

#include "base/err.h"
#include "io/http.h"

struct signin {
    struct str user_id;
    const char *method;     /* for the audit: password, magic, oidc, github, saml, passkey ... */
    struct str provider_id; /* idp_...; absent: Tulle itself proved it */
    struct str org_id;      /* whose provider it is; absent: the installation's, or Tulle */
    struct str provider_session; /* what the provider calls it (sid, SessionIndex); absent: none */
    bool is_two_factor;          /* two factors were proved already */
    int64_t session_ends_at;     /* ms: the provider's session is over then; 0: it does not say */
};
/*
 * Starts the session and sets *next, the path to redirect to: return_to (return_to_safe is applied)
 * or a page that asks for what is still missing. Audits. Waits (store). ERR_FORBIDDEN: the person
 * is disabled, or must sign in another way (the message says how). ERR_UNAVAILABLE and the store's.
 */
bool signin_complete(struct http_request *rq, const struct signin *s, struct str return_to,
                     struct str *next, struct err *e) must_use;
