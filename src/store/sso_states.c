#include "store/sso_states.h"

static const struct db_stmt sso_state_insert = {
    "sso_state_insert",
    "INSERT INTO sso_states (hash, provider_id, purpose, browser_hash, sealed, return_to, user_id, "
    "created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    DB_WRITE, 0};
static const struct db_stmt sso_states_purge = {
    "sso_states_purge", "DELETE FROM sso_states WHERE expires_at <= $1", DB_WRITE, 0};
static const struct db_stmt sso_state_take = {
    "sso_state_take",
    "UPDATE sso_states SET used_at = CAST($4 AS BIGINT) WHERE hash = $1 AND provider_id = $2 "
    "AND (browser_hash = CAST($3 AS TEXT) OR (browser_hash IS NULL AND CAST($3 AS TEXT) IS NULL)) "
    "AND used_at IS NULL AND expires_at > CAST($4 AS BIGINT) "
    "RETURNING hash, provider_id, purpose, browser_hash, sealed, return_to, user_id, created_at, "
    "expires_at",
    DB_WRITE, 0};

bool sso_states_insert(struct db *db, struct arena *a, const struct sso_state *s, struct err *e)
{
    struct db_batch b;
    db_batch_init(&b, a);
    db_batch_add(&b, &sso_states_purge, DB_ARGS(A_INT(s->created_at)));
    db_batch_add(&b, &sso_state_insert,
                 DB_ARGS(A_STR(s->hash), A_STR(s->provider_id), A_STR(s->purpose),
                         A_STR(s->browser_hash), A_STR(s->sealed), A_STR(s->return_to),
                         A_STR(s->user_id), A_INT(s->created_at), A_INT(s->expires_at)));
    return db_batch_run(db, &b, NULL, e);
}

bool sso_states_take(struct db *db, struct arena *a, struct str hash, struct str provider_id,
                     struct str browser_hash, int64_t now, struct sso_state *out, struct err *e)
{
    struct db_rows r;
    if (!db_run(db, a, &sso_state_take,
                DB_ARGS(A_STR(hash), A_STR(provider_id), A_STR(browser_hash), A_INT(now)), &r, e))
        return false;
    if (r.n_rows == 0)
        return err_set(e, ERR_NOT_FOUND, "this sign-in is not valid any more");
    *out = (struct sso_state){
        .hash = db_text(&r, 0, 0),
        .provider_id = db_text(&r, 0, 1),
        .purpose = db_text(&r, 0, 2),
        .browser_hash = db_text(&r, 0, 3),
        .sealed = db_text(&r, 0, 4),
        .return_to = db_text(&r, 0, 5),
        .user_id = db_text(&r, 0, 6),
        .created_at = db_int(&r, 0, 7),
        .expires_at = db_int(&r, 0, 8),
    };
    return true;
}
