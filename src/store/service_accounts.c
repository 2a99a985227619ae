#include "store/service_accounts.h"

#include "store/rows.h"

#define OF_ORG                                                                                     \
    "SELECT u.id, u.name, m.roles, u.disabled_at, u.created_at FROM members m JOIN users u ON "    \
    "u.id = m.user_id WHERE m.org_id = $1 AND u.kind = 'service' "
#define IS_OF_ORG                                                                                  \
    "kind = 'service' AND EXISTS (SELECT 1 FROM members m WHERE m.org_id = $1 AND m.user_id = "    \
    "users.id)"

static const struct db_stmt account_insert = {
    "service_account_insert",
    "INSERT INTO users (id, email, name, is_operator, disabled_at, created_at, updated_at, kind) "
    "VALUES ($1, $2, $3, 0, NULL, $4, $4, 'service')",
    DB_WRITE, DB_DURABLE};
static const struct db_stmt account_join = {"service_account_join",
                                            "INSERT INTO members (org_id, user_id, roles, "
                                            "is_owner, created_at) VALUES ($1, $2, $3, 0, $4)",
                                            DB_WRITE, DB_DURABLE | DB_INVALIDATES};
static const struct db_stmt account_by_id = {"service_account_by_id", OF_ORG "AND u.id = $2",
                                             DB_READ, 0};
static const struct db_stmt accounts_of_org = {
    "service_accounts_of_org",
    OF_ORG "AND (u.created_at, u.id) > (CAST($2 AS BIGINT), CAST($3 AS TEXT)) "
           "ORDER BY u.created_at, u.id LIMIT CAST($4 AS BIGINT)",
    DB_LIST, 0};
static const struct db_stmt accounts_number = {
    "service_accounts_number",
    "SELECT count(*) FROM members m JOIN users u ON u.id = m.user_id WHERE m.org_id = $1 AND "
    "u.kind = 'service'",
    DB_LIST, 0};
static const struct db_stmt account_update = {
    "service_account_update",
    "UPDATE users SET name = $3, disabled_at = $4, updated_at = $5 WHERE id = $2 AND " IS_OF_ORG,
    DB_WRITE, DB_DURABLE | DB_INVALIDATES | DB_MUST_AFFECT};
static const struct db_stmt account_roles = {
    "service_account_roles", "UPDATE members SET roles = $3 WHERE org_id = $1 AND user_id = $2",
    DB_WRITE, DB_DURABLE | DB_INVALIDATES | DB_MUST_AFFECT};
static const struct db_stmt account_delete = {"service_account_delete",
                                              "DELETE FROM users WHERE id = $2 AND " IS_OF_ORG,
                                              DB_WRITE, DB_DURABLE | DB_INVALIDATES};

static void account_read(const struct db_rows *r, size_t row, void *item)
{
    struct service_account *s = item;
    *s = (struct service_account){
        .id = db_text(r, row, 0),
        .name = db_text(r, row, 1),
        .roles = db_text(r, row, 2),
        .disabled_at = db_int(r, row, 3),
        .created_at = db_int(r, row, 4),
    };
}
static const struct rows_kind account_kind = {sizeof(struct service_account), account_read};

bool service_accounts_insert(struct db *db, struct arena *a, struct str org_id,
                             const struct service_account *s, struct err *e)
{
    struct db_batch b;
    /* No such address can exist (RFC 2606), so that nobody is ever taken for it. */
    struct str email = arena_printf(a, "%.*s@service.invalid", STR_FMT(s->id));
    db_batch_init(&b, a);
    db_batch_add(&b, &account_insert,
                 DB_ARGS(A_STR(s->id), A_STR(email), A_STR(s->name), A_INT(s->created_at)));
    db_batch_add(&b, &account_join,
                 DB_ARGS(A_STR(org_id), A_STR(s->id), A_STR(s->roles), A_INT(s->created_at)));
    return db_batch_run(db, &b, NULL, e);
}

bool service_accounts_get(struct db *db, struct arena *a, struct str org_id, struct str id,
                          struct service_account *out, struct err *e)
{
    struct db_rows r;
    if (!db_one(db, a, &account_by_id, DB_ARGS(A_STR(org_id), A_STR(id)), &r, e))
        return false;
    account_read(&r, 0, out);
    return true;
}

bool service_accounts_list(struct db *db, struct arena *a, struct str org_id,
                           const struct db_page *page, struct service_account **out, size_t *n,
                           struct err *e)
{
    struct rows_found found;
    if (!rows_list(db, a, &accounts_of_org, DB_ARGS(A_STR(org_id), PAGE_ARGS(page)), &account_kind,
                   &found, e))
        return false;
    *out = found.items;
    *n = found.n;
    return true;
}

bool service_accounts_count(struct db *db, struct arena *a, struct str org_id, int64_t *out,
                            struct err *e)
{
    return rows_count(db, a, &accounts_number, DB_ARGS(A_STR(org_id)), out, e);
}

bool service_accounts_update(struct db *db, struct arena *a, struct str org_id,
                             const struct service_account *s, int64_t now, struct err *e)
{
    struct db_batch b;
    db_batch_init(&b, a);
    db_batch_add(
        &b, &account_update,
        DB_ARGS(A_STR(org_id), A_STR(s->id), A_STR(s->name), A_TIME(s->disabled_at), A_INT(now)));
    db_batch_add(&b, &account_roles, DB_ARGS(A_STR(org_id), A_STR(s->id), A_STR(s->roles)));
    if (db_batch_run(db, &b, NULL, e))
        return true;
    return rows_is_no_row(e) ? err_set(e, ERR_NOT_FOUND, "no such service account") : false;
}

bool service_accounts_delete(struct db *db, struct arena *a, struct str org_id, struct str id,
                             struct err *e)
{
    return rows_change(db, a, &account_delete, DB_ARGS(A_STR(org_id), A_STR(id)), e);
}
