/* Passkeys of people, and the challenges that are out. */
#pragma once

#include "store/db.h"

struct passkey {
    struct str id; /* pk_ */
    struct str user_id;
    struct str credential_id, public_key, aaguid; /* base64url */
    int64_t sign_count;
    bool is_backup_eligible, is_backed_up;
    struct str name;
    int64_t created_at;
    int64_t last_used_at; /* 0: never */
};
/* ERR_CONFLICT: the credential is somebody's already. */
bool passkeys_insert(struct db *db, struct arena *a, const struct passkey *p,
                     struct err *e) must_use;
bool passkeys_by_credential(struct db *db, struct arena *a, struct str credential_id,
                            struct passkey *out, struct err *e) must_use;
/* Oldest first; at most LIMIT_PASSKEYS. */
bool passkeys_list(struct db *db, struct arena *a, struct str user_id, struct passkey **out,
                   size_t *n, struct err *e) must_use;
/*
 * After a good assertion. ERR_CONFLICT: the counter did not grow (a copy of the key, or another
 * sign-in with it came first); counters that stay zero are no counters.
 */
bool passkeys_used(struct db *db, struct arena *a, const struct passkey *p, int64_t sign_count,
                   bool is_backed_up, int64_t now, struct err *e) must_use;
/* ERR_NOT_FOUND: no such passkey of this person. */
bool passkeys_rename(struct db *db, struct arena *a, struct str user_id, struct str id,
                     struct str name, struct err *e) must_use;
bool passkeys_delete(struct db *db, struct arena *a, struct str user_id, struct str id,
                     struct err *e) must_use;

/* The person's random name towards authenticators; made from `fresh` when there is none. */
bool passkey_handles_get(struct db *db, struct arena *a, struct str user_id, struct str fresh,
                         struct str *handle, struct err *e) must_use;

struct passkey_challenge {
    struct str hash, purpose;
    struct str user_id; /* absent: nobody yet */
    struct str browser_hash;
    int64_t created_at, expires_at;
};
/* Inserts, and removes what has expired. */
bool passkey_challenges_insert(struct db *db, struct arena *a, const struct passkey_challenge *c,
                               struct err *e) must_use;
/* Uses one up: whether it fits or not, it is gone. ERR_NOT_FOUND: unknown, used, expired, or for
 * another purpose, person or browser. */
bool passkey_challenges_take(struct db *db, struct arena *a, const struct passkey_challenge *c,
                             int64_t now, struct err *e) must_use;
