#include "store/sso_tests.h"

#include "store/rows.h"

static const struct db_stmt sso_tests_purge = {
    "sso_tests_purge", "DELETE FROM sso_tests WHERE expires_at <= $1", DB_WRITE, 0};
static const struct db_stmt sso_test_insert = {
    "sso_test_insert",
    "INSERT INTO sso_tests (id, org_id, provider_id, created_by, steps, outcome, created_at, "
    "finished_at, expires_at) VALUES ($1, $2, $3, $4, $5, NULL, $6, NULL, $7)",
    DB_WRITE, 0};
static const struct db_stmt sso_test_get = {
    "sso_test_get",
    "SELECT id, org_id, provider_id, created_by, steps, outcome, created_at, finished_at, "
    "expires_at FROM sso_tests WHERE id = $1 AND expires_at > $2",
    DB_READ, 0};
static const struct db_stmt sso_test_finish = {
    "sso_test_finish",
    "UPDATE sso_tests SET steps = $3, outcome = CAST($4 AS TEXT), finished_at = CAST($5 AS BIGINT) "
    "WHERE id = $1 AND provider_id = $2 AND outcome IS NULL AND expires_at > CAST($5 AS BIGINT)",
    DB_WRITE, 0};

bool sso_tests_insert(struct db *db, struct arena *a, const struct sso_test *t, struct err *e)
{
    struct db_batch b;
    db_batch_init(&b, a);
    db_batch_add(&b, &sso_tests_purge, DB_ARGS(A_INT(t->created_at)));
    db_batch_add(&b, &sso_test_insert,
                 DB_ARGS(A_STR(t->id), A_STR(t->org_id), A_STR(t->provider_id),
                         A_STR(t->created_by), A_STR(t->report), A_INT(t->created_at),
                         A_INT(t->expires_at)));
    return db_batch_run(db, &b, NULL, e);
}

bool sso_tests_get(struct db *db, struct arena *a, struct str id, int64_t now, struct sso_test *out,
                   struct err *e)
{
    struct db_rows r;
    if (!db_one(db, a, &sso_test_get, DB_ARGS(A_STR(id), A_INT(now)), &r, e))
        return false;
    *out = (struct sso_test){
        .id = db_text(&r, 0, 0),
        .org_id = db_text(&r, 0, 1),
        .provider_id = db_text(&r, 0, 2),
        .created_by = db_text(&r, 0, 3),
        .report = db_text(&r, 0, 4),
        .outcome = db_text(&r, 0, 5),
        .created_at = db_int(&r, 0, 6),
        .finished_at = db_int(&r, 0, 7),
        .expires_at = db_int(&r, 0, 8),
    };
    return true;
}

bool sso_tests_finish(struct db *db, struct arena *a, struct str id, struct str provider_id,
                      struct str report, struct str outcome, int64_t now, struct err *e)
{
    return rows_change(
        db, a, &sso_test_finish,
        DB_ARGS(A_STR(id), A_STR(provider_id), A_STR(report), A_STR(outcome), A_INT(now)), e);
}
