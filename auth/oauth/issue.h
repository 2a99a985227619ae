/* Token pairs: making them, answering them, and what an old refresh token keeps of the answer to
 * it. */
#pragma once

#include "auth/oauth/wire.h"
#include "store/oauth_tokens.h"

#define ACCESS_PREFIX  "tulle_at_"
#define REFRESH_PREFIX "tulle_rt_"

/* Milliseconds. int64_t: a quarter of a year does not fit an int. */
#define ACCESS_LIFE_MS      (INT64_C(60) * 60 * 1000)
#define REFRESH_IDLE_MS     (INT64_C(30) * 24 * 60 * 60 * 1000)
#define REFRESH_ABSOLUTE_MS (INT64_C(90) * 24 * 60 * 60 * 1000)
#define REPEAT_MIN_MS       (INT64_C(30) * 1000)
#define REPEAT_MAX_MS       (INT64_C(24) * 60 * 60 * 1000)

struct issued {
    struct str access, refresh; /* the tokens; refresh absent: none */
    struct str id_token;        /* absent: none */
    struct str scope;           /* of the access token */
    int64_t access_expires_at;
    struct str
        request; /* what was asked for with the refresh token, to compare a repetition with */
};
/* A fresh pair of a grant made at granted_at: `pair` is for the store, `out` for the client. */
bool issue_pair(struct arena *a, struct str scope, int64_t granted_at, int64_t now,
                struct oauth_pair *pair, struct issued *out, struct err *e) must_use;
/* 200 with the tokens. */
void issue_answer(struct http_request *rq, const struct issued *t, int64_t now);

/*
 * The answer sealed under a key derived from the old token by HKDF: whoever has only the store
 * cannot open it. Opening fails when the token or a bit is wrong.
 */
bool issue_seal(struct arena *a, struct str old_token, const struct issued *t, struct str *sealed,
                struct err *e) must_use;
bool issue_open(struct arena *a, struct str old_token, struct str sealed, struct issued *out,
                struct err *e) must_use;
/*
 * May the same answer be repeated to a used token? Until its successor is first used, at least 30
 * s, at most 24 h (design "Tokens"). Pure.
 */
bool issue_may_repeat(const struct oauth_refresh *old, int64_t now) must_use;
