/* Ending tokens and asking about them, by their client (RFC 7009, RFC 7662). */
#pragma once

#include "io/http.h"

/* POST /oauth/revoke: an access token alone, a refresh token with its family. Unknown and foreign
 * ones: 200, nothing happens. */
void revoke_post(struct http_request *rq);
/* POST /oauth/introspect: confidential clients, about their own tokens; everything else is
 * {"active":false}. */
void introspect_post(struct http_request *rq);
