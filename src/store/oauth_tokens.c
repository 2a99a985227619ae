#include "store/oauth_tokens.h"

#include "base/rand.h"
#include "store/rows.h"

enum { PURGE_ONE_IN = 64, TOUCH_MS = 60 * 1000 };

static const struct db_stmt code_take = {
    "oauth_code_take",
    "UPDATE oauth_codes SET used_at = $2 WHERE hash = $1 AND used_at IS NULL AND expires_at > $2 "
    "RETURNING grant_id",
    DB_WRITE, DB_DURABLE | DB_MUST_AFFECT};
static const struct db_stmt grant_insert = {
    "oauth_grant_insert",
    "INSERT INTO oauth_grants (id, org_id, user_id, client_id, resource, scope, redirect_host, "
    "created_at, last_used_at, revoked_at, proof, proof_org_id, two_factor) VALUES ($1, $2, $3, "
    "$4, $5, $6, $7, $8, $8, NULL, $9, $10, $11)",
    DB_WRITE, DB_DURABLE};
static const struct db_stmt grant_clear = {
    "oauth_grant_clear", "DELETE FROM oauth_grants WHERE id = $1 AND revoked_at IS NOT NULL",
    DB_WRITE, DB_DURABLE};
static const struct db_stmt grant_stand = {
    "oauth_grant_stand",
    "INSERT INTO oauth_grants (id, org_id, user_id, client_id, resource, scope, redirect_host, "
    "created_at, last_used_at, revoked_at, proof, proof_org_id, two_factor) VALUES ($1, $2, $3, "
    "$4, $5, $6, $7, $8, $8, NULL, $9, $10, $11) "
    "ON CONFLICT (id) DO UPDATE SET last_used_at = excluded.last_used_at",
    DB_WRITE, DB_DURABLE};
#define ACCESS_INSERT                                                                              \
    "INSERT INTO oauth_access_tokens (hash, org_id, grant_id, scope, created_at, expires_at) "     \
    "SELECT CAST($1 AS TEXT), g.org_id, g.id, CAST($4 AS TEXT), CAST($5 AS BIGINT), CAST($6 AS "   \
    "BIGINT) FROM oauth_grants g WHERE g.org_id = $2 AND g.id = $3 AND g.revoked_at IS NULL"
static const struct db_stmt access_insert = {"oauth_access_insert", ACCESS_INSERT, DB_WRITE,
                                             DB_DURABLE | DB_MUST_AFFECT};
/* Of a grant that stands: survives the process. Lost with the power, the client asks for another.
 */
static const struct db_stmt access_issue = {"oauth_access_issue", ACCESS_INSERT, DB_WRITE,
                                            DB_MUST_AFFECT};
static const struct db_stmt grant_standing = {
    "oauth_grant_standing",
    "SELECT last_used_at FROM oauth_grants WHERE org_id = $1 AND id = $2 AND revoked_at IS NULL",
    DB_READ, 0};
static const struct db_stmt access_purge = {
    "oauth_access_purge", "DELETE FROM oauth_access_tokens WHERE expires_at < $1", DB_WRITE, 0};
static const struct db_stmt refresh_insert = {
    "oauth_refresh_insert",
    "INSERT INTO oauth_refresh_tokens (hash, org_id, grant_id, created_at, expires_at) "
    "VALUES ($1, $2, $3, $4, $5)",
    DB_WRITE, DB_DURABLE};
static const struct db_stmt refresh_purge = {
    "oauth_refresh_purge", "DELETE FROM oauth_refresh_tokens WHERE expires_at < $1", DB_WRITE, 0};
static const struct db_stmt refresh_get = {
    "oauth_refresh_get",
    "SELECT t.hash, t.org_id, t.grant_id, t.created_at, t.expires_at, t.used_at, t.answer, s.hash, "
    "s.used_at FROM oauth_refresh_tokens t LEFT JOIN oauth_refresh_tokens s ON s.hash = "
    "t.successor_hash WHERE t.hash = $1",
    DB_READ, 0};
static const struct db_stmt refresh_take = {
    "oauth_refresh_take",
    "UPDATE oauth_refresh_tokens SET used_at = $2, successor_hash = $3, answer = $4 WHERE hash = "
    "$1 AND used_at IS NULL AND expires_at > $2 RETURNING grant_id",
    DB_WRITE, DB_DURABLE | DB_MUST_AFFECT};
