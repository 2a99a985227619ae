/* What people granted to OAuth clients, the consents that are remembered, and authorization codes.
 */
#pragma once

#include "base/proof.h"
#include "store/db.h"

struct oauth_grant {
    struct str id; /* gnt_ */
    struct str org_id, user_id, client_id;
    struct str resource; /* conn_..., hub, management */
    struct str scope;    /* separated by spaces */
    struct str redirect_host;
    int64_t created_at, last_used_at, revoked_at; /* 0: never */
    struct str client_name, user_email;           /* read back by lists only */
    struct proof proof;                           /* of who granted it */
};
bool oauth_grants_get(struct db *db, struct arena *a, struct str id, struct oauth_grant *out,
                      struct err *e) must_use;
/* user_id absent: of anybody. Revoked ones are not listed. */
bool oauth_grants_list(struct db *db, struct arena *a, struct str org_id, struct str user_id,
                       const struct db_page *page, struct oauth_grant **out, size_t *n,
                       struct err *e) must_use;
bool oauth_grants_count(struct db *db, struct arena *a, struct str org_id, struct str user_id,
                        int64_t *out, struct err *e) must_use;
/* Ends the family and its remembered consent. user_id absent: whoever's. ERR_NOT_FOUND: none, or
 * revoked already. Invalidates. */
bool oauth_grants_revoke(struct db *db, struct arena *a, struct str org_id, struct str user_id,
                         struct str id, int64_t now, struct err *e) must_use;
/* Ends the family alone, if there is one; the consent stays. Invalidates. */
bool oauth_grants_end(struct db *db, struct arena *a, struct str id, int64_t now,
                      struct err *e) must_use;
/* Adds to a batch: every grant and unused code of a person ends. Invalidates. */
void oauth_grants_add_end_of_user(struct db_batch *b, struct str user_id, int64_t now);

/* Adds to a batch: somebody has consented to the client, which stays from now on. */
void oauth_grants_add_consented(struct db_batch *b, struct str client_id, int64_t now);

struct oauth_consent {
    struct str org_id, user_id, client_id, resource, redirect_host, scope;
};
/* The scope that was consented to. ERR_NOT_FOUND. */
bool oauth_consents_get(struct db *db, struct arena *a, const struct oauth_consent *c,
                        struct str *scope, struct err *e) must_use;

struct oauth_code {
    struct str hash;       /* hex SHA-256 */
    struct str request_id; /* of the consent: unique */
    struct str org_id, user_id, client_id, grant_id, redirect_uri, challenge, resource, scope;
    int64_t created_at, expires_at;
    int64_t used_at;   /* 0: not yet */
    struct str nonce;  /* for the ID token; absent: none */
    int64_t auth_time; /* ms: when the person proved who they are */
    struct proof proof;
};
/* Writes the code, remembers the consent (redirect_host absent: nobody was asked), and marks the
 * client as used: one transaction. ERR_CONFLICT: this consent gave its code already, or the person
 * is no member any more. */
bool oauth_codes_insert(struct db *db, struct arena *a, const struct oauth_code *c,
                        struct str redirect_host, struct err *e) must_use;
bool oauth_codes_get(struct db *db, struct arena *a, struct str hash, struct oauth_code *out,
                     struct err *e) must_use;
/* Makes it unusable; again is fine. */
bool oauth_codes_burn(struct db *db, struct arena *a, struct str hash, int64_t now,
                      struct err *e) must_use;
