#include "store/oauth_grants.h"

#include "store/rows.h"

#define GRANT_COLUMNS                                                                              \
    "g.id, g.org_id, g.user_id, g.client_id, g.resource, g.scope, g.redirect_host, g.created_at, " \
    "g.last_used_at, g.revoked_at, c.name, u.email, g.proof, g.proof_org_id, g.two_factor"
#define GRANT_FROM                                                                                 \
    " FROM oauth_grants g JOIN oauth_clients c ON c.id = g.client_id JOIN users u ON u.id = "      \
    "g.user_id WHERE "
#define OF_USER "(CAST($2 AS TEXT) IS NULL OR g.user_id = CAST($2 AS TEXT))"
#define CODE_COLUMNS                                                                               \
    "hash, request_id, org_id, user_id, client_id, grant_id, redirect_uri, challenge, resource, "  \
    "scope, created_at, expires_at, used_at, nonce, auth_time, proof, proof_org_id, two_factor"

enum { CODE_KEPT_MS = 10 * 60 * 1000 }; /* a used code is remembered this long: replay */

static const struct db_stmt grant_by_id = {
    "oauth_grant_by_id", "SELECT " GRANT_COLUMNS GRANT_FROM "g.id = $1", DB_READ, 0};
static const struct db_stmt grants_of_org = {
    "oauth_grants_of_org",
    "SELECT " GRANT_COLUMNS GRANT_FROM "g.org_id = $1 AND g.revoked_at IS NULL AND " OF_USER
    " AND (g.created_at, g.id) > (CAST($3 AS BIGINT), CAST($4 AS TEXT)) "
    "ORDER BY g.created_at, g.id LIMIT CAST($5 AS BIGINT)",
    DB_LIST, 0};
static const struct db_stmt grants_number = {
    "oauth_grants_number",
    "SELECT count(*) FROM oauth_grants g WHERE g.org_id = $1 AND g.revoked_at IS NULL AND " OF_USER,
    DB_LIST, 0};
static const struct db_stmt consent_of_grant = {
    "oauth_consent_of_grant",
    "DELETE FROM oauth_consents WHERE EXISTS (SELECT 1 FROM oauth_grants g WHERE g.org_id = $1 AND "
    "g.id = $3 AND " OF_USER " AND g.org_id = oauth_consents.org_id AND g.user_id = "
    "oauth_consents.user_id AND g.client_id = oauth_consents.client_id AND g.resource = "
    "oauth_consents.resource)",
    DB_WRITE, DB_DURABLE};
static const struct db_stmt grant_revoke = {
    "oauth_grant_revoke",
    "UPDATE oauth_grants AS g SET revoked_at = $4 WHERE g.org_id = $1 AND g.id = $3 AND "
    "g.revoked_at IS NULL AND " OF_USER,
    DB_WRITE, DB_DURABLE | DB_INVALIDATES | DB_MUST_AFFECT};
static const struct db_stmt grant_end = {
    "oauth_grant_end",
    "UPDATE oauth_grants SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL", DB_WRITE,
    DB_DURABLE | DB_INVALIDATES};
static const struct db_stmt grants_end_of_user = {
    "oauth_grants_end_of_user",
    "UPDATE oauth_grants SET revoked_at = $2 WHERE user_id = $1 AND revoked_at IS NULL", DB_WRITE,
    DB_DURABLE | DB_INVALIDATES};
static const struct db_stmt codes_end_of_user = {
    "oauth_codes_end_of_user",
    "UPDATE oauth_codes SET used_at = $2 WHERE user_id = $1 AND used_at IS NULL", DB_WRITE,
    DB_DURABLE};

static const struct db_stmt consent_get = {
    "oauth_consent_get",
    "SELECT scope FROM oauth_consents WHERE org_id = $1 AND user_id = $2 AND client_id = $3 AND "
    "resource = $4 AND redirect_host = $5",
    DB_READ, 0};
