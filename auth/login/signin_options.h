/*
 * Which ways lead in, for the sign-in page: for nobody in particular (the first step), or for an
 * address (the second). What depends on the address depends on its domain only, never on whether
 * there is such an account.
 */
#pragma once

#include "base/err.h"
#include "io/http.h"

struct signin_button {
    struct str label; /* "Continue with Google" */
    struct str path;  /* of this server, without query: "/auth/oidc/idp_.../start" */
    struct str kind;  /* "google", "github", "oidc", "saml": its style */
};
struct signin_options {
    bool has_password;
    bool has_magic_link; /* sign-in by a link in a mail */
    bool has_reset;      /* "Forgot password?" */
    bool has_signup;     /* /signup is open */
    bool has_passkey;
    struct signin_button *buttons; /* providers that apply, in the arena */
    size_t n_buttons;
    struct str forced_path; /* the address's domain must use this provider; absent: it may choose */
};
/* email absent: before an address is known. Waits (store). ERR_UNAVAILABLE and the store's. */
bool signin_options_get(struct http_request *rq, struct str email, struct signin_options *out,
                        struct err *e) must_use;
