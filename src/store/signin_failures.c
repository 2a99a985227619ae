#include "store/signin_failures.h"

enum { KEPT_MS = 24 * 60 * 60 * 1000 };

/* $1 name, $2 now, $3 the window's begin, $4 free attempts. The new count is N in the CASE below.
 */
#define N_AFTER "(signin_failures.n + 1)"
static const struct db_stmt failure_count = {
    "failure_count",
    "INSERT INTO signin_failures (name, n, last_at, blocked_until) "
    "VALUES (CAST($1 AS TEXT), 1, CAST($2 AS BIGINT), 0) "
    "ON CONFLICT (name) DO UPDATE SET last_at = excluded.last_at, "
    "n = CASE WHEN signin_failures.last_at < CAST($3 AS BIGINT) THEN 1 ELSE " N_AFTER " END, "
    "blocked_until = CASE WHEN signin_failures.last_at < CAST($3 AS BIGINT) THEN 0 "
    "WHEN " N_AFTER " < CAST($4 AS BIGINT) THEN 0 "
    "WHEN " N_AFTER " = CAST($4 AS BIGINT) THEN excluded.last_at + 60000 "
    "WHEN " N_AFTER " = CAST($4 AS BIGINT) + 1 THEN excluded.last_at + 120000 "
    "WHEN " N_AFTER " = CAST($4 AS BIGINT) + 2 THEN excluded.last_at + 240000 "
    "WHEN " N_AFTER " = CAST($4 AS BIGINT) + 3 THEN excluded.last_at + 480000 "
    "ELSE excluded.last_at + 900000 END "
    "WHERE signin_failures.blocked_until <= CAST($2 AS BIGINT) RETURNING n",
    DB_WRITE, 0};
static const struct db_stmt failures_purge = {
    "failures_purge", "DELETE FROM signin_failures WHERE last_at < $1", DB_WRITE, 0};
static const struct db_stmt failure_get = {
    "failure_get", "SELECT blocked_until FROM signin_failures WHERE name = $1", DB_READ, 0};
static const struct db_stmt failure_forget = {
    "failure_forget", "DELETE FROM signin_failures WHERE name = $1", DB_WRITE, 0};
static const struct db_stmt failure_refund = {
    "failure_refund",
    "UPDATE signin_failures SET n = n - 1, blocked_until = 0 WHERE name = $1 AND n > 0", DB_WRITE,
    0};

bool signin_failures_count(struct db *db, struct arena *a, struct str name,
                           const struct signin_rule *rule, int64_t now, int64_t *wait_until,
                           struct err *e)
{
    struct db_batch b;
    struct db_rows results[2], r;
    db_batch_init(&b, a);
    db_batch_add(&b, &failures_purge, DB_ARGS(A_INT(now - KEPT_MS)));
    db_batch_add(&b, &failure_count,
                 DB_ARGS(A_STR(name), A_INT(now), A_INT(now - rule->window_ms), A_INT(rule->free)));
    *wait_until = 0;
    if (!db_batch_run(db, &b, results, e))
        return false;
    if (results[1].n_rows > 0)
        return true;
    if (!db_one(db, a, &failure_get, DB_ARGS(A_STR(name)), &r, e))
        return false;
    *wait_until = db_int(&r, 0, 0);
    return true;
}

bool signin_failures_forget(struct db *db, struct arena *a, struct str name, struct err *e)
{
    return db_run(db, a, &failure_forget, DB_ARGS(A_STR(name)), NULL, e);
}

bool signin_failures_refund(struct db *db, struct arena *a, struct str name, struct err *e)
{
    return db_run(db, a, &failure_refund, DB_ARGS(A_STR(name)), NULL, e);
}
