/* Access and refresh tokens: SHA-256 to find them, the grant that is their family. */
#pragma once

#include "store/oauth_grants.h"

/* A fresh pair. Hashes are hex SHA-256. */
struct oauth_pair {
    struct str access_hash;
    struct str access_scope;
    int64_t access_expires_at;
    struct str refresh_hash;
    int64_t refresh_expires_at;
    int64_t now;
};
/*
 * Redeems a code: uses it up, makes the grant and its first pair, in one transaction.
 * ERR_NOT_FOUND: used or expired meanwhile (another redemption was faster).
 */
bool oauth_tokens_redeem(struct db *db, struct arena *a, const struct oauth_code *code,
                         struct str redirect_host, const struct oauth_pair *p,
                         struct err *e) must_use;

/* Adds to a batch: the grant of a code (or of what is like one) and its first pair. */
void oauth_tokens_add_first(struct db_batch *b, const struct oauth_code *code,
                            struct str redirect_host, const struct oauth_pair *p);
/*
 * An access token of a standing grant, which is made if it is not there or was revoked; a revoked
 * one's tokens go first. g->last_used_at: as this function left it, so that a grant that it knows
 * to stand is not looked for again; 0 at first.
 */
bool oauth_tokens_issue(struct db *db, struct arena *a, struct oauth_grant *g,
                        const struct oauth_pair *p, struct err *e) must_use;

struct oauth_refresh {
    struct str hash, org_id, grant_id;
    int64_t created_at, expires_at, used_at; /* used_at 0: not yet */
    struct str answer;                       /* sealed; absent before the use */
    bool has_successor;
    int64_t successor_used_at;
};
bool oauth_tokens_refresh_get(struct db *db, struct arena *a, struct str hash,
                              struct oauth_refresh *out, struct err *e) must_use;
/*
 * Uses a refresh token up and makes its successor, in one transaction; `answer` is kept with it.
 * ERR_NOT_FOUND: another use was faster, or the family ended.
 */
bool oauth_tokens_rotate(struct db *db, struct arena *a, const struct oauth_refresh *old,
                         const struct oauth_pair *p, struct str answer, struct err *e) must_use;
/* One more access token of a family that is not revoked. ERR_NOT_FOUND. */
bool oauth_tokens_add_access(struct db *db, struct arena *a, struct str org_id, struct str grant_id,
                             const struct oauth_pair *p, struct err *e) must_use;

struct oauth_access {
    struct str grant_id, org_id, user_id, client_id, resource, scope;
    int64_t created_at, expires_at;
    struct proof proof; /* of the grant */
};
/* Not expired, its family not revoked. Point look-up. ERR_NOT_FOUND. */
bool oauth_tokens_access_get(struct db *db, struct arena *a, struct str hash, int64_t now,
                             struct oauth_access *out, struct err *e) must_use;
/* Ends one access token, if there is one. Invalidates. */
bool oauth_tokens_access_end(struct db *db, struct arena *a, struct str hash,
                             struct err *e) must_use;
