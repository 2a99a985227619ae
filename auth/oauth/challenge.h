/* WWW-Authenticate on /mcp*: where the metadata of what was asked for is, and which scope it takes
 * (RFC 9728 section 5.1, RFC 6750 section 3). */
#pragma once

#include "io/http.h"

enum challenge {
    CHALLENGE_NONE_SENT,    /* no token: no error is named */
    CHALLENGE_INVALID,      /* error="invalid_token" */
    CHALLENGE_INSUFFICIENT, /* error="insufficient_scope" */
};
/* Sets the header. For paths that no MCP client asks, without the metadata's address. */
void challenge_set(struct http_request *rq, enum challenge kind);
