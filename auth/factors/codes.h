/*
 * Codes as a second factor: those of an authenticator app (TOTP, RFC 6238: each works once) and
 * recovery codes (80 random bits, hashed, each works once). Failures are counted for each account.
 */
#pragma once

#include "base/err.h"
#include "io/http.h"
#include "store/totp.h"

/* Who sets an app up, and in which browser session: in no other is the seed shown or confirmed,
 * lest somebody finishes what somebody else began. */
struct codes_enrolment {
    struct str user_id, session_id;
};
/* A new seed for a person, not confirmed yet: its base32 text. ERR_CONFLICT: there is an app
 * already. Waits (store). */
bool codes_app_start(struct http_request *rq, const struct codes_enrolment *who, struct str *seed,
                     struct err *e) must_use;
/* The seed that waits for its first code. ERR_NOT_FOUND: none does here. */
bool codes_app_pending(struct http_request *rq, const struct codes_enrolment *who, struct str *seed,
                       struct err *e) must_use;
/* otpauth:// for an app: what its QR code holds. */
bool codes_app_uri(struct http_request *rq, struct str email, struct str seed, struct str *uri,
                   struct err *e) must_use;
/* The first code of the app. ERR_UNAUTHENTICATED: wrong. ERR_RATE_LIMITED. ERR_NOT_FOUND: there is
 * nothing to confirm. */
bool codes_app_confirm(struct http_request *rq, const struct codes_enrolment *who, struct str code,
                       struct err *e) must_use;
/*
 * A code of the app or a recovery code proves a person, once. *is_recovery: it was one of those.
 * ERR_UNAUTHENTICATED: wrong, used, or the person has none; audited. ERR_RATE_LIMITED: wait first.
 */
bool codes_prove(struct http_request *rq, struct str user_id, struct str code, bool *is_recovery,
                 struct err *e) must_use;
/* Ten new recovery codes; those of before are worthless. codes: LIMIT_RECOVERY_CODES texts in the
 * arena, to be shown once. */
bool codes_recovery_make(struct http_request *rq, struct str user_id, struct str *codes,
                         struct err *e) must_use;