static const struct db_stmt consent_put = {
    "oauth_consent_put",
    "INSERT INTO oauth_consents (org_id, user_id, client_id, resource, redirect_host, scope, "
    "updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (org_id, user_id, client_id, "
    "resource, redirect_host) DO UPDATE SET scope = excluded.scope, updated_at = "
    "excluded.updated_at",
    DB_WRITE, DB_DURABLE};
static const struct db_stmt code_insert = {
    "oauth_code_insert",
    "INSERT INTO oauth_codes (" CODE_COLUMNS ") "
    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, NULL, $13, $14, $15, $16, $17)",
    DB_WRITE, DB_DURABLE};
static const struct db_stmt codes_purge = {
    "oauth_codes_purge", "DELETE FROM oauth_codes WHERE expires_at < $1", DB_WRITE, 0};
static const struct db_stmt client_consented = {
    "oauth_client_consented",
    "UPDATE oauth_clients SET consented_at = $2 WHERE id = $1 AND consented_at IS NULL", DB_WRITE,
    DB_DURABLE};
static const struct db_stmt code_get = {
    "oauth_code_get", "SELECT " CODE_COLUMNS " FROM oauth_codes WHERE hash = $1", DB_READ, 0};
static const struct db_stmt code_burn = {
    "oauth_code_burn", "UPDATE oauth_codes SET used_at = $2 WHERE hash = $1 AND used_at IS NULL",
    DB_WRITE, DB_DURABLE};

static void grant_read(const struct db_rows *r, size_t row, void *item)
{
    struct oauth_grant *g = item;
    *g = (struct oauth_grant){
        .id = db_text(r, row, 0),
        .org_id = db_text(r, row, 1),
        .user_id = db_text(r, row, 2),
        .client_id = db_text(r, row, 3),
        .resource = db_text(r, row, 4),
        .scope = db_text(r, row, 5),
        .redirect_host = db_text(r, row, 6),
        .created_at = db_int(r, row, 7),
        .last_used_at = db_int(r, row, 8),
        .revoked_at = db_int(r, row, 9),
        .client_name = db_text(r, row, 10),
        .user_email = db_text(r, row, 11),
        .proof = {db_text(r, row, 12), db_text(r, row, 13), db_int(r, row, 14) != 0},
    };
}
static const struct rows_kind grant_kind = {sizeof(struct oauth_grant), grant_read};

bool oauth_grants_get(struct db *db, struct arena *a, struct str id, struct oauth_grant *out,
                      struct err *e)
{
    struct db_rows r;
    if (!db_one(db, a, &grant_by_id, DB_ARGS(A_STR(id)), &r, e))
        return false;
    grant_read(&r, 0, out);
    return true;
}

bool oauth_grants_list(struct db *db, struct arena *a, struct str org_id, struct str user_id,
                       const struct db_page *page, struct oauth_grant **out, size_t *n,
                       struct err *e)
{
    struct rows_found found;
    if (!rows_list(db, a, &grants_of_org, DB_ARGS(A_STR(org_id), A_STR(user_id), PAGE_ARGS(page)),
                   &grant_kind, &found, e))
        return false;
    *out = found.items;
    *n = found.n;
    return true;
}

bool oauth_grants_count(struct db *db, struct arena *a, struct str org_id, struct str user_id,
                        int64_t *out, struct err *e)
{
    return rows_count(db, a, &grants_number, DB_ARGS(A_STR(org_id), A_STR(user_id)), out, e);
}

bool oauth_grants_revoke(struct db *db, struct arena *a, struct str org_id, struct str user_id,
                         struct str id, int64_t now, struct err *e)
{
    struct db_batch b;
    db_batch_init(&b, a);
    db_batch_add(&b, &consent_of_grant, DB_ARGS(A_STR(org_id), A_STR(user_id), A_STR(id)));
    db_batch_add(&b, &grant_revoke, DB_ARGS(A_STR(org_id), A_STR(user_id), A_STR(id), A_INT(now)));
    if (db_batch_run(db, &b, NULL, e))
        return true;
    return rows_is_no_row(e) ? err_set(e, ERR_NOT_FOUND, "not found") : false;
}

