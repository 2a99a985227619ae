/* Signing in through an OpenID Connect provider or GitHub, and the identities of an account. */
#pragma once

#include "io/http.h"

/* GET /auth/oidc/:provider/start?return_to=&login_hint= */
void page_oidc_start(struct http_request *rq);
/* GET /auth/oidc/:provider/callback */
void page_oidc_callback(struct http_request *rq);
/* GET and POST /account/identities */
void page_identities_get(struct http_request *rq);
void page_identities_post(struct http_request *rq);