static const struct db_stmt grant_touch = {
    "oauth_grant_touch", "UPDATE oauth_grants SET last_used_at = $2 WHERE id = $1", DB_WRITE, 0};
static const struct db_stmt access_get = {
    "oauth_access_get",
    "SELECT g.id, g.org_id, g.user_id, g.client_id, g.resource, t.scope, t.created_at, "
    "t.expires_at, g.proof, g.proof_org_id, g.two_factor FROM oauth_access_tokens t JOIN "
    "oauth_grants g ON g.id = t.grant_id WHERE "
    "t.hash = $1 AND t.expires_at > $2 AND g.revoked_at IS NULL",
    DB_READ, 0};
static const struct db_stmt access_end = {"oauth_access_end",
                                          "DELETE FROM oauth_access_tokens WHERE hash = $1",
                                          DB_WRITE, DB_DURABLE | DB_INVALIDATES};

/* What has expired goes now and then: to look each time costs as much as to write. */
static void purge_add(struct db_batch *b, const struct db_stmt *purge, int64_t now)
{
    if (rand_u64() % PURGE_ONE_IN == 0)
        db_batch_add(b, purge, DB_ARGS(A_INT(now)));
}

/* Adds the statements that issue a pair. */
static void pair_add(struct db_batch *b, struct str org_id, struct str grant_id,
                     const struct oauth_pair *p)
{
    purge_add(b, &access_purge, p->now);
    db_batch_add(b, &access_insert,
                 DB_ARGS(A_STR(p->access_hash), A_STR(org_id), A_STR(grant_id),
                         A_STR(p->access_scope), A_INT(p->now), A_INT(p->access_expires_at)));
    if (str_is_absent(p->refresh_hash))
        return;
    purge_add(b, &refresh_purge, p->now);
    db_batch_add(b, &refresh_insert,
                 DB_ARGS(A_STR(p->refresh_hash), A_STR(org_id), A_STR(grant_id), A_INT(p->now),
                         A_INT(p->refresh_expires_at)));
}

static bool run(struct db *db, struct db_batch *b, struct err *e)
{
    if (db_batch_run(db, b, NULL, e))
        return true;
    return rows_is_no_row(e) ? err_set(e, ERR_NOT_FOUND, "not found") : false;
}

void oauth_tokens_add_first(struct db_batch *b, const struct oauth_code *code,
                            struct str redirect_host, const struct oauth_pair *p)
{
    db_batch_add(b, &grant_insert,
                 DB_ARGS(A_STR(code->grant_id), A_STR(code->org_id), A_STR(code->user_id),
                         A_STR(code->client_id), A_STR(code->resource), A_STR(code->scope),
                         A_STR(redirect_host), A_INT(p->now), A_STR(code->proof.by),
                         A_STR(code->proof.org_id), A_INT(code->proof.is_two_factor)));
    pair_add(b, code->org_id, code->grant_id, p);
}

bool oauth_tokens_redeem(struct db *db, struct arena *a, const struct oauth_code *code,
                         struct str redirect_host, const struct oauth_pair *p, struct err *e)
{
    struct db_batch b;
    db_batch_init(&b, a);
    db_batch_add(&b, &code_take, DB_ARGS(A_STR(code->hash), A_INT(p->now)));
    oauth_tokens_add_first(&b, code, redirect_host, p);
    return run(db, &b, e);
}

/* *out: when its use was last written; 0: it does not stand. */
static bool standing_since(struct db *db, struct arena *a, const struct oauth_grant *g,
                           int64_t *out, struct err *e)
{
    struct db_rows r;
    *out = 0;
    if (!db_one(db, a, &grant_standing, DB_ARGS(A_STR(g->org_id), A_STR(g->id)), &r, e))
        return e->code == ERR_NOT_FOUND;
    *out = db_int(&r, 0, 0);
    return true;
}

/* *is_issued false: the grant does not stand, or its last use has to be written. */
static bool issue_standing(struct db *db, struct arena *a, struct oauth_grant *g,
                           const struct oauth_pair *p, bool *is_issued, struct err *e)
{
    struct db_batch b;
    *is_issued = false;
    if (!g->last_used_at && !standing_since(db, a, g, &g->last_used_at, e))
        return false;
    if (g->last_used_at < p->now - TOUCH_MS)
        return true;
    db_batch_init(&b, a);
    purge_add(&b, &access_purge, p->now);
    db_batch_add(&b, &access_issue,
                 DB_ARGS(A_STR(p->access_hash), A_STR(g->org_id), A_STR(g->id),
                         A_STR(p->access_scope), A_INT(p->now), A_INT(p->access_expires_at)));
    *is_issued = run(db, &b, e);
    return *is_issued || e->code == ERR_NOT_FOUND;
}

