/* Organizations: the tenant root of every row. */
#pragma once

#include "store/db.h"

struct org {
    struct str id; /* org_ */
    struct str slug, name, description;
    bool audit_arguments;  /* record redacted arguments of calls */
    struct str hub_prefix; /* always clash: how the hub names what several servers offer */
    struct str hub_search; /* off auto: whether it shows search tools in their stead */
    struct str created_by;
    int64_t created_at, updated_at;
};
struct org_of_user { /* an organization as one of its members sees it */
    struct org org;
    struct str roles; /* space separated: owner admin member role_... */
};
/* Inserts the organization, its wrapped data key and its first owner as one transaction.
   ERR_CONFLICT: slug taken (also a retired slug less than 90 days old). */
bool orgs_insert(struct db *db, struct arena *a, const struct org *o, struct str wrapped_data_key,
                 struct str owner_id, struct err *e) must_use;
bool orgs_get(struct db *db, struct arena *a, struct str id, struct org *out,
              struct err *e) must_use;
bool orgs_by_slug(struct db *db, struct arena *a, struct str slug, struct org *out,
                  struct err *e) must_use;
/* Organizations of a user, oldest first. */
bool orgs_list_of_user(struct db *db, struct arena *a, struct str user_id,
                       const struct db_page *page, struct org_of_user **out, size_t *n,
                       struct err *e) must_use;
bool orgs_count_of_user(struct db *db, struct arena *a, struct str user_id, int64_t *out,
                        struct err *e) must_use;
struct org_change {
    struct str name, description, slug; /* absent: stays; a changed slug retires the old one for 90
                                           days */
    int audit_arguments;                /* -1: stays, 0, 1 */
    struct str hub_prefix, hub_search;  /* absent: stays */
};
/* ERR_NOT_FOUND; ERR_CONFLICT: slug taken. */
bool orgs_update(struct db *db, struct arena *a, struct str id, const struct org_change *c,
                 int64_t now, struct err *e) must_use;
/* Removes every row of the tenant, audit included; users stay. */
bool orgs_delete(struct db *db, struct arena *a, struct str id, int64_t now,
                 struct err *e) must_use;
/* Data keys (vault): the wrapped key, and replacing it during rotation. */
bool orgs_data_key(struct db *db, struct arena *a, struct str org_id, struct str *wrapped,
                   struct err *e) must_use;
bool orgs_data_key_replace(struct db *db, struct arena *a, struct str org_id,
                           struct str old_wrapped, struct str new_wrapped, int64_t now,
                           struct err *e) must_use;
bool orgs_data_keys_list(struct db *db, struct arena *a, struct str after_org_id, int limit,
                         struct str **org_ids, struct str **wrapped, size_t *n,
                         struct err *e) must_use;
