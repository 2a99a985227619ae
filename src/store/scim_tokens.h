/* Tokens of organizations' directories. Only their SHA-256 is kept. */
#pragma once

#include "store/db.h"

struct scim_token {
    struct str id; /* scim_ */
    struct str org_id, name;
    struct str prefix;     /* first characters, to recognise it */
    struct str hash;       /* hex SHA-256 of the whole token */
    bool is_owners;        /* made by an owner: may touch owners while that is one */
    struct str created_by; /* user; absent: gone */
    int64_t expires_at, last_used_at, created_at; /* expires_at 0: never */
};
bool scim_tokens_insert(struct db *db, struct arena *a, const struct scim_token *t,
                        struct err *e) must_use;
/* Expired ones are not found. Point look-up. */
bool scim_tokens_by_hash(struct db *db, struct arena *a, struct str hash_hex, int64_t now,
                         struct scim_token *out, struct err *e) must_use;
bool scim_tokens_list(struct db *db, struct arena *a, struct str org_id, const struct db_page *page,
                      struct scim_token **out, size_t *n, struct err *e) must_use;
bool scim_tokens_count(struct db *db, struct arena *a, struct str org_id, int64_t *out,
                       struct err *e) must_use;
/* ERR_NOT_FOUND. */
bool scim_tokens_delete(struct db *db, struct arena *a, struct str org_id, struct str id,
                        struct err *e) must_use;
/* At most one write per token and minute is worth it; the caller sees to that. */
bool scim_tokens_touch(struct db *db, struct arena *a, struct str org_id, struct str id,
                       int64_t now, struct err *e) must_use;
