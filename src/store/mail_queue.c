#include "store/mail_queue.h"

#include "store/rows.h"

static const struct db_stmt mail_insert = {
    "mail_insert",
    "INSERT INTO mail_queue (id, sealed, is_written, attempts, lease, next_at, expires_at, "
    "created_at) VALUES ($1, $2, $3, 0, NULL, CAST($4 AS BIGINT), $5, CAST($4 AS BIGINT))",
    DB_WRITE, DB_DURABLE};
static const struct db_stmt mail_due = {
    "mail_due", "SELECT count(*) FROM (SELECT 1 FROM mail_queue WHERE next_at <= $1 LIMIT 1) AS d",
    DB_READ, 0};
/* The condition stands twice: of two nodes that choose the same row, the second finds it leased. */
static const struct db_stmt mail_take = {
    "mail_take",
    "UPDATE mail_queue SET lease = CAST($1 AS TEXT), next_at = CAST($3 AS BIGINT), "
    "attempts = attempts + 1 WHERE next_at <= CAST($2 AS BIGINT) AND id = "
    "(SELECT q.id FROM mail_queue AS q WHERE q.next_at <= CAST($2 AS BIGINT) "
    "ORDER BY q.next_at, q.id LIMIT 1) "
    "RETURNING id, sealed, is_written, attempts, created_at, expires_at",
    DB_WRITE, 0};
static const struct db_stmt mail_written = {
    "mail_written",
    "UPDATE mail_queue SET sealed = $3, is_written = 1, expires_at = CAST($4 AS BIGINT) "
    "WHERE id = $1 AND lease = $2",
    DB_WRITE, DB_MUST_AFFECT | DB_DURABLE};
static const struct db_stmt mail_delete = {
    "mail_delete", "DELETE FROM mail_queue WHERE id = $1 AND lease = $2", DB_WRITE, DB_DURABLE};
static const struct db_stmt mail_put_off = {
    "mail_put_off",
    "UPDATE mail_queue SET lease = NULL, next_at = CAST($3 AS BIGINT) WHERE id = $1 AND lease = $2",
    DB_WRITE, 0};

void mail_queue_add_to(struct db_batch *b, const struct mail_row *m, int64_t now)
{
    db_batch_add(b, &mail_insert,
                 DB_ARGS(A_STR(m->id), A_STR(m->sealed), A_INT(m->is_written), A_INT(now),
                         A_INT(m->expires_at)));
}

bool mail_queue_add(struct db *db, struct arena *a, const struct mail_row *m, int64_t now,
                    struct err *e)
{
    struct db_batch b;
    db_batch_init(&b, a);
    mail_queue_add_to(&b, m, now);
    return db_batch_run(db, &b, NULL, e);
}

bool mail_queue_is_due(struct db *db, struct arena *a, int64_t now, bool *out, struct err *e)
{
    int64_t n;
    if (!rows_count(db, a, &mail_due, DB_ARGS(A_INT(now)), &n, e))
        return false;
    *out = n > 0;
    return true;
}

bool mail_queue_take(struct db *db, struct arena *a, struct str lease, int64_t now,
                     int64_t lease_end, struct mail_row *out, struct err *e)
{
    struct db_rows r;
    if (!db_run(db, a, &mail_take, DB_ARGS(A_STR(lease), A_INT(now), A_INT(lease_end)), &r, e))
        return false;
    if (r.n_rows == 0)
        return err_set(e, ERR_NOT_FOUND, "no mail waits");
    *out = (struct mail_row){.id = db_text(&r, 0, 0),
                             .sealed = db_text(&r, 0, 1),
                             .is_written = db_int(&r, 0, 2) != 0,
                             .attempts = db_int(&r, 0, 3),
                             .created_at = db_int(&r, 0, 4),
                             .expires_at = db_int(&r, 0, 5)};
    return true;
}

void mail_queue_written_in(struct db_batch *b, struct str id, struct str lease, struct str sealed,
                           int64_t expires_at)
{
    db_batch_add(b, &mail_written,
                 DB_ARGS(A_STR(id), A_STR(lease), A_STR(sealed), A_INT(expires_at)));
}

bool mail_queue_done(struct db *db, struct arena *a, struct str id, struct str lease, struct err *e)
{
    return rows_change(db, a, &mail_delete, DB_ARGS(A_STR(id), A_STR(lease)), e);
}

bool mail_queue_put_off(struct db *db, struct arena *a, struct str id, struct str lease, int64_t at,
                        struct err *e)
{
    return rows_change(db, a, &mail_put_off, DB_ARGS(A_STR(id), A_STR(lease), A_INT(at)), e);
}
