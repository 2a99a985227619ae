/* API keys: a prefix to recognise, a SHA-256 to find, limits that only narrow what the holder may
 * do. */
#pragma once

#include "store/db.h"

struct api_key {
    struct str id; /* key_ */
    struct str org_id, user_id, name;
    struct str prefix;         /* first characters of the key, to recognise it */
    struct str hash;           /* lower-case hex SHA-256 of the whole key */
    struct str scopes;         /* space separated; absent: all that the user may */
    struct str tools;          /* JSON array of names with PREFIX_* or absent */
    struct str connection_ids; /* JSON array or absent */
    int64_t expires_at;        /* 0: never */
    int64_t last_used_at, created_at;
    /* The organization whose provider proved whoever made it, and the provider; absent: none. */
    struct str proof_org_id, proof;
};
bool api_keys_insert(struct db *db, struct arena *a, const struct api_key *k,
                     struct err *e) must_use;
/* By hash, for authentication: expired and deleted keys are not found. Point look-up. */
bool api_keys_by_hash(struct db *db, struct arena *a, struct str hash_hex, int64_t now,
                      struct api_key *out, struct err *e) must_use;
bool api_keys_get(struct db *db, struct arena *a, struct str org_id, struct str id,
                  struct api_key *out, struct err *e) must_use;
/* user_id absent: every key of the organization (administrators). */
bool api_keys_list(struct db *db, struct arena *a, struct str org_id, struct str user_id,
                   const struct db_page *page, struct api_key **out, size_t *n,
                   struct err *e) must_use;
bool api_keys_count(struct db *db, struct arena *a, struct str org_id, struct str user_id,
                    int64_t *out, struct err *e) must_use;
/* Writes name, scopes, tools, connection_ids, expires_at of *k (all as given). */
bool api_keys_update(struct db *db, struct arena *a, const struct api_key *k, int64_t now,
                     struct err *e) must_use;
struct api_key_rotation {
    struct str org_id, id;
    struct str prefix, hash;        /* of the new secret */
    int64_t old_until;              /* ms; the old one works until then; 0: no longer */
    struct str proof_org_id, proof; /* as of a key, from now on; proof_org_id absent: both stay */
};
/* A new secret for the same key. ERR_NOT_FOUND. */
bool api_keys_rotate(struct db *db, struct arena *a, const struct api_key_rotation *r, int64_t now,
                     struct err *e) must_use;
bool api_keys_delete(struct db *db, struct arena *a, struct str org_id, struct str id, int64_t now,
                     struct err *e) must_use;
/* At most one write per key and minute is worth it; the caller sees to that. Does not invalidate.
 */
bool api_keys_touch(struct db *db, struct arena *a, struct str org_id, struct str id, int64_t now,
                    struct err *e) must_use;
