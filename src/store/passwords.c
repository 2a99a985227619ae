#include "store/passwords.h"

#include "store/oauth_grants.h"

static const struct db_stmt password_get = {
    "password_get", "SELECT hash FROM passwords WHERE user_id = $1", DB_READ, 0};
static const struct db_stmt password_put = {
    "password_put",
    "INSERT INTO passwords (user_id, hash, updated_at) VALUES ($1, $2, $3) "
    "ON CONFLICT (user_id) DO UPDATE SET hash = excluded.hash, updated_at = excluded.updated_at",
    DB_WRITE, DB_DURABLE};
static const struct db_stmt password_sessions_end = {
    "password_sessions_end",
    "DELETE FROM browser_sessions WHERE user_id = $1 AND id <> CAST($2 AS TEXT)", DB_WRITE,
    DB_DURABLE};
/* What the old password began, too. */
static const struct db_stmt password_pending_end = {
    "password_pending_end", "DELETE FROM pending_signins WHERE user_id = $1", DB_WRITE, DB_DURABLE};
static const struct db_stmt password_links_end = {
    "password_links_end", "DELETE FROM one_time_tokens WHERE user_id = $1 AND purpose = 'password'",
    DB_WRITE, DB_DURABLE};

bool passwords_get(struct db *db, struct arena *a, struct str user_id, struct str *hash,
                   struct err *e)
{
    struct db_rows r;
    if (!db_one(db, a, &password_get, DB_ARGS(A_STR(user_id)), &r, e))
        return false;
    *hash = db_text(&r, 0, 0);
    return true;
}

void passwords_add(struct db_batch *b, struct str user_id, struct str hash, int64_t now)
{
    db_batch_add(b, &password_put, DB_ARGS(A_STR(user_id), A_STR(hash), A_INT(now)));
}

static void put_add(struct db_batch *b, struct str user_id, struct str hash, struct str keep,
                    int64_t now)
{
    passwords_add(b, user_id, hash, now);
    db_batch_add(b, &password_sessions_end, DB_ARGS(A_STR(user_id), A_STR(keep)));
    db_batch_add(b, &password_pending_end, DB_ARGS(A_STR(user_id)));
    db_batch_add(b, &password_links_end, DB_ARGS(A_STR(user_id)));
    oauth_grants_add_end_of_user(b, user_id, now);
}

void passwords_add_put(struct db_batch *b, struct str user_id, struct str hash, int64_t now)
{
    put_add(b, user_id, hash, STR(""), now);
}

bool passwords_put(struct db *db, struct arena *a, struct str user_id, struct str hash,
                   struct str keep_session_id, int64_t now, struct err *e)
{
    struct db_batch b;
    struct str keep = str_is_absent(keep_session_id) ? STR("") : keep_session_id;
    db_batch_init(&b, a);
    put_add(&b, user_id, hash, keep, now);
    return db_batch_run(db, &b, NULL, e);
}
