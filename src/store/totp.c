#include "store/totp.h"

#include "store/rows.h"

static const struct db_stmt totp_insert = {
    "totp_insert",
    "INSERT INTO user_totp (user_id, sealed, last_step, created_at, session_id) "
    "VALUES (CAST($1 AS TEXT), CAST($2 AS TEXT), 0, CAST($3 AS BIGINT), CAST($4 AS TEXT)) "
    "ON CONFLICT (user_id) DO UPDATE SET sealed = excluded.sealed, last_step = 0, "
    "created_at = excluded.created_at, session_id = excluded.session_id WHERE "
    "user_totp.confirmed_at IS NULL",
    DB_WRITE, DB_DURABLE};
static const struct db_stmt totp_by_user = {
    "totp_by_user", "SELECT sealed, confirmed_at, session_id FROM user_totp WHERE user_id = $1",
    DB_READ, 0};
static const struct db_stmt totp_confirm_first = {
    "totp_confirm_first",
    "UPDATE user_totp SET confirmed_at = $3, last_step = CAST($2 AS BIGINT) WHERE user_id = $1 "
    "AND confirmed_at IS NULL AND last_step < CAST($2 AS BIGINT) AND session_id = $4",
    DB_WRITE, DB_DURABLE};
static const struct db_stmt totp_take_step = {
    "totp_take_step",
    "UPDATE user_totp SET last_step = CAST($2 AS BIGINT) WHERE user_id = $1 "
    "AND confirmed_at IS NOT NULL AND last_step < CAST($2 AS BIGINT)",
    DB_WRITE, DB_DURABLE};
static const struct db_stmt totp_remove = {
    "totp_remove", "DELETE FROM user_totp WHERE user_id = $1", DB_WRITE, DB_DURABLE};
static const struct db_stmt totp_seeds = {
    "totp_seeds",
    "SELECT user_id, sealed FROM user_totp WHERE user_id > $1 ORDER BY user_id "
    "LIMIT CAST($2 AS BIGINT)",
    DB_LIST, 0};
static const struct db_stmt totp_seal_anew = {
    "totp_seal_anew", "UPDATE user_totp SET sealed = $3 WHERE user_id = $1 AND sealed = $2",
    DB_WRITE, DB_DURABLE};
static const struct db_stmt recovery_insert = {
    "recovery_insert", "INSERT INTO recovery_codes (hash, user_id, created_at) VALUES ($1, $2, $3)",
    DB_WRITE, DB_DURABLE};
static const struct db_stmt recovery_take = {
    "recovery_take",
    "UPDATE recovery_codes SET used_at = $3 WHERE user_id = $1 AND hash = $2 AND used_at IS NULL",
    DB_WRITE, DB_DURABLE};
static const struct db_stmt recovery_remove = {
    "recovery_remove", "DELETE FROM recovery_codes WHERE user_id = $1", DB_WRITE, DB_DURABLE};
static const struct db_stmt factors_remove_passkeys = {
    "factors_remove_passkeys", "DELETE FROM passkeys WHERE user_id = $1", DB_WRITE, DB_DURABLE};
static const struct db_stmt factors_remove_pending = {
    "factors_remove_pending", "DELETE FROM pending_signins WHERE user_id = $1", DB_WRITE,
    DB_DURABLE};
static const struct db_stmt factors_of_user = {
    "factors_of_user",
    "SELECT (SELECT count(*) FROM user_totp WHERE user_id = CAST($1 AS TEXT) "
    "AND confirmed_at IS NOT NULL), "
    "(SELECT count(*) FROM passkeys WHERE user_id = CAST($1 AS TEXT)), "
    "(SELECT count(*) FROM recovery_codes WHERE user_id = CAST($1 AS TEXT) AND used_at IS NULL)",
    DB_READ, 0};

bool totp_start(struct db *db, struct arena *a, struct str user_id, const struct totp_row *row,
                int64_t now, struct err *e)
{
    if (rows_change(db, a, &totp_insert,
                    DB_ARGS(A_STR(user_id), A_STR(row->sealed), A_INT(now), A_STR(row->session_id)),
                    e))
        return true;
    return e->code == ERR_NOT_FOUND
               ? err_set(e, ERR_CONFLICT, "there is an authenticator app already")
               : false;
}

