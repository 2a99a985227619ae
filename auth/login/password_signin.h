/*
 * Sign-in with e-mail address and password. The answer and the work are the same whether or not
 * there is such an account; failures (never successes) are counted for each account and each public
 * address and make the next attempt wait.
 */
#pragma once

#include "base/err.h"
#include "io/http.h"

/*
 * Judges and, when it is right, starts a session (auth/session/session.h). Waits: store, offload.
 * ERR_UNAUTHENTICATED: wrong, unknown, disabled, or without a password. ERR_RATE_LIMITED: wait
 * first. ERR_UNAVAILABLE.
 */
bool password_signin(struct http_request *rq, struct str email, struct str password,
                     struct err *e) must_use;
/*
 * The same judgement for somebody signed in who must prove it again (password change); no session
 * starts.
 */
bool password_prove(struct http_request *rq, struct str email, struct str password,
                    struct str *user_id, struct err *e) must_use;
