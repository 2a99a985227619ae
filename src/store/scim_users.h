/* Members of an organization as its directory sees them. Nothing here touches a person's account.
 */
#pragma once

#include "store/db.h"

struct scim_user {
    struct str id;          /* usr_ */
    struct str user_name;   /* lower case; a member whom no directory knows yet: the address */
    struct str external_id; /* absent: none */
    struct str attributes;  /* JSON object; absent: no directory knows them yet */
    struct str email, name; /* of the account */
    struct str roles;       /* the member's own */
    bool is_active;
    int64_t created_at, updated_at;
};
bool scim_users_get(struct db *db, struct arena *a, struct str org_id, struct str id,
                    struct scim_user *out, struct err *e) must_use;
struct scim_users_query {
    struct str user_name, external_id; /* exactly; absent: any. user_name in lower case */
    struct str after_id;               /* STR("") from the start */
    int64_t after_at;
    int limit;
};
/* In the order of (created_at of the membership, id). */
bool scim_users_list(struct db *db, struct arena *a, struct str org_id,
                     const struct scim_users_query *q, struct scim_user **out, size_t *n,
                     struct err *e) must_use;
bool scim_users_count(struct db *db, struct arena *a, struct str org_id, int64_t *out,
                      struct err *e) must_use;

struct scim_account {
    struct str email, name; /* of an account to make; email absent: there is one */
    bool is_member;         /* already */
};
/*
 * Makes what is missing of account and membership (role member) and writes what the directory says,
 * as one transaction. ERR_CONFLICT: the user name or the address is taken. Invalidates.
 */
bool scim_users_insert(struct db *db, struct arena *a, struct str org_id, const struct scim_user *u,
                       const struct scim_account *account, struct err *e) must_use;
/* Writes user_name, external_id and attributes of *u. ERR_CONFLICT: the name is taken.
 * ERR_NOT_FOUND: no such member. */
bool scim_users_put(struct db *db, struct arena *a, struct str org_id, const struct scim_user *u,
                    int64_t now, struct err *e) must_use;
/* Has the organization proven this domain (lower case)? */
bool scim_users_domain_is_proven(struct db *db, struct arena *a, struct str org_id,
                                 struct str domain, bool *out, struct err *e) must_use;
/* True for an account that nobody has ever used and no organization has: one that was provisioned
 * and removed again. */
bool scim_users_is_empty(struct db *db, struct arena *a, struct str user_id, bool *out,
                         struct err *e) must_use;
