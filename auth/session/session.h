/*
 * Browser sessions: a random cookie whose SHA-256 is a row of the store. Cookie `__Host-tulle`
 * (Secure) on https, `tulle-dev` on a loopback http BASE_URL; HttpOnly, SameSite=Lax, Path=/. A new
 * id at every sign-in (session fixation), ended at sign-out, password change, or revocation.
 * Source: contract.md "HTTP"; reference: OWASP session management.
 */
#pragma once

#include "base/err.h"
#include "base/proof.h"
#include "core/services.h"
#include "io/http.h"

struct browser_session {
    struct str id; /* ses_...: names it in lists; not the cookie */
    struct str user_id, email, name;
    bool is_operator;
    struct str org_id;       /* the organization chosen last; absent: none */
    struct str proof;        /* what proved the person: a method ("password"), or a provider's id */
    struct str proof_org_id; /* the organization whose provider that is; absent: the installation's,
                                or Tulle itself */
    struct str provider_session; /* what the provider calls its session; absent: none */
    bool is_two_factor;          /* two factors were proved */
    int64_t proved_at;           /* ms: for step-up */
    int64_t ends_at;             /* ms: at the latest */
    struct str csrf_token; /* what forms carry as csrf_token and scripts as X-CSRF-Token; bound to
                              this session */
};

/* What the session proves, for auth/login/signin_policy.h. */
static inline struct proof session_proves(const struct browser_session *s)
{
    return (struct proof){s->proof, s->proof_org_id, s->is_two_factor};
}
/* The session of a request's cookie. ERR_UNAUTHENTICATED: none, unknown, expired, revoked, or its
 * user disabled. Waits (store). */
bool session_find(struct http_request *rq, struct browser_session *out, struct err *e) must_use;
/* Who has just proved who they are, and how: as in struct browser_session. */
struct session_proof {
    struct str user_id, proof, proof_org_id, provider_session;
    bool is_two_factor;
    int64_t ends_at; /* ms: at the latest; 0: as long as sessions are */
};
/* Starts a session; sets the cookie on the answer; ends the request's old one. People sign in by
 * auth/login/signin.h, which calls this. */
bool session_start(struct http_request *rq, const struct session_proof *p, struct err *e) must_use;
/* The person of the request's session has proved it again just now: a new cookie, the same session.
 * is_two_factor: with two factors from now on; it never goes back. */
bool session_prove(struct http_request *rq, const struct browser_session *s, bool is_two_factor,
                   struct err *e) must_use;
/* Has the person proved it within LIMIT_FRESH_MS? What dangerous acts ask. */
bool session_is_fresh(const struct browser_session *s);
/* Ends the request's session and clears the cookie. */
bool session_end(struct http_request *rq, struct err *e) must_use;

/*
 * CSRF for forms, signed in or not (pre-session forms carry a token bound to a cookie of their
 * own): the value for a hidden field `csrf_token`, and its check on POST (form field or
 * X-CSRF-Token header) together with the Origin. ERR_FORBIDDEN.
 */
bool csrf_token_for(struct http_request *rq, struct str *token, struct err *e) must_use;
bool csrf_check(struct http_request *rq, struct str given, struct err *e) must_use;
