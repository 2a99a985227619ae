/* Dry runs of sign-in providers in a browser (ORGANIZATION_SSO_TEST). */
#pragma once

#include "io/http.h"

/* GET /auth/sso/test/:test: begin, or what was seen. */
void page_sso_test_get(struct http_request *rq);
/* GET /auth/sso/test/:test/start: goes to the provider. */
void page_sso_test_start(struct http_request *rq);
