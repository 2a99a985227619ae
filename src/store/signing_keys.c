#include "store/signing_keys.h"

#include "store/rows.h"

#define COLUMNS "kid, alg, sealed, created_at, active_at, expires_at"

static const struct db_stmt keys_list = {
    "signing_keys_list",
    "SELECT " COLUMNS " FROM signing_keys WHERE expires_at IS "
    "NULL OR expires_at > $1 ORDER BY alg, active_at DESC, kid",
    DB_READ, 0};
static const struct db_stmt key_insert_first = {
    "signing_key_insert_first",
    "INSERT INTO signing_keys (" COLUMNS ") VALUES ($1, $2, $3, $4, $5, NULL) ON CONFLICT DO "
    "NOTHING",
    DB_WRITE, DB_DURABLE};
static const struct db_stmt key_insert = {"signing_key_insert",
                                          "INSERT INTO signing_keys (" COLUMNS
                                          ") VALUES ($1, $2, $3, $4, $5, NULL)",
                                          DB_WRITE, DB_DURABLE};
static const struct db_stmt key_retire = {
    "signing_key_retire",
    "UPDATE signing_keys SET expires_at = $2 WHERE alg = $1 AND expires_at IS NULL", DB_WRITE,
    DB_DURABLE};
static const struct db_stmt key_retire_youngest = {
    "signing_key_retire_youngest",
    "UPDATE signing_keys SET expires_at = $2 WHERE kid = $1 AND expires_at IS NULL", DB_WRITE,
    DB_DURABLE | DB_MUST_AFFECT};
static const struct db_stmt keys_purge = {
    "signing_keys_purge", "DELETE FROM signing_keys WHERE expires_at < $1", DB_WRITE, DB_DURABLE};
static const struct db_stmt key_reseal = {"signing_key_reseal",
                                          "UPDATE signing_keys SET sealed = $2 WHERE kid = $1",
                                          DB_WRITE, DB_DURABLE};

static void key_read(const struct db_rows *r, size_t row, void *item)
{
    struct signing_key *k = item;
    *k = (struct signing_key){
        .kid = db_text(r, row, 0),
        .alg = db_text(r, row, 1),
        .sealed = db_text(r, row, 2),
        .created_at = db_int(r, row, 3),
        .active_at = db_int(r, row, 4),
        .expires_at = db_int(r, row, 5),
    };
}
static const struct rows_kind key_kind = {sizeof(struct signing_key), key_read};

bool signing_keys_list(struct db *db, struct arena *a, int64_t now, struct signing_key **out,
                       size_t *n, struct err *e)
{
    struct rows_found found;
    if (!rows_list(db, a, &keys_list, DB_ARGS(A_INT(now)), &key_kind, &found, e))
        return false;
    *out = found.items;
    *n = found.n;
    return true;
}

bool signing_keys_insert_first(struct db *db, struct arena *a, const struct signing_key *k,
                               struct err *e)
{
    return db_run(db, a, &key_insert_first,
                  DB_ARGS(A_STR(k->kid), A_STR(k->alg), A_STR(k->sealed), A_INT(k->created_at),
                          A_INT(k->active_at)),
                  NULL, e);
}

bool signing_keys_follow(struct db *db, struct arena *a, const struct signing_key *k,
                         int64_t old_expires_at, struct err *e)
{
    struct db_batch b;
    db_batch_init(&b, a);
    db_batch_add(&b, &keys_purge, DB_ARGS(A_INT(k->created_at)));
    db_batch_add(&b, &key_retire, DB_ARGS(A_STR(k->alg), A_INT(old_expires_at)));
    db_batch_add(&b, &key_insert,
                 DB_ARGS(A_STR(k->kid), A_STR(k->alg), A_STR(k->sealed), A_INT(k->created_at),
                         A_INT(k->active_at)));
    return db_batch_run(db, &b, NULL, e);
}

bool signing_keys_succeed(struct db *db, struct arena *a, const struct signing_key *k,
                          struct str old_kid, int64_t old_expires_at, struct err *e)
{
    struct db_batch b;
    db_batch_init(&b, a);
    db_batch_add(&b, &key_retire_youngest, DB_ARGS(A_STR(old_kid), A_INT(old_expires_at)));
    db_batch_add(&b, &key_insert,
                 DB_ARGS(A_STR(k->kid), A_STR(k->alg), A_STR(k->sealed), A_INT(k->created_at),
                         A_INT(k->active_at)));
    db_batch_add(&b, &keys_purge, DB_ARGS(A_INT(k->created_at)));
    if (db_batch_run(db, &b, NULL, e))
        return true;
    return rows_is_no_row(e) ? err_set(e, ERR_NOT_FOUND, "not found") : false;
}

bool signing_keys_reseal(struct db *db, struct arena *a, struct str kid, struct str sealed,
                         struct err *e)
{
    return db_run(db, a, &key_reseal, DB_ARGS(A_STR(kid), A_STR(sealed)), NULL, e);
}
