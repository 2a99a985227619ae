/* Invitations into an organization, by a link that is good once. */
#pragma once

#include "store/db.h"

struct invitation {
    struct str id; /* inv_ */
    struct str org_id, email, role, hash;
    struct str invited_by;
    int64_t created_at, expires_at, accepted_at; /* ms; accepted_at 0: open */
    struct str org_name;                         /* read back only */
};
bool invitations_insert(struct db *db, struct arena *a, const struct invitation *i,
                        struct err *e) must_use;
/* By its link, neither accepted nor expired. ERR_NOT_FOUND. The tenant is the link's. */
bool invitations_by_hash(struct db *db, struct arena *a, struct str hash, int64_t now,
                         struct invitation *out, struct err *e) must_use;
/* Open ones, oldest first. */
bool invitations_list(struct db *db, struct arena *a, struct str org_id, int64_t now,
                      const struct db_page *page, struct invitation **out, size_t *n,
                      struct err *e) must_use;
bool invitations_count(struct db *db, struct arena *a, struct str org_id, int64_t now, int64_t *out,
                       struct err *e) must_use;
bool invitations_delete(struct db *db, struct arena *a, struct str org_id, struct str id,
                        struct err *e) must_use;

/* Who accepts: a person who exists (hash absent), or one who is made with a password. */
struct invitation_guest {
    struct str user_id;
    struct str name, password_hash; /* absent: the person exists */
};
/*
 * Marks it accepted, makes the person if need be, and adds the membership, in one transaction.
 * ERR_NOT_FOUND: used, expired or cancelled meanwhile. ERR_CONFLICT: they are a member already, or
 * the address is taken.
 */
bool invitations_accept(struct db *db, struct arena *a, const struct invitation *i,
                        const struct invitation_guest *guest, int64_t now, struct err *e) must_use;