bool oauth_tokens_issue(struct db *db, struct arena *a, struct oauth_grant *g,
                        const struct oauth_pair *p, struct err *e)
{
    struct db_batch b;
    bool is_issued;
    if (!issue_standing(db, a, g, p, &is_issued, e) || is_issued)
        return is_issued;
    db_batch_init(&b, a);
    db_batch_add(&b, &grant_clear, DB_ARGS(A_STR(g->id)));
    db_batch_add(&b, &grant_stand,
                 DB_ARGS(A_STR(g->id), A_STR(g->org_id), A_STR(g->user_id), A_STR(g->client_id),
                         A_STR(g->resource), A_STR(g->scope), A_STR(g->redirect_host),
                         A_INT(p->now), A_STR(g->proof.by), A_STR(g->proof.org_id),
                         A_INT(g->proof.is_two_factor)));
    pair_add(&b, g->org_id, g->id, p);
    if (!run(db, &b, e))
        return false;
    g->last_used_at = p->now;
    return true;
}

bool oauth_tokens_refresh_get(struct db *db, struct arena *a, struct str hash,
                              struct oauth_refresh *out, struct err *e)
{
    struct db_rows r;
    if (!db_one(db, a, &refresh_get, DB_ARGS(A_STR(hash)), &r, e))
        return false;
    *out = (struct oauth_refresh){
        .hash = db_text(&r, 0, 0),
        .org_id = db_text(&r, 0, 1),
        .grant_id = db_text(&r, 0, 2),
        .created_at = db_int(&r, 0, 3),
        .expires_at = db_int(&r, 0, 4),
        .used_at = db_int(&r, 0, 5),
        .answer = db_text(&r, 0, 6),
        .has_successor = !str_is_absent(db_text(&r, 0, 7)),
        .successor_used_at = db_int(&r, 0, 8),
    };
    return true;
}

bool oauth_tokens_rotate(struct db *db, struct arena *a, const struct oauth_refresh *old,
                         const struct oauth_pair *p, struct str answer, struct err *e)
{
    struct db_batch b;
    db_batch_init(&b, a);
    db_batch_add(&b, &refresh_take,
                 DB_ARGS(A_STR(old->hash), A_INT(p->now), A_STR(p->refresh_hash), A_STR(answer)));
    pair_add(&b, old->org_id, old->grant_id, p);
    db_batch_add(&b, &grant_touch, DB_ARGS(A_STR(old->grant_id), A_INT(p->now)));
    return run(db, &b, e);
}

bool oauth_tokens_add_access(struct db *db, struct arena *a, struct str org_id, struct str grant_id,
                             const struct oauth_pair *p, struct err *e)
{
    struct oauth_pair access = *p;
    struct db_batch b;
    access.refresh_hash = STR_NONE;
    db_batch_init(&b, a);
    pair_add(&b, org_id, grant_id, &access);
    return run(db, &b, e);
}

bool oauth_tokens_access_get(struct db *db, struct arena *a, struct str hash, int64_t now,
                             struct oauth_access *out, struct err *e)
{
    struct db_rows r;
    if (!db_one(db, a, &access_get, DB_ARGS(A_STR(hash), A_INT(now)), &r, e))
        return false;
    *out = (struct oauth_access){
        .grant_id = db_text(&r, 0, 0),
        .org_id = db_text(&r, 0, 1),
        .user_id = db_text(&r, 0, 2),
        .client_id = db_text(&r, 0, 3),
        .resource = db_text(&r, 0, 4),
        .scope = db_text(&r, 0, 5),
        .created_at = db_int(&r, 0, 6),
        .expires_at = db_int(&r, 0, 7),
        .proof = {db_text(&r, 0, 8), db_text(&r, 0, 9), db_int(&r, 0, 10) != 0},
    };
    return true;
}

bool oauth_tokens_access_end(struct db *db, struct arena *a, struct str hash, struct err *e)
{
    return db_run(db, a, &access_end, DB_ARGS(A_STR(hash)), NULL, e);
}
