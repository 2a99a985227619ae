#include "store/scim_users.h"

#include "store/rows.h"

#define USER_COLUMNS                                                                               \
    "m.user_id, COALESCE(s.user_name, u.email), s.external_id, s.attributes, u.email, u.name, "    \
    "m.roles, m.deactivated_at, m.created_at, COALESCE(s.updated_at, m.created_at)"
#define FROM_MEMBERS                                                                               \
    " FROM members m JOIN users u ON u.id = m.user_id LEFT JOIN scim_users s ON s.org_id = "       \
    "m.org_id AND s.user_id = m.user_id WHERE m.org_id = $1 AND u.kind = 'person' "

static const struct db_stmt scim_user_by_id = {
    "scim_user_by_id", "SELECT " USER_COLUMNS FROM_MEMBERS "AND m.user_id = $2", DB_READ, 0};
static const struct db_stmt scim_users_all = {
    "scim_users_all",
    "SELECT " USER_COLUMNS FROM_MEMBERS
    "AND (m.created_at, m.user_id) > (CAST($2 AS BIGINT), CAST($3 AS TEXT)) "
    "ORDER BY m.created_at, m.user_id LIMIT CAST($4 AS BIGINT)",
    DB_LIST, 0};
/* The name that a directory gave hides the address: two members never answer to one name. */
static const struct db_stmt scim_users_by_name = {
    "scim_users_by_name",
    "SELECT " USER_COLUMNS FROM_MEMBERS
    "AND (s.user_name = $2 OR (s.user_name IS NULL AND u.email = $2))",
    DB_LIST, 0};
static const struct db_stmt scim_users_by_external = {
    "scim_users_by_external",
    "SELECT " USER_COLUMNS FROM_MEMBERS "AND s.external_id = $2 ORDER BY m.created_at, m.user_id",
    DB_LIST, 0};
static const struct db_stmt scim_users_number = {
    "scim_users_number",
    "SELECT count(*) FROM members m JOIN users u ON u.id = m.user_id WHERE m.org_id = $1 AND "
    "u.kind = 'person'",
    DB_LIST, 0};
static const struct db_stmt scim_account_insert = {
    "scim_account_insert",
    "INSERT INTO users (id, email, name, is_operator, created_at, updated_at) VALUES ($1, $2, $3, "
    "0, $4, $4)",
    DB_WRITE, DB_DURABLE};
static const struct db_stmt scim_member_insert = {
    "scim_member_insert",
    "INSERT INTO members (org_id, user_id, roles, is_owner, created_at, deactivated_at) "
    "VALUES ($1, $2, 'member', 0, $3, $4)",
    DB_WRITE, DB_DURABLE | DB_INVALIDATES};
static const struct db_stmt scim_user_put = {
    "scim_user_put",
    "INSERT INTO scim_users (org_id, user_id, user_name, external_id, attributes, created_at, "
    "updated_at) VALUES ($1, $2, $3, $4, $5, $6, $6) ON CONFLICT (org_id, user_id) DO UPDATE SET "
    "user_name = excluded.user_name, external_id = excluded.external_id, "
    "attributes = excluded.attributes, updated_at = excluded.updated_at",
    DB_WRITE, DB_DURABLE};
static const struct db_stmt domain_is_proven = {
    "scim_domain_is_proven",
    "SELECT count(*) FROM org_domains WHERE org_id = $1 AND domain = $2 AND verified_at IS NOT "
    "NULL",
    DB_READ, 0};

static const struct db_stmt account_is_empty = {
    "scim_account_is_empty",
    "SELECT count(*) FROM users u WHERE u.id = $1 AND u.kind = 'person' AND u.is_operator = 0 AND "
    "NOT EXISTS (SELECT 1 FROM members m WHERE m.user_id = u.id) AND NOT EXISTS (SELECT 1 FROM "
    "passwords p WHERE p.user_id = u.id) AND NOT EXISTS (SELECT 1 FROM identities i WHERE "
    "i.user_id = u.id) AND NOT EXISTS (SELECT 1 FROM passkeys k WHERE k.user_id = u.id) AND NOT "
    "EXISTS (SELECT 1 FROM browser_sessions s WHERE s.user_id = u.id)",
    DB_READ, 0};

static void scim_user_read(const struct db_rows *r, size_t row, void *item)
{
    struct scim_user *out = item;
    *out = (struct scim_user){.id = db_text(r, row, 0),
                              .user_name = db_text(r, row, 1),
                              .external_id = db_text(r, row, 2),
                              .attributes = db_text(r, row, 3),
                              .email = db_text(r, row, 4),
                              .name = db_text(r, row, 5),
                              .roles = db_text(r, row, 6),
                              .is_active = db_int(r, row, 7) == 0,
                              .created_at = db_int(r, row, 8),
                              .updated_at = db_int(r, row, 9)};
}
static const struct rows_kind scim_user_kind = {sizeof(struct scim_user), scim_user_read};

