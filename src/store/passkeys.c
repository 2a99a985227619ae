#include "store/passkeys.h"

#include "base/limits.h"
#include "store/rows.h"

#define PASSKEY_COLUMNS                                                                            \
    "id, user_id, credential_id, public_key, sign_count, is_backup_eligible, is_backed_up, "       \
    "aaguid, name, created_at, last_used_at"

static const struct db_stmt passkey_insert = {
    "passkey_insert",
    "INSERT INTO passkeys (id, user_id, credential_id, public_key, sign_count, "
    "is_backup_eligible, is_backed_up, aaguid, name, created_at) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    DB_WRITE, DB_DURABLE};
static const struct db_stmt passkey_by_credential = {
    "passkey_by_credential", "SELECT " PASSKEY_COLUMNS " FROM passkeys WHERE credential_id = $1",
    DB_READ, 0};
static const struct db_stmt passkeys_of_user = {"passkeys_of_user",
                                                "SELECT " PASSKEY_COLUMNS
                                                " FROM passkeys WHERE user_id = $1 "
                                                "ORDER BY created_at, id LIMIT CAST($2 AS BIGINT)",
                                                DB_LIST, 0};
static const struct db_stmt passkey_used = {
    "passkey_used",
    "UPDATE passkeys SET sign_count = CAST($2 AS BIGINT), is_backed_up = $3, last_used_at = $4 "
    "WHERE id = $1 AND (sign_count < CAST($2 AS BIGINT) "
    "OR (sign_count = 0 AND CAST($2 AS BIGINT) = 0))",
    DB_WRITE, DB_DURABLE};
static const struct db_stmt passkey_rename = {
    "passkey_rename", "UPDATE passkeys SET name = $3 WHERE user_id = $1 AND id = $2", DB_WRITE, 0};
static const struct db_stmt passkey_delete = {
    "passkey_delete", "DELETE FROM passkeys WHERE user_id = $1 AND id = $2", DB_WRITE, DB_DURABLE};
/* The update changes nothing: it makes the row that is there come back. */
static const struct db_stmt handle_get = {
    "passkey_handle_get",
    "INSERT INTO passkey_handles (user_id, handle) VALUES ($1, $2) "
    "ON CONFLICT (user_id) DO UPDATE SET handle = passkey_handles.handle RETURNING handle",
    DB_WRITE, DB_DURABLE};
static const struct db_stmt challenges_purge = {
    "challenges_purge", "DELETE FROM passkey_challenges WHERE expires_at <= $1", DB_WRITE, 0};
static const struct db_stmt challenge_insert = {
    "challenge_insert",
    "INSERT INTO passkey_challenges (hash, purpose, user_id, browser_hash, created_at, expires_at) "
    "VALUES ($1, $2, $3, $4, $5, $6)",
    DB_WRITE, 0};
static const struct db_stmt challenge_take = {
    "challenge_take",
    "DELETE FROM passkey_challenges WHERE hash = $1 "
    "RETURNING purpose, user_id, browser_hash, expires_at",
    DB_WRITE, 0};

static void passkey_read(const struct db_rows *r, size_t row, void *item)
{
    struct passkey *p = item;
    *p = (struct passkey){
        .id = db_text(r, row, 0),
        .user_id = db_text(r, row, 1),
        .credential_id = db_text(r, row, 2),
        .public_key = db_text(r, row, 3),
        .sign_count = db_int(r, row, 4),
        .is_backup_eligible = db_int(r, row, 5) != 0,
        .is_backed_up = db_int(r, row, 6) != 0,
        .aaguid = db_text(r, row, 7),
        .name = db_text(r, row, 8),
        .created_at = db_int(r, row, 9),
        .last_used_at = db_int(r, row, 10),
    };
}
static const struct rows_kind passkey_kind = {sizeof(struct passkey), passkey_read};

bool passkeys_insert(struct db *db, struct arena *a, const struct passkey *p, struct err *e)
{
    return db_run(db, a, &passkey_insert,
                  DB_ARGS(A_STR(p->id), A_STR(p->user_id), A_STR(p->credential_id),
                          A_STR(p->public_key), A_INT(p->sign_count), A_INT(p->is_backup_eligible),
                          A_INT(p->is_backed_up), A_STR(p->aaguid), A_STR(p->name),
                          A_INT(p->created_at)),
                  NULL, e);
}

bool passkeys_by_credential(struct db *db, struct arena *a, struct str credential_id,
                            struct passkey *out, struct err *e)
{
    struct db_rows r;
    if (!db_one(db, a, &passkey_by_credential, DB_ARGS(A_STR(credential_id)), &r, e))
        return false;
    passkey_read(&r, 0, out);
    return true;
}

bool passkeys_list(struct db *db, struct arena *a, struct str user_id, struct passkey **out,
                   size_t *n, struct err *e)
{
    struct rows_found found;
    if (!rows_list(db, a, &passkeys_of_user, DB_ARGS(A_STR(user_id), A_INT(LIMIT_PASSKEYS)),
                   &passkey_kind, &found, e))
        return false;
    *out = found.items;
    *n = found.n;
    return true;
}

bool passkeys_used(struct db *db, struct arena *a, const struct passkey *p, int64_t sign_count,
                   bool is_backed_up, int64_t now, struct err *e)
{
    if (rows_change(db, a, &passkey_used,
                    DB_ARGS(A_STR(p->id), A_INT(sign_count), A_INT(is_backed_up), A_INT(now)), e))
        return true;
    return e->code == ERR_NOT_FOUND
               ? err_set(e, ERR_CONFLICT, "the counter of this passkey went backwards")
               : false;
}

bool passkeys_rename(struct db *db, struct arena *a, struct str user_id, struct str id,
                     struct str name, struct err *e)
{
    return rows_change(db, a, &passkey_rename, DB_ARGS(A_STR(user_id), A_STR(id), A_STR(name)), e);
}

bool passkeys_delete(struct db *db, struct arena *a, struct str user_id, struct str id,
                     struct err *e)
{
    return rows_change(db, a, &passkey_delete, DB_ARGS(A_STR(user_id), A_STR(id)), e);
}

bool passkey_handles_get(struct db *db, struct arena *a, struct str user_id, struct str fresh,
                         struct str *handle, struct err *e)
{
    struct db_rows r;
    if (!db_one(db, a, &handle_get, DB_ARGS(A_STR(user_id), A_STR(fresh)), &r, e))
        return false;
    *handle = db_text(&r, 0, 0);
    return true;
}

bool passkey_challenges_insert(struct db *db, struct arena *a, const struct passkey_challenge *c,
                               struct err *e)
{
    struct db_batch b;
    db_batch_init(&b, a);
    db_batch_add(&b, &challenges_purge, DB_ARGS(A_INT(c->created_at)));
    db_batch_add(&b, &challenge_insert,
                 DB_ARGS(A_STR(c->hash), A_STR(c->purpose), A_STR(c->user_id),
                         A_STR(c->browser_hash), A_INT(c->created_at), A_INT(c->expires_at)));
    return db_batch_run(db, &b, NULL, e);
}

bool passkey_challenges_take(struct db *db, struct arena *a, const struct passkey_challenge *c,
                             int64_t now, struct err *e)
{
    struct db_rows r;
    if (!db_run(db, a, &challenge_take, DB_ARGS(A_STR(c->hash)), &r, e))
        return false;
    bool fits = r.n_rows == 1 && str_eq(db_text(&r, 0, 0), c->purpose) &&
                str_eq(db_text(&r, 0, 1), c->user_id) &&
                str_eq(db_text(&r, 0, 2), c->browser_hash) && db_int(&r, 0, 3) > now;
    return fits || err_set(e, ERR_NOT_FOUND, "this attempt is too old or was used already");
}
