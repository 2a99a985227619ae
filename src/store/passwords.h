/* Password hashes of people. */
#pragma once

#include "store/db.h"

/* ERR_NOT_FOUND: the person has none. */
bool passwords_get(struct db *db, struct arena *a, struct str user_id, struct str *hash,
                   struct err *e) must_use;
/*
 * Sets or replaces the hash and, in the same transaction, ends all sessions of the person but
 * `keep_session_id` (absent: all) and all that was granted to programs, and uses up their password
 * links.
 */
bool passwords_put(struct db *db, struct arena *a, struct str user_id, struct str hash,
                   struct str keep_session_id, int64_t now, struct err *e) must_use;
/* The same in a batch, no session kept. */
void passwords_add_put(struct db_batch *b, struct str user_id, struct str hash, int64_t now);
/* The hash alone, for a batch that makes the person too. */
void passwords_add(struct db_batch *b, struct str user_id, struct str hash, int64_t now);
