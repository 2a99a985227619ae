/*
 * Between the first factor and the second: there is no session yet, only a row of the store, found
 * by a cookie of its own, for LIMIT_FACTOR_WAIT_MS and LIMIT_FACTOR_TRIES codes.
 */
#pragma once

#include "auth/login/signin.h"
#include "io/forms.h"
#include "store/pending_signins.h"

/* Does this person have a second factor? Waits (store). */
bool second_is_needed(struct http_request *rq, struct str user_id, bool *out,
                      struct err *e) must_use;
/* Remembers who proved the first, and sets the cookie. return_to: already safe. */
bool second_begin(struct http_request *rq, const struct signin *s, struct str return_to,
                  struct err *e) must_use;
/* The sign-in that this browser is in the middle of. ERR_UNAUTHENTICATED: none, too old, or out of
 * tries. */
bool second_find(struct http_request *rq, struct pending_signin *out, struct err *e) must_use;
/* A code of the app, or a recovery code. ERR_UNAUTHENTICATED, ERR_RATE_LIMITED: codes_prove. */
bool second_prove_code(struct http_request *rq, const struct pending_signin *p, struct str code,
                       struct err *e) must_use;
/* A passkey's assertion, as its form brings it. ERR_UNAUTHENTICATED, ERR_BAD_REQUEST. */
bool second_prove_passkey(struct http_request *rq, const struct pending_signin *p,
                          const struct form *form, struct err *e) must_use;
/* Both are proved: the session starts (signin_complete), and *next is where the person goes on. */
bool second_finish(struct http_request *rq, const struct pending_signin *p, struct str *next,
                   struct err *e) must_use;
