/* Sign-ins that wait for their second factor: a row for each, found by the SHA-256 of a cookie. */
#pragma once

#include "store/db.h"

struct pending_signin {
    struct str hash, user_id, method;
    struct str provider_id, org_id, provider_session; /* absent: none */
    struct str return_to;
    int64_t ends_at; /* of the session, as the provider says; 0: it says nothing */
    int64_t tries, created_at, expires_at;
};
/* Inserts, and removes what has expired. */
bool pending_signins_insert(struct db *db, struct arena *a, const struct pending_signin *p,
                            struct err *e) must_use;
/* One that has tries left. ERR_NOT_FOUND. */
bool pending_signins_find(struct db *db, struct arena *a, struct str hash, int64_t now,
                          struct pending_signin *out, struct err *e) must_use;
/* Counts a try before it is judged. ERR_NOT_FOUND: none is left, or it is too old. */
bool pending_signins_count(struct db *db, struct arena *a, struct str hash, int64_t now,
                           struct err *e) must_use;
/* Ends it. ERR_NOT_FOUND: somebody else did. */
bool pending_signins_take(struct db *db, struct arena *a, struct str hash, struct err *e) must_use;