bool totp_get(struct db *db, struct arena *a, struct str user_id, struct totp_row *out,
              struct err *e)
{
    struct db_rows r;
    if (!db_one(db, a, &totp_by_user, DB_ARGS(A_STR(user_id)), &r, e))
        return false;
    *out = (struct totp_row){.sealed = db_text(&r, 0, 0),
                             .confirmed_at = db_int(&r, 0, 1),
                             .session_id = db_text(&r, 0, 2)};
    return true;
}

bool totp_confirm(struct db *db, struct arena *a, struct str user_id, struct str session_id,
                  int64_t step, int64_t now, struct err *e)
{
    return rows_change(db, a, &totp_confirm_first,
                       DB_ARGS(A_STR(user_id), A_INT(step), A_INT(now), A_STR(session_id)), e);
}

bool totp_take(struct db *db, struct arena *a, struct str user_id, int64_t step, struct err *e)
{
    return rows_change(db, a, &totp_take_step, DB_ARGS(A_STR(user_id), A_INT(step)), e);
}

bool totp_delete(struct db *db, struct arena *a, struct str user_id, struct err *e)
{
    return rows_change(db, a, &totp_remove, DB_ARGS(A_STR(user_id)), e);
}

static void sealed_read(const struct db_rows *r, size_t row, void *item)
{
    struct totp_sealed *s = item;
    *s = (struct totp_sealed){.user_id = db_text(r, row, 0), .sealed = db_text(r, row, 1)};
}
static const struct rows_kind sealed_kind = {sizeof(struct totp_sealed), sealed_read};

bool totp_list_sealed(struct db *db, struct arena *a, struct str after_user_id, int limit,
                      struct totp_sealed **out, size_t *n, struct err *e)
{
    struct rows_found found;
    if (!rows_list(db, a, &totp_seeds, DB_ARGS(A_STR(after_user_id), A_INT(limit)), &sealed_kind,
                   &found, e))
        return false;
    *out = found.items;
    *n = found.n;
    return true;
}

bool totp_reseal(struct db *db, struct arena *a, const struct totp_sealed *old, struct str sealed,
                 struct err *e)
{
    return db_run(db, a, &totp_seal_anew,
                  DB_ARGS(A_STR(old->user_id), A_STR(old->sealed), A_STR(sealed)), NULL, e);
}

bool recovery_codes_put(struct db *db, struct arena *a, struct str user_id,
                        const struct str *hashes, size_t n, int64_t now, struct err *e)
{
    struct db_batch b;
    db_batch_init(&b, a);
    db_batch_add(&b, &recovery_remove, DB_ARGS(A_STR(user_id)));
    for (size_t i = 0; i < n; i++)
        db_batch_add(&b, &recovery_insert, DB_ARGS(A_STR(hashes[i]), A_STR(user_id), A_INT(now)));
    return db_batch_run(db, &b, NULL, e);
}

bool recovery_codes_take(struct db *db, struct arena *a, struct str user_id, struct str hash,
                         int64_t now, struct err *e)
{
    return rows_change(db, a, &recovery_take, DB_ARGS(A_STR(user_id), A_STR(hash), A_INT(now)), e);
}

bool recovery_codes_delete(struct db *db, struct arena *a, struct str user_id, struct err *e)
{
    return db_run(db, a, &recovery_remove, DB_ARGS(A_STR(user_id)), NULL, e);
}

bool factors_get(struct db *db, struct arena *a, struct str user_id, struct factors_row *out,
                 struct err *e)
{
    struct db_rows r;
    if (!db_one(db, a, &factors_of_user, DB_ARGS(A_STR(user_id)), &r, e))
        return false;
    *out = (struct factors_row){.has_totp = db_int(&r, 0, 0) > 0,
                                .n_passkeys = db_int(&r, 0, 1),
                                .n_recovery_codes = db_int(&r, 0, 2)};
    return true;
}

bool factors_delete(struct db *db, struct arena *a, struct str user_id, struct err *e)
{
    static const struct db_stmt *const removals[] = {
        &totp_remove, &recovery_remove, &factors_remove_passkeys, &factors_remove_pending};
    struct db_batch b;
    db_batch_init(&b, a);
    for (size_t i = 0; i < ARRAY_LEN(removals); i++)
        db_batch_add(&b, removals[i], DB_ARGS(A_STR(user_id)));
    return db_batch_run(db, &b, NULL, e);
}
