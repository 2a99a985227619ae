/* The token endpoint (OAuth 2.1 sections 3.2, 4.1.3, 4.3). */
#pragma once

#include "auth/oauth/issue.h"
#include "store/oauth_clients.h"

/* POST /oauth/token */
void token_post(struct http_request *rq);

/* One request there, its client already authenticated. */
struct token_call {
    struct http_request *rq;
    struct services *sv;
    struct arena *a;
    const struct form *form;
    const struct oauth_client *client;
    int64_t now;
};
/* grant_type=refresh_token (refresh.c). Waits (store). */
bool token_refresh(const struct token_call *c, struct issued *out, struct err *e) must_use;
/* grant_type=client_credentials (client_credentials.c). Waits (store). */
bool token_client_credentials(const struct token_call *c, struct issued *out,
                              struct err *e) must_use;
/* grant_type=urn:ietf:params:oauth:grant-type:device_code (device_grant.c). Waits (store). */
bool token_device(const struct token_call *c, struct issued *out, struct err *e) must_use;
/* grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer (identity_assertion.c). Waits (store;
 * network for the provider's keys). */
bool token_identity_assertion(const struct token_call *c, struct issued *out,
                              struct err *e) must_use;
/* Does the organization allow the client, is the person still an active member, and what their
 * sign-in proved (NULL: there was none) still enough for the organization? ERR_INVALID_GRANT
 * otherwise. Waits (store). */
bool token_person_check(const struct token_call *c, struct str org_id, struct str user_id,
                        const struct proof *proof, struct err *e) must_use;
