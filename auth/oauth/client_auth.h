/* Which client speaks at the token, revocation and introspection endpoints (RFC 6749 section 2.3).
 */
#pragma once

#include "auth/oauth/wire.h"
#include "store/oauth_clients.h"

/*
 * Basic, a secret in the body, or (public clients) the client_id alone: the way the client was
 * registered for, and only one. ERR_INVALID_CLIENT: unknown, wrong, or another way;
 * ERR_BAD_REQUEST: two ways at once. Waits (store).
 */
bool client_authenticate(struct http_request *rq, const struct form *form, struct oauth_client *out,
                         struct err *e) must_use;