bool oauth_grants_end(struct db *db, struct arena *a, struct str id, int64_t now, struct err *e)
{
    return db_run(db, a, &grant_end, DB_ARGS(A_STR(id), A_INT(now)), NULL, e);
}

void oauth_grants_add_end_of_user(struct db_batch *b, struct str user_id, int64_t now)
{
    db_batch_add(b, &codes_end_of_user, DB_ARGS(A_STR(user_id), A_INT(now)));
    db_batch_add(b, &grants_end_of_user, DB_ARGS(A_STR(user_id), A_INT(now)));
}

bool oauth_consents_get(struct db *db, struct arena *a, const struct oauth_consent *c,
                        struct str *scope, struct err *e)
{
    struct db_rows r;
    if (!db_one(db, a, &consent_get,
                DB_ARGS(A_STR(c->org_id), A_STR(c->user_id), A_STR(c->client_id),
                        A_STR(c->resource), A_STR(c->redirect_host)),
                &r, e))
        return false;
    *scope = db_text(&r, 0, 0);
    return true;
}

void oauth_grants_add_consented(struct db_batch *b, struct str client_id, int64_t now)
{
    db_batch_add(b, &client_consented, DB_ARGS(A_STR(client_id), A_INT(now)));
}

bool oauth_codes_insert(struct db *db, struct arena *a, const struct oauth_code *c,
                        struct str redirect_host, struct err *e)
{
    struct db_batch b;
    db_batch_init(&b, a);
    db_batch_add(&b, &codes_purge, DB_ARGS(A_INT(c->created_at - CODE_KEPT_MS)));
    db_batch_add(&b, &code_insert,
                 DB_ARGS(A_STR(c->hash), A_STR(c->request_id), A_STR(c->org_id), A_STR(c->user_id),
                         A_STR(c->client_id), A_STR(c->grant_id), A_STR(c->redirect_uri),
                         A_STR(c->challenge), A_STR(c->resource), A_STR(c->scope),
                         A_INT(c->created_at), A_INT(c->expires_at), A_STR(c->nonce),
                         A_TIME(c->auth_time), A_STR(c->proof.by), A_STR(c->proof.org_id),
                         A_INT(c->proof.is_two_factor)));
    if (!str_is_absent(redirect_host))
        db_batch_add(&b, &consent_put,
                     DB_ARGS(A_STR(c->org_id), A_STR(c->user_id), A_STR(c->client_id),
                             A_STR(c->resource), A_STR(redirect_host), A_STR(c->scope),
                             A_INT(c->created_at)));
    oauth_grants_add_consented(&b, c->client_id, c->created_at);
    return db_batch_run(db, &b, NULL, e);
}

bool oauth_codes_get(struct db *db, struct arena *a, struct str hash, struct oauth_code *out,
                     struct err *e)
{
    struct db_rows r;
    if (!db_one(db, a, &code_get, DB_ARGS(A_STR(hash)), &r, e))
        return false;
    *out = (struct oauth_code){
        .hash = db_text(&r, 0, 0),
        .request_id = db_text(&r, 0, 1),
        .org_id = db_text(&r, 0, 2),
        .user_id = db_text(&r, 0, 3),
        .client_id = db_text(&r, 0, 4),
        .grant_id = db_text(&r, 0, 5),
        .redirect_uri = db_text(&r, 0, 6),
        .challenge = db_text(&r, 0, 7),
        .resource = db_text(&r, 0, 8),
        .scope = db_text(&r, 0, 9),
        .created_at = db_int(&r, 0, 10),
        .expires_at = db_int(&r, 0, 11),
        .used_at = db_int(&r, 0, 12),
        .nonce = db_text(&r, 0, 13),
        .auth_time = db_int(&r, 0, 14),
        .proof = {db_text(&r, 0, 15), db_text(&r, 0, 16), db_int(&r, 0, 17) != 0},
    };
    return true;
}

bool oauth_codes_burn(struct db *db, struct arena *a, struct str hash, int64_t now, struct err *e)
{
    return db_run(db, a, &code_burn, DB_ARGS(A_STR(hash), A_INT(now)), NULL, e);
}
