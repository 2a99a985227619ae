#include "store/offboarding.h"

#include "store/rows.h"

static const struct db_stmt grants_number = {
    "offboarding_grants",
    "SELECT count(*) FROM oauth_grants WHERE org_id = $1 AND user_id = $2 AND revoked_at IS NULL",
    DB_LIST, 0};
static const struct db_stmt credentials_number = {
    "offboarding_credentials",
    "SELECT (SELECT count(*) FROM credentials WHERE org_id = $1 AND user_id = $2) + (SELECT "
    "count(*) FROM downstream_tokens WHERE org_id = $1 AND user_id = $2)",
    DB_LIST, 0};
static const struct db_stmt authorized = {
    "offboarding_authorized",
    "SELECT DISTINCT connection_id FROM downstream_tokens WHERE org_id = $1 AND authorized_by = $2 "
    "AND user_id = '' ORDER BY connection_id",
    DB_LIST, 0};

bool offboarding_look(struct db *db, struct arena *a, struct str org_id, struct str user_id,
                      struct offboarding *out, struct err *e)
{
    struct db_rows r;
    struct db_args who = DB_ARGS(A_STR(org_id), A_STR(user_id));
    *out = (struct offboarding){0};
    if (!rows_count(db, a, &grants_number, who, &out->n_grants, e) ||
        !rows_count(db, a, &credentials_number, who, &out->n_credentials, e) ||
        !db_run(db, a, &authorized, who, &r, e))
        return false;
    out->connection_ids = arena_alloc(a, (r.n_rows + 1) * sizeof(*out->connection_ids));
    if (!out->connection_ids)
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    for (size_t i = 0; i < r.n_rows; i++)
        out->connection_ids[out->n_connections++] = db_text(&r, i, 0);
    return true;
}