bool scim_users_get(struct db *db, struct arena *a, struct str org_id, struct str id,
                    struct scim_user *out, struct err *e)
{
    struct db_rows r;
    if (!db_one(db, a, &scim_user_by_id, DB_ARGS(A_STR(org_id), A_STR(id)), &r, e))
        return false;
    scim_user_read(&r, 0, out);
    return true;
}

bool scim_users_list(struct db *db, struct arena *a, struct str org_id,
                     const struct scim_users_query *q, struct scim_user **out, size_t *n,
                     struct err *e)
{
    struct rows_found found;
    bool is_good;
    if (!str_is_absent(q->user_name))
        is_good = rows_list(db, a, &scim_users_by_name, DB_ARGS(A_STR(org_id), A_STR(q->user_name)),
                            &scim_user_kind, &found, e);
    else if (!str_is_absent(q->external_id))
        is_good =
            rows_list(db, a, &scim_users_by_external, DB_ARGS(A_STR(org_id), A_STR(q->external_id)),
                      &scim_user_kind, &found, e);
    else
        is_good = rows_list(
            db, a, &scim_users_all,
            DB_ARGS(A_STR(org_id), A_INT(q->after_at), A_STR(q->after_id), A_INT(q->limit)),
            &scim_user_kind, &found, e);
    if (!is_good)
        return false;
    *out = found.items;
    *n = found.n;
    return true;
}

bool scim_users_count(struct db *db, struct arena *a, struct str org_id, int64_t *out,
                      struct err *e)
{
    return rows_count(db, a, &scim_users_number, DB_ARGS(A_STR(org_id)), out, e);
}

static void put_add(struct db_batch *b, struct str org_id, const struct scim_user *u, int64_t now)
{
    db_batch_add(b, &scim_user_put,
                 DB_ARGS(A_STR(org_id), A_STR(u->id), A_STR(u->user_name), A_STR(u->external_id),
                         A_STR(u->attributes), A_INT(now)));
}

bool scim_users_insert(struct db *db, struct arena *a, struct str org_id, const struct scim_user *u,
                       const struct scim_account *account, struct err *e)
{
    struct db_batch b;
    struct err own;
    e = e ? e : &own;
    db_batch_init(&b, a);
    if (!str_is_absent(account->email))
        db_batch_add(&b, &scim_account_insert,
                     DB_ARGS(A_STR(u->id), A_STR(account->email), A_STR(account->name),
                             A_INT(u->created_at)));
    if (!account->is_member)
        db_batch_add(&b, &scim_member_insert,
                     DB_ARGS(A_STR(org_id), A_STR(u->id), A_INT(u->created_at),
                             A_TIME(u->is_active ? 0 : u->created_at)));
    put_add(&b, org_id, u, u->created_at);
    if (db_batch_run(db, &b, NULL, e))
        return true;
    return e->code == ERR_CONFLICT ? err_set(e, ERR_CONFLICT, "there is such a user already")
                                   : false;
}

bool scim_users_put(struct db *db, struct arena *a, struct str org_id, const struct scim_user *u,
                    int64_t now, struct err *e)
{
    struct db_batch b;
    struct err own;
    e = e ? e : &own;
    db_batch_init(&b, a);
    put_add(&b, org_id, u, now);
    if (db_batch_run(db, &b, NULL, e))
        return true;
    if (rows_is_duplicate(e))
        return err_set(e, ERR_CONFLICT, "there is such a user already");
    return e->code == ERR_CONFLICT ? err_set(e, ERR_NOT_FOUND, "no such user") : false;
}

bool scim_users_domain_is_proven(struct db *db, struct arena *a, struct str org_id,
                                 struct str domain, bool *out, struct err *e)
{
    struct db_rows r;
    if (!db_one(db, a, &domain_is_proven, DB_ARGS(A_STR(org_id), A_STR(domain)), &r, e))
        return false;
    *out = db_int(&r, 0, 0) > 0;
    return true;
}

bool scim_users_is_empty(struct db *db, struct arena *a, struct str user_id, bool *out,
                         struct err *e)
{
    struct db_rows r;
    if (!db_one(db, a, &account_is_empty, DB_ARGS(A_STR(user_id)), &r, e))
        return false;
    *out = db_int(&r, 0, 0) > 0;
    return true;
}
