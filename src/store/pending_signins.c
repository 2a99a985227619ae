#include "store/pending_signins.h"

#include "base/limits.h"
#include "store/rows.h"

static const struct db_stmt pending_purge = {
    "pending_purge", "DELETE FROM pending_signins WHERE expires_at <= $1", DB_WRITE, 0};
static const struct db_stmt pending_insert = {
    "pending_insert",
    "INSERT INTO pending_signins (hash, user_id, method, provider_id, org_id, provider_session, "
    "return_to, tries, created_at, expires_at, ends_at) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8, $9, $10)",
    DB_WRITE, 0};
static const struct db_stmt pending_find = {
    "pending_find",
    "SELECT hash, user_id, method, provider_id, org_id, provider_session, return_to, tries, "
    "created_at, expires_at, ends_at FROM pending_signins "
    "WHERE hash = $1 AND expires_at > $2 AND tries < CAST($3 AS BIGINT)",
    DB_READ, 0};
static const struct db_stmt pending_count = {
    "pending_count",
    "UPDATE pending_signins SET tries = tries + 1 "
    "WHERE hash = $1 AND expires_at > $2 AND tries < CAST($3 AS BIGINT)",
    DB_WRITE, 0};
static const struct db_stmt pending_take = {
    "pending_take", "DELETE FROM pending_signins WHERE hash = $1", DB_WRITE, 0};

bool pending_signins_insert(struct db *db, struct arena *a, const struct pending_signin *p,
                            struct err *e)
{
    struct db_batch b;
    db_batch_init(&b, a);
    db_batch_add(&b, &pending_purge, DB_ARGS(A_INT(p->created_at)));
    db_batch_add(&b, &pending_insert,
                 DB_ARGS(A_STR(p->hash), A_STR(p->user_id), A_STR(p->method), A_STR(p->provider_id),
                         A_STR(p->org_id), A_STR(p->provider_session), A_STR(p->return_to),
                         A_INT(p->created_at), A_INT(p->expires_at), A_INT(p->ends_at)));
    return db_batch_run(db, &b, NULL, e);
}

bool pending_signins_find(struct db *db, struct arena *a, struct str hash, int64_t now,
                          struct pending_signin *out, struct err *e)
{
    struct db_rows r;
    if (!db_one(db, a, &pending_find, DB_ARGS(A_STR(hash), A_INT(now), A_INT(LIMIT_FACTOR_TRIES)),
                &r, e))
        return false;
    *out = (struct pending_signin){
        .hash = db_text(&r, 0, 0),
        .user_id = db_text(&r, 0, 1),
        .method = db_text(&r, 0, 2),
        .provider_id = db_text(&r, 0, 3),
        .org_id = db_text(&r, 0, 4),
        .provider_session = db_text(&r, 0, 5),
        .return_to = db_text(&r, 0, 6),
        .tries = db_int(&r, 0, 7),
        .created_at = db_int(&r, 0, 8),
        .expires_at = db_int(&r, 0, 9),
        .ends_at = db_int(&r, 0, 10),
    };
    return true;
}

bool pending_signins_count(struct db *db, struct arena *a, struct str hash, int64_t now,
                           struct err *e)
{
    return rows_change(db, a, &pending_count,
                       DB_ARGS(A_STR(hash), A_INT(now), A_INT(LIMIT_FACTOR_TRIES)), e);
}

bool pending_signins_take(struct db *db, struct arena *a, struct str hash, struct err *e)
{
    return rows_change(db, a, &pending_take, DB_ARGS(A_STR(hash)), e);
}
