#include "store/mail_links.h"

#include "store/passwords.h"
#include "store/rows.h"

static const struct db_stmt mail_link_insert = {
    "mail_link_insert",
    "INSERT INTO mail_links (hash, purpose, email, user_id, browser_hash, peer, user_agent, "
    "return_to, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    DB_WRITE, DB_DURABLE};
static const struct db_stmt mail_links_older_delete = {
    "mail_links_older_delete",
    "DELETE FROM mail_links WHERE email = $1 AND purpose = $2 AND hash <> $3", DB_WRITE,
    DB_DURABLE};
static const struct db_stmt mail_links_purge = {
    "mail_links_purge", "DELETE FROM mail_links WHERE expires_at <= $1", DB_WRITE, 0};
static const struct db_stmt mail_link_find = {
    "mail_link_find",
    "SELECT hash, purpose, email, user_id, browser_hash, peer, user_agent, return_to, created_at, "
    "expires_at FROM mail_links WHERE hash = $1 AND purpose = $2 AND used_at IS NULL "
    "AND expires_at > $3",
    DB_READ, 0};
static const struct db_stmt mail_link_take = {
    "mail_link_take",
    "UPDATE mail_links SET used_at = CAST($3 AS BIGINT) WHERE hash = $1 AND purpose = $2 "
    "AND used_at IS NULL AND expires_at > CAST($3 AS BIGINT)",
    DB_WRITE, DB_MUST_AFFECT | DB_DURABLE};
static const struct db_stmt mail_links_of_user_delete = {
    "mail_links_of_user_delete",
    "DELETE FROM mail_links WHERE user_id = $1 AND hash <> CAST($2 AS TEXT) AND used_at IS NULL",
    DB_WRITE, DB_DURABLE};
static const struct db_stmt user_verify = {
    "user_verify",
    "UPDATE users SET email_verified_at = CAST($3 AS BIGINT) WHERE id = $1 AND email = $2 "
    "AND email_verified_at IS NULL",
    DB_WRITE, 0};
static const struct db_stmt user_signup = {
    "user_signup",
    "INSERT INTO users (id, email, name, is_operator, email_verified_at, created_at, updated_at) "
    "VALUES ($1, $2, $3, 0, CAST($4 AS BIGINT), CAST($4 AS BIGINT), CAST($4 AS BIGINT))",
    DB_WRITE, DB_MUST_AFFECT | DB_DURABLE};
static const struct db_stmt user_email_set = {
    "user_email_set",
    "UPDATE users SET email = $3, email_verified_at = CAST($4 AS BIGINT), "
    "updated_at = CAST($4 AS BIGINT) WHERE id = $1 AND email = $2 AND disabled_at IS NULL",
    DB_WRITE, DB_MUST_AFFECT | DB_DURABLE | DB_INVALIDATES};
static const struct db_stmt user_email_sessions_end = {
    "user_email_sessions_end",
    "DELETE FROM browser_sessions WHERE user_id = $1 AND id <> CAST($2 AS TEXT)", DB_WRITE,
    DB_DURABLE};

void mail_links_insert_in(struct db_batch *b, const struct mail_link *l)
{
    db_batch_add(b, &mail_links_purge, DB_ARGS(A_INT(l->created_at)));
    db_batch_add(b, &mail_links_older_delete,
                 DB_ARGS(A_STR(l->email), A_STR(l->purpose), A_STR(l->hash)));
    db_batch_add(b, &mail_link_insert,
                 DB_ARGS(A_STR(l->hash), A_STR(l->purpose), A_STR(l->email), A_STR(l->user_id),
                         A_STR(l->browser_hash), A_STR(l->peer), A_STR(l->user_agent),
                         A_STR(l->return_to), A_INT(l->created_at), A_INT(l->expires_at)));
}

bool mail_links_find(struct db *db, struct arena *a, struct str hash, struct str purpose,
                     int64_t now, struct mail_link *out, struct err *e)
{
    struct db_rows r;
    if (!db_one(db, a, &mail_link_find, DB_ARGS(A_STR(hash), A_STR(purpose), A_INT(now)), &r, e))
        return false;
    *out = (struct mail_link){.hash = db_text(&r, 0, 0),
                              .purpose = db_text(&r, 0, 1),
                              .email = db_text(&r, 0, 2),
                              .user_id = db_text(&r, 0, 3),
                              .browser_hash = db_text(&r, 0, 4),
                              .peer = db_text(&r, 0, 5),
                              .user_agent = db_text(&r, 0, 6),
                              .return_to = db_text(&r, 0, 7),
                              .created_at = db_int(&r, 0, 8),
                              .expires_at = db_int(&r, 0, 9)};
    return true;
}

static void take_in(struct db_batch *b, struct arena *a, const struct mail_link *l, int64_t now)
{
    db_batch_init(b, a);
    db_batch_add(b, &mail_link_take, DB_ARGS(A_STR(l->hash), A_STR(l->purpose), A_INT(now)));
}

static bool take_run(struct db *db, struct db_batch *b, struct err *e)
{
    struct err own;
    e = e ? e : &own;
    if (db_batch_run(db, b, NULL, e))
        return true;
    if ((rows_failed_at(e, &user_signup) || rows_failed_at(e, &user_email_set)) &&
        rows_is_duplicate(e))
        return err_set(e, ERR_CONFLICT, "there is an account with this e-mail address already");
    return rows_is_no_row(e) ? err_set(e, ERR_NOT_FOUND, "this link is not valid any more") : false;
}

static void verify_in(struct db_batch *b, const struct mail_link *l, int64_t now)
{
    db_batch_add(b, &user_verify, DB_ARGS(A_STR(l->user_id), A_STR(l->email), A_INT(now)));
}

bool mail_links_take_magic(struct db *db, struct arena *a, const struct mail_link *l, int64_t now,
                           struct err *e)
{
    struct db_batch b;
    take_in(&b, a, l, now);
    verify_in(&b, l, now);
    return take_run(db, &b, e);
}

bool mail_links_take_reset(struct db *db, struct arena *a, const struct mail_link *l,
                           struct str password_hash, int64_t now, struct err *e)
{
    struct db_batch b;
    take_in(&b, a, l, now);
    passwords_add_put(&b, l->user_id, password_hash, now);
    db_batch_add(&b, &mail_links_of_user_delete, DB_ARGS(A_STR(l->user_id), A_STR(l->hash)));
    verify_in(&b, l, now);
    return take_run(db, &b, e);
}

bool mail_links_take_signup(struct db *db, struct arena *a, const struct mail_link *l,
                            const struct user *user, struct str password_hash, struct err *e)
{
    struct db_batch b;
    take_in(&b, a, l, user->created_at);
    db_batch_add(
        &b, &user_signup,
        DB_ARGS(A_STR(user->id), A_STR(user->email), A_STR(user->name), A_INT(user->created_at)));
    passwords_add(&b, user->id, password_hash, user->created_at);
    return take_run(db, &b, e);
}

bool mail_links_take_email(struct db *db, struct arena *a, const struct mail_link *l,
                           struct str old_email, struct str keep_session_id, int64_t now,
                           struct err *e)
{
    struct db_batch b;
    take_in(&b, a, l, now);
    db_batch_add(&b, &user_email_set,
                 DB_ARGS(A_STR(l->user_id), A_STR(old_email), A_STR(l->email), A_INT(now)));
    db_batch_add(&b, &mail_links_of_user_delete, DB_ARGS(A_STR(l->user_id), A_STR(l->hash)));
    db_batch_add(&b, &user_email_sessions_end, DB_ARGS(A_STR(l->user_id), A_STR(keep_session_id)));
    return take_run(db, &b, e);
}

bool mail_links_note_verified(struct db *db, struct arena *a, struct str user_id, struct str email,
                              int64_t now, struct err *e)
{
    return db_run(db, a, &user_verify, DB_ARGS(A_STR(user_id), A_STR(email), A_INT(now)), NULL, e);
}
