#include "store/org_policies.h"

#include "store/rows.h"

static const struct db_stmt policy_get = {
    "org_policy_get", "SELECT policy FROM org_policies WHERE org_id = $1", DB_READ, 0};
static const struct db_stmt policy_put = {
    "org_policy_put",
    "INSERT INTO org_policies (org_id, policy, updated_at) VALUES ($1, $2, $3) "
    "ON CONFLICT (org_id) DO UPDATE SET policy = excluded.policy, updated_at = "
    "excluded.updated_at WHERE org_policies.policy = CAST($4 AS TEXT)",
    DB_WRITE, DB_MUST_AFFECT | DB_DURABLE | DB_INVALIDATES};

bool org_policies_get(struct db *db, struct arena *a, struct str org_id, struct str *policy,
                      struct err *e)
{
    struct db_rows r;
    if (!db_one(db, a, &policy_get, DB_ARGS(A_STR(org_id)), &r, e))
        return false;
    *policy = db_text(&r, 0, 0);
    return true;
}

bool org_policies_put(struct db *db, struct arena *a, struct str org_id, struct str before,
                      struct str policy, int64_t now, struct err *e)
{
    return db_run(db, a, &policy_put,
                  DB_ARGS(A_STR(org_id), A_STR(policy), A_INT(now), A_STR(before)), NULL, e);
}
