/* Keys that sign, sealed: of each kind the youngest has no end, older ones are published on. */
#pragma once

#include "store/db.h"

struct signing_key {
    struct str kid, alg; /* alg: ES256, RS256 */
    struct str sealed;   /* PKCS #8 under the installation's keys */
    int64_t created_at, active_at;
    int64_t expires_at; /* 0: the youngest of its kind */
};
/* Those that are still published, the ones that sign last first; ES256 before RS256. */
bool signing_keys_list(struct db *db, struct arena *a, int64_t now, struct signing_key **out,
                       size_t *n, struct err *e) must_use;
/* Nothing happens where there is a youngest of this kind. */
bool signing_keys_insert_first(struct db *db, struct arena *a, const struct signing_key *k,
                               struct err *e) must_use;
/* The youngest of its kind from now on; the one before it ends at old_expires_at. */
bool signing_keys_follow(struct db *db, struct arena *a, const struct signing_key *k,
                         int64_t old_expires_at, struct err *e) must_use;
/* The same, if old_kid is still the youngest. ERR_NOT_FOUND: somebody was faster. */
bool signing_keys_succeed(struct db *db, struct arena *a, const struct signing_key *k,
                          struct str old_kid, int64_t old_expires_at, struct err *e) must_use;
bool signing_keys_reseal(struct db *db, struct arena *a, struct str kid, struct str sealed,
                         struct err *e) must_use;
