#include "store/credentials.h"

#include "store/rows.h"

static const struct db_stmt credential_put = {
    "credential_put",
    "INSERT INTO credentials (org_id, connection_id, user_id, kind, sealed, updated_by, "
    "updated_at) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (org_id, connection_id, user_id) DO UPDATE "
    "SET "
    "kind = excluded.kind, sealed = excluded.sealed, updated_by = excluded.updated_by, "
    "updated_at = excluded.updated_at",
    DB_WRITE, DB_DURABLE | DB_INVALIDATES};
static const struct db_stmt credential_get = {
    "credential_get",
    "SELECT connection_id, user_id, kind, updated_by, updated_at, sealed FROM credentials "
    "WHERE org_id = $1 AND connection_id = $2 AND user_id = $3",
    DB_READ, 0};
static const struct db_stmt credential_reseal = {
    "credential_reseal",
    "UPDATE credentials SET sealed = $5 WHERE org_id = $1 AND connection_id = $2 AND user_id = $3 "
    "AND sealed = $4",
    DB_WRITE, DB_DURABLE | DB_INVALIDATES};
static const struct db_stmt credential_list = {
    "credential_list",
    "SELECT connection_id, user_id, kind, updated_by, updated_at FROM credentials "
    "WHERE org_id = $1 AND connection_id = $2 "
    "AND (CAST($3 AS TEXT) IS NULL OR user_id = CAST($3 AS TEXT)) ORDER BY user_id",
    DB_LIST, 0};
static const struct db_stmt credential_delete = {
    "credential_delete",
    "DELETE FROM credentials WHERE org_id = $1 AND connection_id = $2 AND user_id = $3", DB_WRITE,
    DB_DURABLE | DB_INVALIDATES};

static void credential_read(const struct db_rows *r, size_t row, void *item)
{
    struct credential_row *c = item;
    *c = (struct credential_row){
        .connection_id = db_text(r, row, 0),
        .user_id = db_text(r, row, 1),
        .kind = db_text(r, row, 2),
        .updated_by = db_text(r, row, 3),
        .updated_at = db_int(r, row, 4),
    };
}
static const struct rows_kind credential_kind = {sizeof(struct credential_row), credential_read};

static struct str owner_of(struct str user_id) /* absent means the organization's, too */
{
    return user_id.p ? user_id : STR("");
}

void credentials_put_in(struct db_batch *b, struct str org_id, const struct credential_row *c)
{
    db_batch_add(b, &credential_put,
                 DB_ARGS(A_STR(org_id), A_STR(c->connection_id), A_STR(owner_of(c->user_id)),
                         A_STR(c->kind), A_STR(c->sealed), A_STR(c->updated_by),
                         A_INT(c->updated_at)));
}

bool credentials_put(struct db *db, struct arena *a, struct str org_id,
                     const struct credential_row *c, struct err *e)
{
    struct db_batch b;
    db_batch_init(&b, a);
    credentials_put_in(&b, org_id, c);
    return db_batch_run(db, &b, NULL, e);
}

bool credentials_reseal(struct db *db, struct arena *a, struct str org_id,
                        const struct credential_row *c, struct str sealed, struct err *e)
{
    return db_run(db, a, &credential_reseal,
                  DB_ARGS(A_STR(org_id), A_STR(c->connection_id), A_STR(owner_of(c->user_id)),
                          A_STR(c->sealed), A_STR(sealed)),
                  NULL, e);
}

bool credentials_get(struct db *db, struct arena *a, struct str org_id, struct str connection_id,
                     struct str user_id, struct credential_row *out, struct err *e)
{
    struct db_rows r;
    if (!db_one(db, a, &credential_get,
                DB_ARGS(A_STR(org_id), A_STR(connection_id), A_STR(owner_of(user_id))), &r, e))
        return false;
    credential_read(&r, 0, out);
    out->sealed = db_text(&r, 0, 5);
    return true;
}

bool credentials_list(struct db *db, struct arena *a, struct str org_id, struct str connection_id,
                      struct str user_id, struct credential_row **out, size_t *n, struct err *e)
{
    struct rows_found found;
    if (!rows_list(db, a, &credential_list,
                   DB_ARGS(A_STR(org_id), A_STR(connection_id), A_STR(user_id)), &credential_kind,
                   &found, e))
        return false;
    *out = found.items;
    *n = found.n;
    return true;
}

bool credentials_delete(struct db *db, struct arena *a, struct str org_id, struct str connection_id,
                        struct str user_id, unused_arg int64_t now, struct err *e)
{
    return rows_change(db, a, &credential_delete,
                       DB_ARGS(A_STR(org_id), A_STR(connection_id), A_STR(owner_of(user_id))), e);
}
