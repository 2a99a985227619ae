#include "store/users.h"

#include "store/oauth_grants.h"
#include "store/rows.h"

#define USER_COLUMNS "id, email, name, is_operator, disabled_at, created_at, updated_at"
#define USER_SELECT  "SELECT " USER_COLUMNS ", email_verified_at FROM users "

static const struct db_stmt user_insert = {
    "user_insert", "INSERT INTO users (" USER_COLUMNS ") VALUES ($1, $2, $3, $4, $5, $6, $7)",
    DB_WRITE, DB_DURABLE};
static const struct db_stmt user_by_id = {"user_by_id", USER_SELECT "WHERE id = $1", DB_READ, 0};
static const struct db_stmt user_by_email = {"user_by_email", USER_SELECT "WHERE email = $1",
                                             DB_READ, 0};
static const struct db_stmt user_update_name = {
    "user_update_name", "UPDATE users SET name = $2, updated_at = $3 WHERE id = $1", DB_WRITE, 0};
static const struct db_stmt user_set_operator = {
    "user_set_operator", "UPDATE users SET is_operator = $2, updated_at = $3 WHERE id = $1",
    DB_WRITE, DB_INVALIDATES | DB_DURABLE};
static const struct db_stmt user_set_disabled = {
    "user_set_disabled",
    "UPDATE users SET disabled_at = $2, updated_at = $3 WHERE id = $1 AND kind = 'person'",
    DB_WRITE, DB_INVALIDATES | DB_DURABLE | DB_MUST_AFFECT};
static const struct db_stmt user_sessions_end = {"user_sessions_end",
                                                 "DELETE FROM browser_sessions WHERE user_id = $1",
                                                 DB_WRITE, DB_INVALIDATES | DB_DURABLE};
static const struct db_stmt users_share = {
    "users_share",
    "SELECT 1 FROM members a JOIN members b ON b.org_id = a.org_id "
    "WHERE a.user_id = $1 AND b.user_id = $2 AND a.deactivated_at IS NULL LIMIT 1",
    DB_READ, 0};
static const struct db_stmt users_number = {"users_number", "SELECT count(*) FROM users", DB_LIST,
                                            0};

static void user_read(const struct db_rows *r, size_t row, struct user *u)
{
    *u = (struct user){
        .id = db_text(r, row, 0),
        .email = db_text(r, row, 1),
        .name = db_text(r, row, 2),
        .is_operator = db_int(r, row, 3) != 0,
        .disabled_at = db_int(r, row, 4),
        .created_at = db_int(r, row, 5),
        .updated_at = db_int(r, row, 6),
        .email_verified_at = db_int(r, row, 7),
    };
}

bool users_insert(struct db *db, struct arena *a, const struct user *u, struct err *e)
{
    struct err own;
    e = e ? e : &own;
    if (db_run(db, a, &user_insert,
               DB_ARGS(A_STR(u->id), A_STR(u->email), A_STR(u->name), A_INT(u->is_operator),
                       A_TIME(u->disabled_at), A_INT(u->created_at), A_INT(u->updated_at)),
               NULL, e))
        return true;
    if (rows_is_duplicate(e))
        err_set(e, ERR_CONFLICT, "a user with this e-mail address exists already");
    return false;
}

static bool user_one(struct db *db, struct arena *a, const struct db_stmt *s, struct str key,
                     struct user *out, struct err *e)
{
    struct db_rows r;
    if (!db_one(db, a, s, DB_ARGS(A_STR(key)), &r, e))
        return false;
    user_read(&r, 0, out);
    return true;
}

bool users_get(struct db *db, struct arena *a, struct str id, struct user *out, struct err *e)
{
    return user_one(db, a, &user_by_id, id, out, e);
}

bool users_by_email(struct db *db, struct arena *a, struct str email_lower, struct user *out,
                    struct err *e)
{
    return user_one(db, a, &user_by_email, email_lower, out, e);
}

bool users_update_name(struct db *db, struct arena *a, struct str id, struct str name, int64_t now,
                       struct err *e)
{
    return rows_change(db, a, &user_update_name, DB_ARGS(A_STR(id), A_STR(name), A_INT(now)), e);
}

bool users_set_operator(struct db *db, struct arena *a, struct str id, bool is_operator,
                        int64_t now, struct err *e)
{
    return rows_change(db, a, &user_set_operator,
                       DB_ARGS(A_STR(id), A_INT(is_operator), A_INT(now)), e);
}

bool users_set_disabled(struct db *db, struct arena *a, struct str id, int64_t disabled_at,
                        int64_t now, struct err *e)
{
    struct db_batch b;
    db_batch_init(&b, a);
    db_batch_add(&b, &user_set_disabled, DB_ARGS(A_STR(id), A_TIME(disabled_at), A_INT(now)));
    if (disabled_at) {
        db_batch_add(&b, &user_sessions_end, DB_ARGS(A_STR(id)));
        oauth_grants_add_end_of_user(&b, id, now);
    }
    if (db_batch_run(db, &b, NULL, e))
        return true;
    return rows_is_no_row(e) ? err_set(e, ERR_NOT_FOUND, "no such user") : false;
}

bool users_share_org(struct db *db, struct arena *a, struct str user_id, struct str other_id,
                     bool *out, struct err *e)
{
    struct db_rows r;
    if (!db_run(db, a, &users_share, DB_ARGS(A_STR(user_id), A_STR(other_id)), &r, e))
        return false;
    *out = r.n_rows > 0;
    return true;
}

bool users_count(struct db *db, struct arena *a, int64_t *out, struct err *e)
{
    return rows_count(db, a, &users_number, DB_NO_ARGS, out, e);
}
