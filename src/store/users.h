/* People. */
#pragma once

#include "store/db.h"

struct user {
    struct str id;    /* usr_ */
    struct str email; /* lower case */
    struct str name;
    bool is_operator;
    int64_t disabled_at;            /* 0: active */
    int64_t email_verified_at;      /* 0: nobody has shown that they read the address */
    int64_t created_at, updated_at; /* ms */
};
/* ERR_CONFLICT when the address is taken. */
bool users_insert(struct db *db, struct arena *a, const struct user *u, struct err *e) must_use;
bool users_get(struct db *db, struct arena *a, struct str id, struct user *out,
               struct err *e) must_use;
bool users_by_email(struct db *db, struct arena *a, struct str email_lower, struct user *out,
                    struct err *e) must_use;
bool users_update_name(struct db *db, struct arena *a, struct str id, struct str name, int64_t now,
                       struct err *e) must_use;
bool users_set_operator(struct db *db, struct arena *a, struct str id, bool is_operator,
                        int64_t now, struct err *e) must_use;
/* disabled_at 0: active. Disabling ends every grant and session. Invalidates. ERR_NOT_FOUND. */
bool users_set_disabled(struct db *db, struct arena *a, struct str id, int64_t disabled_at,
                        int64_t now, struct err *e) must_use;
/* A user's own record is visible to people who share an organization with them. */
bool users_share_org(struct db *db, struct arena *a, struct str user_id, struct str other_id,
                     bool *out, struct err *e) must_use;
bool users_count(struct db *db, struct arena *a, int64_t *out, struct err *e) must_use;
