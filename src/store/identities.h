/* Who somebody is at an identity provider: (provider, issuer, subject), never an address. */
#pragma once

#include "store/db.h"

struct identity_row {
    struct str id;          /* idn_ */
    struct str provider_id; /* idp_ */
    struct str issuer, subject;
    struct str org_id; /* whose provider it is; absent: the installation's */
    struct str user_id;
    struct str email;         /* as the provider said last; absent: it did not */
    struct str provider_name; /* read back only */
    int64_t created_at, last_used_at;
};
/* ERR_NOT_FOUND. */
bool identities_find(struct db *db, struct arena *a, struct str provider_id, struct str issuer,
                     struct str subject, struct identity_row *out, struct err *e) must_use;
/* Remembers that it signed in just now, and with which address. */
bool identities_touch(struct db *db, struct arena *a, struct str id, struct str email, int64_t now,
                      struct err *e) must_use;
/* A person's, oldest first; at most LIMIT_LIST. */
bool identities_list_of_user(struct db *db, struct arena *a, struct str user_id,
                             struct identity_row **out, size_t *n, struct err *e) must_use;
/* ERR_NOT_FOUND, also for another person's. The sessions that its provider proved for the person
 * end. */
bool identities_delete(struct db *db, struct arena *a, struct str user_id, struct str id,
                       struct err *e) must_use;
/* Has the person an identity at this provider? */
bool identities_has(struct db *db, struct arena *a, struct str user_id, struct str provider_id,
                    bool *out, struct err *e) must_use;

/* What comes into being together with an identity. */
struct identity_new {
    const struct identity_row *row;
    struct str email, name; /* of an account that is made; email absent: row->user_id exists */
    bool is_email_verified; /* of that account */
    struct str join_role;   /* becomes a member of row->org_id with it; absent: is one, or needs
                               none */
    struct str invitation;  /* inv_: accepted by this; absent: none */
    bool is_known;          /* row is there already: only the membership is new */
};
/* All or nothing. ERR_CONFLICT: the identity or the address was taken meanwhile, or the invitation
 * is not open any more. */
bool identities_make(struct db *db, struct arena *a, const struct identity_new *n,
                     struct err *e) must_use;

/* A proven domain of an organization: *join_role absent when nobody joins by it. ERR_NOT_FOUND. */
bool identities_domain(struct db *db, struct arena *a, struct str org_id, struct str domain,
                       struct str *join_role, struct err *e) must_use;
/* An open invitation for an address, into org_id or (absent) anywhere: *id and *role.
 * ERR_NOT_FOUND. */
bool identities_invitation(struct db *db, struct arena *a, struct str org_id, struct str email,
                           int64_t now, struct str *id, struct str *role, struct err *e) must_use;
