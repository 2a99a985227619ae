/* Custom roles: lists of statements (core/policy.h), stored as JSON. */
#pragma once

#include "store/db.h"

struct role {
    struct str id; /* role_ */
    struct str name, description;
    struct str statements; /* JSON array */
    int64_t created_at, updated_at;
};
bool roles_insert(struct db *db, struct arena *a, struct str org_id, const struct role *r,
                  struct err *e) must_use; /* ERR_CONFLICT: name taken */
bool roles_get(struct db *db, struct arena *a, struct str org_id, struct str id, struct role *out,
               struct err *e) must_use;
bool roles_list(struct db *db, struct arena *a, struct str org_id, const struct db_page *page,
                struct role **out, size_t *n, struct err *e) must_use;
bool roles_count(struct db *db, struct arena *a, struct str org_id, int64_t *out,
                 struct err *e) must_use;
struct role_change {
    struct str name, description, statements; /* absent: stays */
};
/* ERR_NOT_FOUND; ERR_CONFLICT: name taken. */
bool roles_update(struct db *db, struct arena *a, struct str org_id, struct str id,
                  const struct role_change *c, int64_t now, struct err *e) must_use;
/* Where a role is given: members and service accounts, groups, open invitations, sign-in providers
 * that give it to newcomers or groups, domains whose people join with it. */
struct role_uses {
    int64_t members, groups, invitations, providers, domains;
};
/* A role that nobody has. ERR_NOT_FOUND; ERR_CONFLICT: it is in use, *uses says where. */
bool roles_delete(struct db *db, struct arena *a, struct str org_id, struct str id, int64_t now,
                  struct role_uses *uses, struct err *e) must_use;
/* The custom roles a member has, by themselves or by a group, for building a caller. */
bool roles_of_member(struct db *db, struct arena *a, struct str org_id, struct str user_id,
                     struct role **out, size_t *n, struct err *e) must_use;
