/* Private to auth/saml/flow*.c. */
#pragma once

#include "auth/saml/flow.h"

#define SAML_STATE  STR("saml-state") /* purposes of sealing keys */
#define SAML_TICKET STR("saml-ticket")

/* The request's id that belongs to a RelayState: who knows it needs no table to find the request.
 * STR_NONE: memory. */
struct str saml_request_id(struct arena *a, struct str handle) must_use;
/* The hash of the browser's cookie; "" when it has none. STR_NONE: memory. */
struct str saml_browser_hash(struct http_request *rq) must_use;
/* Decodes standard base64 with white space in it, within LIMIT_SAML_BYTES. STR_NONE: it is none. */
struct str saml_base64(struct arena *a, struct str text) must_use;
