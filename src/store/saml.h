/* What SAML must remember: messages that were used, and tickets on their way through the browser.
 */
#pragma once

#include "store/db.h"

/* Notes that a message was used, and forgets what has expired. ERR_CONFLICT: it was used before. */
bool saml_seen_insert(struct db *db, struct arena *a, struct str provider_id, struct str hash,
                      int64_t expires_at, int64_t now, struct err *e) must_use;

struct saml_ticket {
    struct str hash;        /* lower-case hex SHA-256 of the ticket */
    struct str provider_id; /* idp_ */
    struct str sealed;
    int64_t expires_at;
};
/* Inserts, and removes what has expired. */
bool saml_tickets_insert(struct db *db, struct arena *a, const struct saml_ticket *t, int64_t now,
                         struct err *e) must_use;
/* Looks at one without using it. ERR_NOT_FOUND: unknown, used, expired, another provider's. */
bool saml_tickets_get(struct db *db, struct arena *a, struct str hash, struct str provider_id,
                      int64_t now, struct saml_ticket *out, struct err *e) must_use;
/* Uses one up. ERR_NOT_FOUND as above. */
bool saml_tickets_take(struct db *db, struct arena *a, struct str hash, struct str provider_id,
                       int64_t now, struct err *e) must_use;

/* How the provider calls a person of ours (identities.subject). ERR_NOT_FOUND. */
bool saml_subject_of(struct db *db, struct arena *a, struct str provider_id, struct str user_id,
                     struct str *subject, struct err *e) must_use;
