/* ID tokens (OpenID Connect Core section 2) and the userinfo endpoint (section 5.3). */
#pragma once

#include "auth/oauth/token.h"

struct id_claims {
    struct str org_id, user_id, nonce, access_token;
    int64_t auth_time; /* ms; 0: not known */
};
/* Signed with ES256, or RS256 where the client registered for that. Waits (store). */
bool id_token_make(const struct token_call *c, const struct id_claims *claims, struct str *out,
                   struct err *e) must_use;
/* GET, POST /oauth/userinfo */
void userinfo_answer(struct http_request *rq);
