#include "store/one_time_tokens.h"

#include "store/passwords.h"
#include "store/rows.h"

static const struct db_stmt token_insert = {
    "token_insert",
    "INSERT INTO one_time_tokens (hash, purpose, user_id, created_at, expires_at) "
    "VALUES ($1, $2, $3, $4, $5)",
    DB_WRITE, DB_DURABLE};
static const struct db_stmt tokens_purge = {
    "tokens_purge", "DELETE FROM one_time_tokens WHERE expires_at <= $1", DB_WRITE, 0};
static const struct db_stmt token_find = {
    "token_find",
    "SELECT hash, purpose, user_id, created_at, expires_at FROM one_time_tokens "
    "WHERE hash = $1 AND purpose = $2 AND used_at IS NULL AND expires_at > $3",
    DB_READ, 0};
static const struct db_stmt token_take = {
    "token_take",
    "UPDATE one_time_tokens SET used_at = CAST($3 AS BIGINT) WHERE hash = $1 AND purpose = $2 "
    "AND used_at IS NULL AND expires_at > CAST($3 AS BIGINT)",
    DB_WRITE, DB_MUST_AFFECT | DB_DURABLE};
static const struct db_stmt setup_others_delete = {
    "setup_others_delete", "DELETE FROM one_time_tokens WHERE purpose = 'setup' AND hash <> $1",
    DB_WRITE, 0};
/* The condition makes a second link useless even when two are used at the same moment. */
static const struct db_stmt setup_operator_insert = {
    "setup_operator_insert",
    "INSERT INTO users (id, email, name, is_operator, created_at, updated_at) "
    "SELECT CAST($1 AS TEXT), CAST($2 AS TEXT), CAST($3 AS TEXT), 1, CAST($4 AS BIGINT), "
    "CAST($4 AS BIGINT) WHERE NOT EXISTS "
    "(SELECT 1 FROM users WHERE is_operator = 1 AND disabled_at IS NULL)",
    DB_WRITE, DB_MUST_AFFECT | DB_DURABLE};
static const struct db_stmt operators_number = {
    "operators_number", "SELECT count(*) FROM users WHERE is_operator = 1 AND disabled_at IS NULL",
    DB_LIST, 0};

bool one_time_tokens_insert(struct db *db, struct arena *a, const struct one_time_token *t,
                            struct err *e)
{
    struct db_batch b;
    db_batch_init(&b, a);
    db_batch_add(&b, &tokens_purge, DB_ARGS(A_INT(t->created_at)));
    db_batch_add(&b, &token_insert,
                 DB_ARGS(A_STR(t->hash), A_STR(t->purpose), A_STR(t->user_id), A_INT(t->created_at),
                         A_INT(t->expires_at)));
    return db_batch_run(db, &b, NULL, e);
}

bool one_time_tokens_find(struct db *db, struct arena *a, struct str hash, struct str purpose,
                          int64_t now, struct one_time_token *out, struct err *e)
{
    struct db_rows r;
    if (!db_one(db, a, &token_find, DB_ARGS(A_STR(hash), A_STR(purpose), A_INT(now)), &r, e))
        return false;
    *out = (struct one_time_token){.hash = db_text(&r, 0, 0),
                                   .purpose = db_text(&r, 0, 1),
                                   .user_id = db_text(&r, 0, 2),
                                   .created_at = db_int(&r, 0, 3),
                                   .expires_at = db_int(&r, 0, 4)};
    return true;
}

static bool link_is_dead(struct err *e)
{
    return err_set(e, ERR_NOT_FOUND, "this link is not valid any more");
}

bool one_time_tokens_take_setup(struct db *db, struct arena *a, struct str hash,
                                const struct user *operator, struct str password_hash,
                                struct err *e)
{
    struct db_batch b;
    struct err own;
    e = e ? e : &own;
    db_batch_init(&b, a);
    db_batch_add(&b, &token_take,
                 DB_ARGS(A_STR(hash), A_STR(STR("setup")), A_INT(operator->created_at)));
    db_batch_add(&b, &setup_others_delete, DB_ARGS(A_STR(hash)));
    db_batch_add(&b, &setup_operator_insert,
                 DB_ARGS(A_STR(operator->id), A_STR(operator->email), A_STR(operator->name),
                         A_INT(operator->created_at)));
    passwords_add(&b, operator->id, password_hash, operator->created_at);
    if (db_batch_run(db, &b, NULL, e))
        return true;
    if (rows_failed_at(e, &setup_operator_insert) && rows_is_duplicate(e))
        return err_set(e, ERR_CONFLICT, "there is an account with this e-mail address already");
    if (rows_is_no_row(e))
        return link_is_dead(e);
    return false;
}

bool one_time_tokens_take_password(struct db *db, struct arena *a, const struct one_time_token *t,
                                   struct str password_hash, int64_t now, struct err *e)
{
    struct db_batch b;
    struct err own;
    e = e ? e : &own;
    db_batch_init(&b, a);
    db_batch_add(&b, &token_take, DB_ARGS(A_STR(t->hash), A_STR(STR("password")), A_INT(now)));
    passwords_add_put(&b, t->user_id, password_hash, now);
    if (db_batch_run(db, &b, NULL, e))
        return true;
    return rows_is_no_row(e) ? link_is_dead(e) : false;
}

bool one_time_tokens_has_operator(struct db *db, struct arena *a, bool *out, struct err *e)
{
    int64_t n;
    if (!rows_count(db, a, &operators_number, DB_NO_ARGS, &n, e))
        return false;
    *out = n > 0;
    return true;
}
