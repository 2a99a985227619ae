#include "store/downstream_tokens.h"

#include "store/rows.h"

/* ---- registrations ---- */

static const struct db_stmt client_put = {
    "downstream_client_put",
    "INSERT INTO downstream_clients (org_id, connection_id, issuer, redirect_uri, sealed, "
    "created_at) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (org_id, connection_id, issuer) DO "
    "UPDATE SET redirect_uri = excluded.redirect_uri, sealed = excluded.sealed, "
    "created_at = excluded.created_at",
    DB_WRITE, DB_DURABLE};
static const struct db_stmt client_get = {
    "downstream_client_get",
    "SELECT connection_id, issuer, redirect_uri, sealed, created_at FROM downstream_clients "
    "WHERE org_id = $1 AND connection_id = $2 AND issuer = $3",
    DB_READ, 0};
static const struct db_stmt client_delete = {
    "downstream_client_delete",
    "DELETE FROM downstream_clients WHERE org_id = $1 AND connection_id = $2 AND issuer = $3",
    DB_WRITE, DB_DURABLE};

bool downstream_clients_put(struct db *db, struct arena *a, struct str org_id,
                            const struct downstream_client *c, struct err *e)
{
    return db_run(db, a, &client_put,
                  DB_ARGS(A_STR(org_id), A_STR(c->connection_id), A_STR(c->issuer),
                          A_STR(c->redirect_uri), A_STR(c->sealed), A_INT(c->created_at)),
                  NULL, e);
}

bool downstream_clients_get(struct db *db, struct arena *a, struct str org_id,
                            struct str connection_id, struct str issuer,
                            struct downstream_client *out, struct err *e)
{
    struct db_rows r;
    if (!db_one(db, a, &client_get, DB_ARGS(A_STR(org_id), A_STR(connection_id), A_STR(issuer)), &r,
                e))
        return false;
    *out = (struct downstream_client){.connection_id = db_text(&r, 0, 0),
                                      .issuer = db_text(&r, 0, 1),
                                      .redirect_uri = db_text(&r, 0, 2),
                                      .sealed = db_text(&r, 0, 3),
                                      .created_at = db_int(&r, 0, 4)};
    return true;
}

bool downstream_clients_delete(struct db *db, struct arena *a, struct str org_id,
                               struct str connection_id, struct str issuer, struct err *e)
{
    return db_run(db, a, &client_delete,
                  DB_ARGS(A_STR(org_id), A_STR(connection_id), A_STR(issuer)), NULL, e);
}

/* ---- begun authorizations ---- */

static const struct db_stmt request_expire = {
    "downstream_request_expire", "DELETE FROM downstream_requests WHERE expires_at <= $1", DB_WRITE,
    0};
