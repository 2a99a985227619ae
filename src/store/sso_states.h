/* Sign-ins through a provider that have begun: each is good once, for ten minutes, in the browser
 * that began it. */
#pragma once

#include "store/db.h"

struct sso_state {
    struct str hash;         /* lower-case hex SHA-256 of the state or RelayState */
    struct str provider_id;  /* idp_ */
    struct str purpose;      /* "signin", "test", "link", "reauth" */
    struct str browser_hash; /* of the cookie that must come back with it; absent: none */
    struct str sealed;       /* nonce, verifier, request id */
    struct str return_to;    /* absent: none */
    struct str user_id;      /* who links, tests or proves themselves again; absent: nobody yet */
    int64_t created_at, expires_at;
};
/* Inserts, and removes what has expired. */
bool sso_states_insert(struct db *db, struct arena *a, const struct sso_state *s,
                       struct err *e) must_use;
/*
 * Uses one up: of this provider and this browser (absent: whatever was stored without one), not
 * expired. ERR_NOT_FOUND: unknown, used, expired, of another provider or browser.
 */
bool sso_states_take(struct db *db, struct arena *a, struct str hash, struct str provider_id,
                     struct str browser_hash, int64_t now, struct sso_state *out,
                     struct err *e) must_use;
