/* Clients that prove themselves by a signed assertion (private_key_jwt: RFC 7523 section 3, OpenID
 * Connect Core section 9). */
#pragma once

#include "auth/oauth/wire.h"
#include "store/oauth_clients.h"

#define ASSERTION_TYPE "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

/* Who it says it is: its subject. STR_NONE: no assertion. Proves nothing. */
struct str assertion_subject(struct arena *a, struct str assertion);
/*
 * Signed by one of the client's keys, for this server, fresh, and not used before.
 * ERR_INVALID_CLIENT otherwise. Waits (store; network where a document's keys are read again).
 */
bool assertion_check(struct http_request *rq, struct str assertion, struct oauth_client *client,
                     struct err *e) must_use;
