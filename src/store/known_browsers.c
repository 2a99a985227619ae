#include "store/known_browsers.h"

#include "base/limits.h"
#include "store/rows.h"

static const struct db_stmt browsers_purge = {
    "browsers_purge", "DELETE FROM known_browsers WHERE seen_at < $1", DB_WRITE, 0};
/* Alike: 2 for the browser itself or one like it, else 1 when there is any. */
static const struct db_stmt browser_alike = {
    "browser_alike",
    "SELECT COALESCE(MAX(CASE WHEN hash = $2 OR origin = $3 THEN 2 ELSE 1 END), 0) "
    "FROM known_browsers WHERE user_id = $1",
    DB_READ, 0};
static const struct db_stmt browser_note = {
    "browser_note",
    "INSERT INTO known_browsers (user_id, hash, origin, seen_at) VALUES ($1, $2, $3, $4) "
    "ON CONFLICT (user_id, hash) DO UPDATE SET origin = excluded.origin, "
    "seen_at = excluded.seen_at",
    DB_WRITE, 0};
static const struct db_stmt browser_has = {
    "browser_has",
    "SELECT count(*) FROM known_browsers AS k JOIN users AS u ON u.id = k.user_id "
    "WHERE u.email = $1 AND k.hash = $2",
    DB_READ, 0};

bool known_browsers_note(struct db *db, struct arena *a, const struct known_browser *k,
                         enum browser_novelty *out, struct err *e)
{
    static const int64_t kept_ms = (int64_t)LIMIT_MAIL_BROWSER_DAYS * 24 * 60 * 60 * 1000;
    struct db_batch b;
    int64_t alike;
    if (!rows_count(db, a, &browser_alike,
                    DB_ARGS(A_STR(k->user_id), A_STR(k->hash), A_STR(k->origin)), &alike, e))
        return false;
    *out = alike == 2 ? BROWSER_KNOWN : alike == 1 ? BROWSER_NEW : BROWSER_FIRST;
    db_batch_init(&b, a);
    db_batch_add(&b, &browsers_purge, DB_ARGS(A_INT(k->seen_at - kept_ms)));
    db_batch_add(&b, &browser_note,
                 DB_ARGS(A_STR(k->user_id), A_STR(k->hash), A_STR(k->origin), A_INT(k->seen_at)));
    return db_batch_run(db, &b, NULL, e);
}

bool known_browsers_has(struct db *db, struct arena *a, struct str email, struct str hash,
                        bool *out, struct err *e)
{
    int64_t n;
    if (!rows_count(db, a, &browser_has, DB_ARGS(A_STR(email), A_STR(hash)), &n, e))
        return false;
    *out = n > 0;
    return true;
}