static const struct db_stmt request_put = {
    "downstream_request_put",
    "INSERT INTO downstream_requests (hash, org_id, connection_id, user_id, person_id, session_id, "
    "issuer, sealed, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    DB_WRITE, 0};
static const struct db_stmt request_take = {
    "downstream_request_take",
    "DELETE FROM downstream_requests WHERE hash = $1 AND session_id = $2 AND expires_at > $3 "
    "RETURNING hash, org_id, connection_id, user_id, person_id, session_id, issuer, sealed, "
    "expires_at",
    DB_WRITE, 0};

bool downstream_requests_put(struct db *db, struct arena *a, const struct downstream_request *r,
                             int64_t now, struct err *e)
{
    struct db_batch b;
    db_batch_init(&b, a);
    db_batch_add(&b, &request_expire, DB_ARGS(A_INT(now)));
    db_batch_add(&b, &request_put,
                 DB_ARGS(A_STR(r->hash), A_STR(r->org_id), A_STR(r->connection_id),
                         A_STR(r->user_id), A_STR(r->person_id), A_STR(r->session_id),
                         A_STR(r->issuer), A_STR(r->sealed), A_INT(r->expires_at)));
    return db_batch_run(db, &b, NULL, e);
}

bool downstream_requests_take(struct db *db, struct arena *a, struct str hash,
                              struct str session_id, int64_t now, struct downstream_request *out,
                              struct err *e)
{
    struct db_rows r;
    if (!db_run(db, a, &request_take, DB_ARGS(A_STR(hash), A_STR(session_id), A_INT(now)), &r, e))
        return false;
    if (r.n_rows != 1)
        return err_set(e, ERR_NOT_FOUND, "no such authorization was begun here");
    *out = (struct downstream_request){.hash = db_text(&r, 0, 0),
                                       .org_id = db_text(&r, 0, 1),
                                       .connection_id = db_text(&r, 0, 2),
                                       .user_id = db_text(&r, 0, 3),
                                       .person_id = db_text(&r, 0, 4),
                                       .session_id = db_text(&r, 0, 5),
                                       .issuer = db_text(&r, 0, 6),
                                       .sealed = db_text(&r, 0, 7),
                                       .expires_at = db_int(&r, 0, 8)};
    return true;
}

/* ---- tokens ---- */

#define TOKEN_COLUMNS                                                                              \
    "connection_id, user_id, issuer, scope, wanted_scope, expires_at, generation, lease_until, "   \
    "failure, authorized_by, authorized_at, updated_at, lease_id"
enum { SEALED_COLUMN = 13 };

static const struct db_stmt token_clear = {
    "downstream_token_clear",
    "DELETE FROM downstream_tokens WHERE org_id = $1 AND connection_id = $2 AND user_id = $3",
    DB_WRITE, DB_DURABLE | DB_INVALIDATES};
static const struct db_stmt token_put = {
    "downstream_token_put",
    "INSERT INTO downstream_tokens (org_id, connection_id, user_id, issuer, scope, sealed, "
    "expires_at, generation, authorized_by, authorized_at, updated_at) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    DB_WRITE, DB_DURABLE | DB_INVALIDATES};
static const struct db_stmt token_get = {
    "downstream_token_get",
    "SELECT " TOKEN_COLUMNS ", sealed FROM downstream_tokens "
    "WHERE org_id = $1 AND connection_id = $2 AND user_id = $3 ORDER BY authorized_at DESC LIMIT 1",
    DB_READ, 0};
static const struct db_stmt token_list = {
    "downstream_token_list",
    "SELECT " TOKEN_COLUMNS " FROM downstream_tokens WHERE org_id = $1 AND user_id = $2 "
    "ORDER BY connection_id",
    DB_LIST, 0};
static const struct db_stmt token_of = {"downstream_token_of",
                                        "SELECT " TOKEN_COLUMNS
                                        ", sealed FROM downstream_tokens WHERE org_id = $1 AND "
                                        "connection_id = $2 ORDER BY user_id",
                                        DB_LIST, 0};
static const struct db_stmt token_lease = {
    "downstream_token_lease",
    "UPDATE downstream_tokens SET lease_id = $6, lease_until = $7 WHERE org_id = $1 AND "
    "connection_id = $2 AND user_id = $3 AND issuer = $4 AND generation = $5 AND failure IS NULL "
    "AND (lease_until IS NULL OR lease_until <= $8)",
    DB_WRITE, DB_DURABLE};
static const struct db_stmt token_renew = {
    "downstream_token_renew",
    "UPDATE downstream_tokens SET scope = $7, sealed = $8, expires_at = $9, updated_at = $10, "
    "generation = generation + 1, lease_id = NULL, lease_until = NULL WHERE org_id = $1 AND "
    "connection_id = $2 AND user_id = $3 AND issuer = $4 AND generation = $5 AND lease_id = $6",
    DB_WRITE, DB_DURABLE};
static const struct db_stmt token_fail = {
    "downstream_token_fail",
    "UPDATE downstream_tokens SET lease_id = NULL, lease_until = $7, failure = $8 WHERE "
    "org_id = $1 AND connection_id = $2 AND user_id = $3 AND issuer = $4 AND generation = $5 AND "
    "lease_id = $6",
    DB_WRITE, DB_DURABLE};
static const struct db_stmt token_want = {
    "downstream_token_want",
    "UPDATE downstream_tokens SET wanted_scope = $6 WHERE org_id = $1 AND connection_id = $2 AND "
    "user_id = $3 AND issuer = $4 AND authorized_at = $5",
    DB_WRITE, 0};

static void token_read(const struct db_rows *r, size_t row, void *item)
{
    struct downstream_token *t = item;
    *t = (struct downstream_token){
        .connection_id = db_text(r, row, 0),
        .user_id = db_text(r, row, 1),
        .issuer = db_text(r, row, 2),
        .scope = db_text(r, row, 3),
        .wanted_scope = db_text(r, row, 4),
        .sealed = r->n_cols > SEALED_COLUMN ? db_text(r, row, SEALED_COLUMN) : STR_NONE,
        .expires_at = db_int(r, row, 5),
        .generation = db_int(r, row, 6),
        .is_leased = !str_is_absent(db_text(r, row, 12)),
        .lease_until = db_int(r, row, 7),
        .failure = db_text(r, row, 8),
        .authorized_by = db_text(r, row, 9),
        .authorized_at = db_int(r, row, 10),
        .updated_at = db_int(r, row, 11),
    };
}
static const struct rows_kind token_kind = {sizeof(struct downstream_token), token_read};

bool downstream_tokens_put(struct db *db, struct arena *a, struct str org_id,
                           const struct downstream_token *t, struct err *e)
{
    struct db_batch b;
    db_batch_init(&b, a);
    db_batch_add(&b, &token_clear,
                 DB_ARGS(A_STR(org_id), A_STR(t->connection_id), A_STR(t->user_id)));
    db_batch_add(&b, &token_put,
                 DB_ARGS(A_STR(org_id), A_STR(t->connection_id), A_STR(t->user_id),
                         A_STR(t->issuer), A_STR(t->scope), A_STR(t->sealed), A_TIME(t->expires_at),
                         A_INT(t->generation), A_STR(t->authorized_by), A_INT(t->authorized_at),
                         A_INT(t->updated_at)));
    return db_batch_run(db, &b, NULL, e);
}

bool downstream_tokens_get(struct db *db, struct arena *a, struct str org_id,
                           struct str connection_id, struct str user_id,
                           struct downstream_token *out, struct err *e)
{
    struct db_rows r;
    if (!db_one(db, a, &token_get, DB_ARGS(A_STR(org_id), A_STR(connection_id), A_STR(user_id)), &r,
                e))
        return false;
    token_read(&r, 0, out);
    return true;
}

bool downstream_tokens_list(struct db *db, struct arena *a, struct str org_id, struct str user_id,
                            struct downstream_token **out, size_t *n, struct err *e)
{
    struct rows_found found;
    if (!rows_list(db, a, &token_list, DB_ARGS(A_STR(org_id), A_STR(user_id)), &token_kind, &found,
                   e))
        return false;
    *out = found.items;
    *n = found.n;
    return true;
}

bool downstream_tokens_of(struct db *db, struct arena *a, struct str org_id,
                          struct str connection_id, struct downstream_token **out, size_t *n,
                          struct err *e)
{
    struct rows_found found;
    if (!rows_list(db, a, &token_of, DB_ARGS(A_STR(org_id), A_STR(connection_id)), &token_kind,
                   &found, e))
        return false;
    *out = found.items;
    *n = found.n;
    return true;
}

#define TOKEN_KEY(org_id, t)                                                                       \
    A_STR(org_id), A_STR((t)->connection_id), A_STR((t)->user_id), A_STR((t)->issuer)

bool downstream_tokens_lease(struct db *db, struct arena *a, struct str org_id,
                             const struct downstream_token *t, const struct downstream_lease *lease,
                             bool *is_ours, struct err *e)
{
    struct db_rows r;
    if (!db_run(db, a, &token_lease,
                DB_ARGS(TOKEN_KEY(org_id, t), A_INT(t->generation), A_STR(lease->id),
                        A_INT(lease->until), A_INT(lease->now)),
                &r, e))
        return false;
    *is_ours = r.n_affected == 1;
    return true;
}

bool downstream_tokens_renew(struct db *db, struct arena *a, struct str org_id,
                             const struct downstream_token *t, struct str lease_id, struct err *e)
{
    struct db_rows r;
    if (!db_run(db, a, &token_renew,
                DB_ARGS(TOKEN_KEY(org_id, t), A_INT(t->generation), A_STR(lease_id),
                        A_STR(t->scope), A_STR(t->sealed), A_TIME(t->expires_at),
                        A_INT(t->updated_at)),
                &r, e))
        return false;
    return r.n_affected == 1 || err_set(e, ERR_CONFLICT, "the authorization was changed meanwhile");
}

bool downstream_tokens_fail(struct db *db, struct arena *a, struct str org_id,
                            const struct downstream_token *t, struct str lease_id, int64_t until,
                            struct str failure, struct err *e)
{
    return db_run(db, a, &token_fail,
                  DB_ARGS(TOKEN_KEY(org_id, t), A_INT(t->generation), A_STR(lease_id),
                          A_TIME(until), A_STR(failure)),
                  NULL, e);
}

bool downstream_tokens_want(struct db *db, struct arena *a, struct str org_id,
                            const struct downstream_token *t, struct str scope, struct err *e)
{
    return db_run(db, a, &token_want,
                  DB_ARGS(TOKEN_KEY(org_id, t), A_INT(t->authorized_at), A_STR(scope)), NULL, e);
}

bool downstream_tokens_delete(struct db *db, struct arena *a, struct str org_id,
                              struct str connection_id, struct str user_id, bool *was_there,
                              struct err *e)
{
    struct db_rows r;
    if (!db_run(db, a, &token_clear, DB_ARGS(A_STR(org_id), A_STR(connection_id), A_STR(user_id)),
                &r, e))
        return false;
    *was_there = r.n_affected > 0;
    return true;
}
