/*
 * Sign-in with e-mail address and password. The answer and the work are the same whether or not
 * there is such an account; failures (never successes) are counted for each account and each public
 * address and make the next attempt wait.
 */
#pragma once

#include "base/err.h"
#include "io/http.h"

/*
 * Judges; *user_id: who it is. No session starts: signin_complete (signin.h) does that. Waits:
 * store, offload.
 * ERR_UNAUTHENTICATED: wrong, unknown, disabled, or without a password. ERR_RATE_LIMITED: wait
 * first. ERR_UNAVAILABLE.
 */
bool password_signin(struct http_request *rq, struct str email, struct str password,
                     struct str *user_id, struct err *e) must_use;
/*
 * The same judgement for somebody signed in who must prove it again (password change): another
 * name in the audit.
 */
bool password_prove(struct http_request *rq, struct str email, struct str password,
                    struct str *user_id, struct err *e) must_use;
