#include "store/oauth_devices.h"

#include "store/rows.h"

#define COLUMNS                                                                                    \
    "hash, user_code_hash, client_id, scope, asked_resource, peer, interval_ms, polled_at, "       \
    "created_at, expires_at, decision, org_id, user_id, resource, granted_scope, auth_time, "      \
    "used_at, grant_id, proof, proof_org_id, two_factor"

enum { KEPT_MS = 10 * 60 * 1000 }; /* so that a late poll hears what happened */

static const struct db_stmt devices_purge = {
    "oauth_devices_purge", "DELETE FROM oauth_devices WHERE expires_at < $1", DB_WRITE, 0};
static const struct db_stmt device_insert = {
    "oauth_device_insert",
    "INSERT INTO oauth_devices (" COLUMNS ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9, NULL, "
    "NULL, NULL, NULL, NULL, NULL, NULL, $10, NULL, NULL, 0)",
    DB_WRITE, DB_DURABLE};
static const struct db_stmt device_get = {
    "oauth_device_get", "SELECT " COLUMNS " FROM oauth_devices WHERE hash = $1", DB_READ, 0};
static const struct db_stmt device_by_user_code = {
    "oauth_device_by_user_code",
    "SELECT " COLUMNS " FROM oauth_devices WHERE user_code_hash = $1 AND decision IS NULL AND "
    "expires_at > $2",
    DB_READ, 0};
static const struct db_stmt device_polled = {
    "oauth_device_polled",
    "UPDATE oauth_devices SET interval_ms = $2, polled_at = $3 WHERE hash = $1", DB_WRITE, 0};
static const struct db_stmt device_decide = {
    "oauth_device_decide",
    "UPDATE oauth_devices SET decision = $2, org_id = $3, user_id = $4, resource = $5, "
    "granted_scope = $6, auth_time = $7, proof = CAST($9 AS TEXT), proof_org_id = CAST($10 AS "
    "TEXT), two_factor = CAST($11 AS BIGINT) WHERE hash = $1 AND decision IS NULL AND expires_at > "
    "$8",
    DB_WRITE, DB_DURABLE};
static const struct db_stmt device_take = {
    "oauth_device_take",
    "UPDATE oauth_devices SET used_at = $2 WHERE hash = $1 AND used_at IS NULL AND decision = "
    "'allowed' AND expires_at > $2",
    DB_WRITE, DB_DURABLE | DB_MUST_AFFECT};

static void device_read(const struct db_rows *r, struct oauth_device *d)
{
    *d = (struct oauth_device){
        .hash = db_text(r, 0, 0),
        .user_code_hash = db_text(r, 0, 1),
        .client_id = db_text(r, 0, 2),
        .scope = db_text(r, 0, 3),
        .asked_resource = db_text(r, 0, 4),
        .peer = db_text(r, 0, 5),
        .interval_ms = db_int(r, 0, 6),
        .polled_at = db_int(r, 0, 7),
        .created_at = db_int(r, 0, 8),
        .expires_at = db_int(r, 0, 9),
        .decision = db_text(r, 0, 10),
        .org_id = db_text(r, 0, 11),
        .user_id = db_text(r, 0, 12),
        .resource = db_text(r, 0, 13),
        .granted_scope = db_text(r, 0, 14),
        .auth_time = db_int(r, 0, 15),
        .used_at = db_int(r, 0, 16),
        .grant_id = db_text(r, 0, 17),
        .proof = {db_text(r, 0, 18), db_text(r, 0, 19), db_int(r, 0, 20) != 0},
    };
}

bool oauth_devices_insert(struct db *db, struct arena *a, const struct oauth_device *d,
                          struct err *e)
{
    struct db_batch b;
    db_batch_init(&b, a);
    db_batch_add(&b, &devices_purge, DB_ARGS(A_INT(d->created_at - KEPT_MS)));
    db_batch_add(&b, &device_insert,
                 DB_ARGS(A_STR(d->hash), A_STR(d->user_code_hash), A_STR(d->client_id),
                         A_STR(d->scope), A_STR(d->asked_resource), A_STR(d->peer),
                         A_INT(d->interval_ms), A_INT(d->created_at), A_INT(d->expires_at),
                         A_STR(d->grant_id)));
    return db_batch_run(db, &b, NULL, e);
}

bool oauth_devices_get(struct db *db, struct arena *a, struct str hash, struct oauth_device *out,
                       struct err *e)
{
    struct db_rows r;
    if (!db_one(db, a, &device_get, DB_ARGS(A_STR(hash)), &r, e))
        return false;
    device_read(&r, out);
    return true;
}

bool oauth_devices_by_user_code(struct db *db, struct arena *a, struct str user_code_hash,
                                int64_t now, struct oauth_device *out, struct err *e)
{
    struct db_rows r;
    if (!db_one(db, a, &device_by_user_code, DB_ARGS(A_STR(user_code_hash), A_INT(now)), &r, e))
        return false;
    device_read(&r, out);
    return true;
}

bool oauth_devices_polled(struct db *db, struct arena *a, struct str hash, int64_t interval_ms,
                          int64_t now, struct err *e)
{
    return db_run(db, a, &device_polled, DB_ARGS(A_STR(hash), A_INT(interval_ms), A_INT(now)), NULL,
                  e);
}

bool oauth_devices_decide(struct db *db, struct arena *a, const struct oauth_device *d, int64_t now,
                          struct err *e)
{
    return rows_change(db, a, &device_decide,
                       DB_ARGS(A_STR(d->hash), A_STR(d->decision), A_STR(d->org_id),
                               A_STR(d->user_id), A_STR(d->resource), A_STR(d->granted_scope),
                               A_TIME(d->auth_time), A_INT(now), A_STR(d->proof.by),
                               A_STR(d->proof.org_id), A_INT(d->proof.is_two_factor)),
                       e);
}

bool oauth_devices_redeem(struct db *db, struct arena *a, const struct oauth_device *d,
                          const struct oauth_pair *p, struct err *e)
{
    struct db_batch b;
    const struct oauth_code as_code = {.grant_id = d->grant_id,
                                       .org_id = d->org_id,
                                       .user_id = d->user_id,
                                       .client_id = d->client_id,
                                       .resource = d->resource,
                                       .scope = d->granted_scope,
                                       .proof = d->proof};
    db_batch_init(&b, a);
    db_batch_add(&b, &device_take, DB_ARGS(A_STR(d->hash), A_INT(p->now)));
    oauth_tokens_add_first(&b, &as_code, STR("device"), p);
    oauth_grants_add_consented(&b, d->client_id, p->now);
    if (db_batch_run(db, &b, NULL, e))
        return true;
    return rows_is_no_row(e) ? err_set(e, ERR_NOT_FOUND, "not found") : false;
}
