/* A provider ends the sessions that it has proved (OpenID Connect Back-Channel Logout 1.0). */
#pragma once

#include "base/err.h"
#include "io/http.h"

/*
 * POST /auth/oidc/:provider/backchannel_logout, form `logout_token`: 200 when the token is the
 * provider's own, fresh and unused, whether or not anybody was signed in (section 2.7); else 400
 * with RFC 6749's error form, which says no more than that.
 */
void oidc_logout_post(struct http_request *rq);
