/* Accounts of an organization's own programs: members that are nobody (users of kind "service"). */
#pragma once

#include "store/db.h"

struct service_account {
    struct str id; /* sa_ */
    struct str name;
    struct str roles;    /* space separated, as of members; never owner */
    int64_t disabled_at; /* 0: active */
    int64_t created_at;
};
bool service_accounts_insert(struct db *db, struct arena *a, struct str org_id,
                             const struct service_account *s, struct err *e) must_use;
bool service_accounts_get(struct db *db, struct arena *a, struct str org_id, struct str id,
                          struct service_account *out, struct err *e) must_use;
bool service_accounts_list(struct db *db, struct arena *a, struct str org_id,
                           const struct db_page *page, struct service_account **out, size_t *n,
                           struct err *e) must_use;
bool service_accounts_count(struct db *db, struct arena *a, struct str org_id, int64_t *out,
                            struct err *e) must_use;
/* Writes name, roles, disabled_at. Invalidates. */
bool service_accounts_update(struct db *db, struct arena *a, struct str org_id,
                             const struct service_account *s, int64_t now, struct err *e) must_use;
/* With its keys, clients and tokens. ERR_NOT_FOUND. */
bool service_accounts_delete(struct db *db, struct arena *a, struct str org_id, struct str id,
                             struct err *e) must_use;
