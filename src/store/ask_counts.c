#include "store/ask_counts.h"

enum { KEPT_MS = 24 * 60 * 60 * 1000 };

static const struct db_stmt asks_purge = {
    "asks_purge", "DELETE FROM ask_counts WHERE began_at < $1", DB_WRITE, 0};
static const struct db_stmt ask_count = {
    "ask_count",
    "INSERT INTO ask_counts (name, n, began_at) VALUES (CAST($1 AS TEXT), 1, CAST($2 AS BIGINT)) "
    "ON CONFLICT (name) DO UPDATE SET "
    "n = CASE WHEN ask_counts.began_at <= CAST($3 AS BIGINT) THEN 1 ELSE ask_counts.n + 1 END, "
    "began_at = CASE WHEN ask_counts.began_at <= CAST($3 AS BIGINT) THEN excluded.began_at "
    "ELSE ask_counts.began_at END RETURNING n",
    DB_WRITE, 0};

bool ask_counts_add(struct db *db, struct arena *a, struct str name, const struct ask_rule *rule,
                    int64_t now, bool *is_allowed, struct err *e)
{
    struct db_batch b;
    struct db_rows results[2];
    db_batch_init(&b, a);
    db_batch_add(&b, &asks_purge, DB_ARGS(A_INT(now - KEPT_MS)));
    db_batch_add(&b, &ask_count, DB_ARGS(A_STR(name), A_INT(now), A_INT(now - rule->window_ms)));
    if (!db_batch_run(db, &b, results, e))
        return false;
    *is_allowed = results[1].n_rows > 0 && db_int(&results[1], 0, 0) <= rule->max;
    return true;
}
