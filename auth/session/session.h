/*
 * Browser sessions: a random cookie whose SHA-256 is a row of the store. Cookie `__Host-tulle`
 * (Secure) on https, `tulle-dev` on a loopback http BASE_URL; HttpOnly, SameSite=Lax, Path=/. A new
 * id at every sign-in (session fixation), ended at sign-out, password change, or revocation.
 * Source: contract.md "HTTP"; reference: OWASP session management.
 */
#pragma once

#include "base/err.h"
#include "core/services.h"
#include "io/http.h"

struct browser_session {
    struct str id; /* ses_...: names it in lists; not the cookie */
    struct str user_id, email, name;
    bool is_operator;
    struct str org_id;     /* the organization chosen last; absent: none */
    struct str proof;      /* what proved the person: "password", later a provider's id */
    int64_t proved_at;     /* ms: for step-up */
    struct str csrf_token; /* what forms carry as csrf_token and scripts as X-CSRF-Token; bound to
                              this session */
};

/* The session of a request's cookie. ERR_UNAUTHENTICATED: none, unknown, expired, revoked, or its
 * user disabled. Waits (store). */
bool session_find(struct http_request *rq, struct browser_session *out, struct err *e) must_use;
/* Starts a session for a person who has just proved who they are; sets the cookie on the answer;
 * ends the request's old one. */
bool session_start(struct http_request *rq, struct str user_id, struct str proof,
                   struct err *e) must_use;
/* Ends the request's session and clears the cookie. */
bool session_end(struct http_request *rq, struct err *e) must_use;

/*
 * CSRF for forms, signed in or not (pre-session forms carry a token bound to a cookie of their
 * own): the value for a hidden field `csrf_token`, and its check on POST (form field or
 * X-CSRF-Token header) together with the Origin. ERR_FORBIDDEN.
 */
bool csrf_token_for(struct http_request *rq, struct str *token, struct err *e) must_use;
bool csrf_check(struct http_request *rq, struct str given, struct err *e) must_use;
