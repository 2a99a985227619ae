#include "store/oauth_assertions.h"

static const struct db_stmt assertions_purge = {
    "oauth_assertions_purge", "DELETE FROM oauth_assertions WHERE expires_at < $1", DB_WRITE, 0};
static const struct db_stmt assertion_insert = {
    "oauth_assertion_insert", "INSERT INTO oauth_assertions (hash, expires_at) VALUES ($1, $2)",
    DB_WRITE, 0};

bool oauth_assertions_use(struct db *db, struct arena *a, struct str hash, int64_t expires_at,
                          int64_t now, struct err *e)
{
    struct db_batch b;
    db_batch_init(&b, a);
    db_batch_add(&b, &assertions_purge, DB_ARGS(A_INT(now)));
    db_batch_add(&b, &assertion_insert, DB_ARGS(A_STR(hash), A_INT(expires_at)));
    return db_batch_run(db, &b, NULL, e);
}
