/* Who speaks SCIM: an organization's directory, by its token. */
#pragma once

#include "core/caller.h"
#include "core/services.h"
#include "io/http.h"
#include "store/scim_tokens.h"

#define SCIM_TOKEN_PREFIX "tulle_scim_"

/* rq->user at /scim; the caller first, so that whoever knows only callers finds the organization.
 */
struct scim_client {
    struct caller caller; /* org_id alone: it is nobody's, and may nothing elsewhere */
    struct scim_token token;
};
/* bearer: as sent, without "Bearer "; absent: none. ERR_UNAUTHENTICATED: unknown, expired or
 * revoked; and what the store says. Waits. */
bool scim_token_check(struct http_request *rq, struct str bearer, struct scim_client **out,
                      struct err *e) must_use;
