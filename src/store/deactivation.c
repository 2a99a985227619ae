#include "store/deactivation.h"

#include "store/members.h"
#include "store/rows.h"

static const struct db_stmt org_lock = {
    "deactivation_org_lock", "UPDATE organizations SET updated_at = updated_at WHERE id = $1",
    DB_WRITE, 0};
static const struct db_stmt member_deactivate = {
    "member_deactivate",
    "UPDATE members SET deactivated_at = COALESCE(deactivated_at, CAST($3 AS BIGINT)) "
    "WHERE org_id = $1 AND user_id = $2 AND (is_owner = 0 OR EXISTS (SELECT 1 FROM members o WHERE "
    "o.org_id = members.org_id AND o.user_id <> members.user_id AND o.is_owner = 1 AND "
    "o.deactivated_at IS NULL))",
    DB_WRITE, DB_MUST_AFFECT | DB_DURABLE | DB_INVALIDATES};
static const struct db_stmt member_activate = {
    "member_activate",
    "UPDATE members SET deactivated_at = NULL WHERE org_id = $1 AND user_id = $2", DB_WRITE,
    DB_DURABLE | DB_INVALIDATES};
static const struct db_stmt keys_end = {"deactivation_keys_end",
                                        "DELETE FROM api_keys WHERE org_id = $1 AND user_id = $2",
                                        DB_WRITE, DB_DURABLE | DB_INVALIDATES};
static const struct db_stmt grants_end = {
    "deactivation_grants_end",
    "UPDATE oauth_grants SET revoked_at = $3 WHERE org_id = $1 AND user_id = $2 AND "
    "revoked_at IS NULL",
    DB_WRITE, DB_DURABLE | DB_INVALIDATES};
static const struct db_stmt codes_end = {
    "deactivation_codes_end", "DELETE FROM oauth_codes WHERE org_id = $1 AND user_id = $2",
    DB_WRITE, DB_DURABLE};
static const struct db_stmt devices_end = {
    "deactivation_devices_end", "DELETE FROM oauth_devices WHERE org_id = $1 AND user_id = $2",
    DB_WRITE, DB_DURABLE};
static const struct db_stmt consents_end = {
    "deactivation_consents_end", "DELETE FROM oauth_consents WHERE org_id = $1 AND user_id = $2",
    DB_WRITE, DB_DURABLE};
static const struct db_stmt sessions_end = {
    "deactivation_sessions_end",
    "DELETE FROM browser_sessions WHERE user_id = $2 AND (proof_org_id = $1 OR NOT EXISTS "
    "(SELECT 1 FROM members m WHERE m.user_id = $2 AND m.org_id <> $1 AND m.deactivated_at IS "
    "NULL))",
    DB_WRITE, DB_DURABLE | DB_INVALIDATES};
static const struct db_stmt sessions_leave = {
    "deactivation_sessions_leave",
    "UPDATE browser_sessions SET org_id = NULL WHERE user_id = $2 AND org_id = $1", DB_WRITE, 0};

bool members_deactivate(struct db *db, struct arena *a, struct str org_id, struct str user_id,
                        int64_t now, struct err *e)
{
    static const struct db_stmt *const ends[] = {&keys_end,     &codes_end,    &devices_end,
                                                 &consents_end, &sessions_end, &sessions_leave};
    struct db_batch b;
    struct member m;
    struct err own;
    e = e ? e : &own;
    db_batch_init(&b, a);
    db_batch_add(&b, &org_lock, DB_ARGS(A_STR(org_id)));
    db_batch_add(&b, &member_deactivate, DB_ARGS(A_STR(org_id), A_STR(user_id), A_INT(now)));
    db_batch_add(&b, &grants_end, DB_ARGS(A_STR(org_id), A_STR(user_id), A_INT(now)));
    for (size_t i = 0; i < ARRAY_LEN(ends); i++)
        db_batch_add(&b, ends[i], DB_ARGS(A_STR(org_id), A_STR(user_id)));
    if (db_batch_run(db, &b, NULL, e))
        return true;
    if (!rows_failed_at(e, &member_deactivate))
        return false;
    return members_get(db, a, org_id, user_id, &m, e) &&
           err_set(e, ERR_UNPROCESSABLE, "an organization needs at least one owner");
}

bool members_activate(struct db *db, struct arena *a, struct str org_id, struct str user_id,
                      struct err *e)
{
    return rows_change(db, a, &member_activate, DB_ARGS(A_STR(org_id), A_STR(user_id)), e);
}
