/* Who belongs to an organization, and with which roles. */
#pragma once

#include "store/db.h"

struct member {
    struct str user_id, email, name;
    struct str
        roles; /* space separated: built-in names and role_ ids; what groups give is not there
                */
    int64_t created_at;
    int64_t deactivated_at; /* 0: active */
};
/* ERR_CONFLICT when already a member. */
bool members_add(struct db *db, struct arena *a, struct str org_id, struct str user_id,
                 struct str roles, int64_t now, struct err *e) must_use;
/* ERR_NOT_FOUND; ERR_UNPROCESSABLE when it would leave the organization without an owner. */
bool members_remove(struct db *db, struct arena *a, struct str org_id, struct str user_id,
                    int64_t now, struct err *e) must_use;
/* The same, but their API keys go to another member of the organization. ERR_CONFLICT: that is
 * none. */
bool members_remove_handing(struct db *db, struct arena *a, struct str org_id, struct str user_id,
                            struct str keys_to, struct err *e) must_use;
bool members_set_roles(struct db *db, struct arena *a, struct str org_id, struct str user_id,
                       struct str roles, int64_t now, struct err *e) must_use;
bool members_get(struct db *db, struct arena *a, struct str org_id, struct str user_id,
                 struct member *out, struct err *e) must_use;
/* group_id absent: everybody; else who is in that group. */
bool members_list(struct db *db, struct arena *a, struct str org_id, struct str group_id,
                  const struct db_page *page, struct member **out, size_t *n,
                  struct err *e) must_use;
bool members_count(struct db *db, struct arena *a, struct str org_id, int64_t *out,
                   struct err *e) must_use;
