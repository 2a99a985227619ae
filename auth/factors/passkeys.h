/*
 * Passkeys with their storage: challenges that are good once for one purpose, person and browser;
 * registration; proof by assertion. A passkey that verified its user is two factors by itself.
 * Source: WebAuthn level 2.
 */
#pragma once

#include "base/err.h"
#include "io/forms.h"
#include "io/http.h"
#include "json/jout.h"
#include "store/passkeys.h"

/* Who and what for. browser: what names the browser, the csrf_token of its forms. */
struct passkey_ask {
    const char *purpose;    /* "register", "signin", "second", "again" */
    struct str user_id;     /* absent: whoever it turns out to be (signin) */
    struct str email, name; /* to register */
    struct str browser;
};
/* Can there be passkeys here? Not when BASE_URL's host is an IP address. */
bool passkeys_are_possible(const struct http_request *rq);
/*
 * Makes a challenge and writes the options for navigator.credentials.create ("register") or .get,
 * bytes as base64url. ERR_CONFLICT: a person has LIMIT_PASSKEYS already. ERR_UNPROCESSABLE: no
 * passkeys here. Waits (store).
 */
bool passkeys_options(struct http_request *rq, const struct passkey_ask *ask, struct jout *j,
                      struct err *e) must_use;
/* Stores the credential that a form brings (client_data, attestation). ERR_BAD_REQUEST,
 * ERR_UNAUTHENTICATED, ERR_CONFLICT: it is registered already. */
bool passkeys_register(struct http_request *rq, const struct passkey_ask *ask,
                       const struct form *form, struct str name, struct err *e) must_use;
/*
 * Judges the assertion that a form brings (credential_id, client_data, authenticator_data,
 * signature, user_handle). *who: its person. Without user_id in `ask` the authenticator must have
 * verified them. *is_verified: it did. ERR_BAD_REQUEST; ERR_UNAUTHENTICATED (audited).
 */
bool passkeys_prove(struct http_request *rq, const struct passkey_ask *ask, const struct form *form,
                    struct str *who, bool *is_verified, struct err *e) must_use;
