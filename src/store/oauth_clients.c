#include "store/oauth_clients.h"

#include "store/rows.h"

#define CLIENT_COLUMNS                                                                             \
    "id, fingerprint, name, redirect_uris, auth_method, metadata, secret_hash, "                   \
    "registration_hash, consented_at, created_at, updated_at, source, org_id, "                    \
    "service_account_id, "                                                                         \
    "jwks, scope, fetched_at, fresh_until"
#define C_COLUMNS                                                                                  \
    "c.id, c.fingerprint, c.name, c.redirect_uris, c.auth_method, c.metadata, c.secret_hash, "     \
    "c.registration_hash, c.consented_at, c.created_at, c.updated_at, c.source, c.org_id, "        \
    "c.service_account_id, c.jwks, c.scope, c.fetched_at, c.fresh_until"
#define OF_USER  "(CAST($2 AS TEXT) IS NULL OR g.user_id = CAST($2 AS TEXT))"
#define OF_USER2 "(CAST($3 AS TEXT) IS NULL OR user_id = CAST($3 AS TEXT))"
#define USE_OF                                                                                     \
    "SELECT " C_COLUMNS ", u.n, u.first_at, u.last_at FROM oauth_clients c JOIN ("                 \
    "SELECT g.client_id, count(*) AS n, min(g.created_at) AS first_at, max(g.created_at) AS "      \
    "last_at FROM oauth_grants g WHERE g.org_id = $1 AND g.revoked_at IS NULL AND " OF_USER        \
    " GROUP BY g.client_id "                                                                       \
    "UNION ALL SELECT k.id, 0, k.created_at, CAST(NULL AS BIGINT) FROM oauth_clients k WHERE "     \
    "k.org_id = $1 AND CAST($2 AS TEXT) IS NULL AND NOT EXISTS (SELECT 1 FROM oauth_grants x "     \
    "WHERE x.org_id = $1 AND x.client_id = k.id AND x.revoked_at IS NULL)) u ON u.client_id = "    \
    "c.id "

static const struct db_stmt client_insert = {"oauth_client_insert",
                                             "INSERT INTO oauth_clients (" CLIENT_COLUMNS ") "
                                             "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, NULL, $9, "
                                             "$9, CAST($10 AS TEXT), $11, $12, $13, $14, NULL, "
                                             "NULL) ON CONFLICT (fingerprint) DO NOTHING",
                                             DB_WRITE, DB_DURABLE};
static const struct db_stmt client_by_id = {
    "oauth_client_by_id", "SELECT " CLIENT_COLUMNS " FROM oauth_clients WHERE id = $1", DB_READ, 0};
static const struct db_stmt client_by_fingerprint = {
    "oauth_client_by_fingerprint",
    "SELECT " CLIENT_COLUMNS " FROM oauth_clients WHERE fingerprint = $1", DB_READ, 0};
static const struct db_stmt client_update = {
    "oauth_client_update",
    "UPDATE oauth_clients SET fingerprint = $2, name = $3, redirect_uris = $4, auth_method = $5, "
    "metadata = $6, updated_at = $7, jwks = $8 WHERE id = $1",
    DB_WRITE, DB_DURABLE};
static const struct db_stmt document_consents_end = {
    "oauth_document_consents_end",
    "DELETE FROM oauth_consents WHERE client_id = $1 AND EXISTS (SELECT 1 FROM oauth_clients c "
    "WHERE "
    "c.id = $1 AND c.source = 'document' AND (c.redirect_uris <> $2 OR COALESCE(c.jwks, '') <> "
    "COALESCE(CAST($3 AS TEXT), '')))",
    DB_WRITE, DB_DURABLE};
static const struct db_stmt document_put = {
    "oauth_document_put",
    "INSERT INTO oauth_clients (" CLIENT_COLUMNS ") "
    "VALUES ($1, NULL, $2, $3, $4, $5, NULL, NULL, NULL, $6, $6, 'document', NULL, NULL, $7, NULL, "
    "$6, $8) ON CONFLICT (id) DO UPDATE SET name = excluded.name, redirect_uris = "
    "excluded.redirect_uris, auth_method = excluded.auth_method, metadata = excluded.metadata, "
    "updated_at = excluded.updated_at, jwks = excluded.jwks, fetched_at = excluded.fetched_at, "
    "fresh_until = excluded.fresh_until WHERE oauth_clients.source = 'document'",
    DB_WRITE, DB_DURABLE | DB_MUST_AFFECT};
static const struct db_stmt document_keep = {
    "oauth_document_keep",
    "UPDATE oauth_clients SET fresh_until = $2 WHERE id = $1 AND source = 'document'", DB_WRITE, 0};
static const struct db_stmt client_change = {
    "oauth_client_change",
    "UPDATE oauth_clients SET name = $3, redirect_uris = $4, metadata = $5, jwks = $6, scope = $7, "
    "secret_hash = $8, updated_at = $9 WHERE org_id = $1 AND id = $2",
    DB_WRITE, DB_DURABLE | DB_INVALIDATES};
static const struct db_stmt client_delete = {"oauth_client_delete",
                                             "DELETE FROM oauth_clients WHERE id = $1", DB_WRITE,
                                             DB_DURABLE | DB_INVALIDATES};
#define UNUSED                                                                                     \
    "consented_at IS NULL AND NOT EXISTS (SELECT 1 FROM oauth_grants g WHERE g.client_id = "       \
    "oauth_clients.id)"
static const struct db_stmt client_delete_unused = {
    "oauth_client_delete_unused", "DELETE FROM oauth_clients WHERE id = $1 AND " UNUSED, DB_WRITE,
    DB_DURABLE};
static const struct db_stmt clients_unused = {
    "oauth_clients_unused",
    "SELECT count(*) FROM oauth_clients WHERE consented_at IS NULL "
    "AND org_id IS NULL",
    DB_READ, 0};
static const struct db_stmt clients_purge = {
    "oauth_clients_purge",
    "DELETE FROM oauth_clients WHERE created_at < $1 AND org_id IS NULL AND " UNUSED, DB_WRITE, 0};
static const struct db_stmt clients_purge_idle = {
    "oauth_clients_purge_idle",
    "DELETE FROM oauth_clients WHERE org_id IS NULL AND updated_at < $1 AND (consented_at IS NULL "
    "OR consented_at < $1) AND NOT EXISTS (SELECT 1 FROM oauth_grants g WHERE g.client_id = "
    "oauth_clients.id AND g.last_used_at >= $1) AND NOT EXISTS (SELECT 1 FROM oauth_codes k WHERE "
    "k.client_id = oauth_clients.id AND k.created_at >= $1)",
    DB_WRITE, 0};
static const struct db_stmt clients_of_org = {
    "oauth_clients_of_org",
    USE_OF "WHERE (u.first_at, c.id) > (CAST($3 AS BIGINT), CAST($4 AS TEXT)) "
           "ORDER BY u.first_at, c.id LIMIT CAST($5 AS BIGINT)",
    DB_LIST, 0};
static const struct db_stmt clients_number = {
    "oauth_clients_number",
    "SELECT count(*) FROM (SELECT g.client_id FROM oauth_grants g WHERE g.org_id = $1 AND "
    "g.revoked_at IS NULL AND " OF_USER " UNION SELECT k.id FROM oauth_clients k WHERE k.org_id = "
    "$1 AND CAST($2 AS TEXT) IS NULL) u",
    DB_LIST, 0};
static const struct db_stmt client_of_org = {"oauth_client_of_org", USE_OF "WHERE c.id = $3",
                                             DB_LIST, 0};
static const struct db_stmt forget_grants = {
    "oauth_client_forget_grants",
    "DELETE FROM oauth_grants WHERE org_id = $1 AND client_id = $2 AND " OF_USER2, DB_WRITE,
    DB_DURABLE | DB_INVALIDATES};
static const struct db_stmt forget_consents = {
    "oauth_client_forget_consents",
    "DELETE FROM oauth_consents WHERE org_id = $1 AND client_id = $2 AND " OF_USER2, DB_WRITE,
    DB_DURABLE};
static const struct db_stmt forget_codes = {
    "oauth_client_forget_codes",
    "DELETE FROM oauth_codes WHERE org_id = $1 AND client_id = $2 AND " OF_USER2, DB_WRITE,
    DB_DURABLE};
static const struct db_stmt forget_client = {
    "oauth_client_forget",
    "DELETE FROM oauth_clients WHERE id = $1 AND org_id IS NULL AND NOT EXISTS (SELECT 1 FROM "
    "oauth_grants g WHERE "
    "g.client_id = $1) AND NOT EXISTS (SELECT 1 FROM oauth_codes k WHERE k.client_id = $1)",
    DB_WRITE, DB_DURABLE};

static void client_read(const struct db_rows *r, size_t row, void *item)
{
    struct oauth_client *c = item;
    *c = (struct oauth_client){
        .id = db_text(r, row, 0),
        .fingerprint = db_text(r, row, 1),
        .name = db_text(r, row, 2),
        .redirect_uris = db_text(r, row, 3),
        .auth_method = db_text(r, row, 4),
        .metadata = db_text(r, row, 5),
        .secret_hash = db_text(r, row, 6),
        .registration_hash = db_text(r, row, 7),
        .consented_at = db_int(r, row, 8),
        .created_at = db_int(r, row, 9),
        .updated_at = db_int(r, row, 10),
        .source = db_text(r, row, 11),
        .org_id = db_text(r, row, 12),
        .service_account_id = db_text(r, row, 13),
        .jwks = db_text(r, row, 14),
        .scope = db_text(r, row, 15),
        .fetched_at = db_int(r, row, 16),
        .fresh_until = db_int(r, row, 17),
    };
}

static void use_read(const struct db_rows *r, size_t row, void *item)
{
    struct oauth_client_use *u = item;
    client_read(r, row, &u->client);
    u->n_grants = db_int(r, row, 18);
    u->first_at = db_int(r, row, 19);
    u->last_at = db_int(r, row, 20);
}
static const struct rows_kind use_kind = {sizeof(struct oauth_client_use), use_read};

static bool client_one(struct db *db, struct arena *a, const struct db_stmt *s, struct db_args args,
                       struct oauth_client *out, struct err *e)
{
    struct db_rows r;
    if (!db_one(db, a, s, args, &r, e))
        return false;
    client_read(&r, 0, out);
    return true;
}

bool oauth_clients_register(struct db *db, struct arena *a, const struct oauth_client *c,
                            struct oauth_client *out, struct err *e)
{
    struct db_rows r;
    if (!db_run(db, a, &client_insert,
                DB_ARGS(A_STR(c->id), A_STR(c->fingerprint), A_STR(c->name),
                        A_STR(c->redirect_uris), A_STR(c->auth_method), A_STR(c->metadata),
                        A_STR(c->secret_hash), A_STR(c->registration_hash), A_INT(c->created_at),
                        A_STR(str_is_absent(c->source) ? STR("registration") : c->source),
                        A_STR(c->org_id), A_STR(c->service_account_id), A_STR(c->jwks),
                        A_STR(c->scope)),
                &r, e))
        return false;
    if (r.n_affected == 0)
        return oauth_clients_by_fingerprint(db, a, c->fingerprint, out, e);
    *out = *c;
    return true;
}

bool oauth_clients_insert(struct db *db, struct arena *a, const struct oauth_client *c,
                          struct err *e)
{
    struct oauth_client ignored;
    return oauth_clients_register(db, a, c, &ignored, e);
}

bool oauth_clients_put_document(struct db *db, struct arena *a, const struct oauth_client *c,
                                struct err *e)
{
    struct db_batch b;
    db_batch_init(&b, a);
    db_batch_add(&b, &document_consents_end,
                 DB_ARGS(A_STR(c->id), A_STR(c->redirect_uris), A_STR(c->jwks)));
    db_batch_add(&b, &document_put,
                 DB_ARGS(A_STR(c->id), A_STR(c->name), A_STR(c->redirect_uris),
                         A_STR(c->auth_method), A_STR(c->metadata), A_INT(c->fetched_at),
                         A_STR(c->jwks), A_INT(c->fresh_until)));
    return db_batch_run(db, &b, NULL, e);
}

bool oauth_clients_keep_document(struct db *db, struct arena *a, struct str id, int64_t fresh_until,
                                 struct err *e)
{
    return db_run(db, a, &document_keep, DB_ARGS(A_STR(id), A_INT(fresh_until)), NULL, e);
}

bool oauth_clients_get(struct db *db, struct arena *a, struct str id, struct oauth_client *out,
                       struct err *e)
{
    return client_one(db, a, &client_by_id, DB_ARGS(A_STR(id)), out, e);
}

bool oauth_clients_by_fingerprint(struct db *db, struct arena *a, struct str fingerprint,
                                  struct oauth_client *out, struct err *e)
{
    return client_one(db, a, &client_by_fingerprint, DB_ARGS(A_STR(fingerprint)), out, e);
}

bool oauth_clients_update(struct db *db, struct arena *a, const struct oauth_client *c,
                          struct err *e)
{
    return rows_change(db, a, &client_update,
                       DB_ARGS(A_STR(c->id), A_STR(c->fingerprint), A_STR(c->name),
                               A_STR(c->redirect_uris), A_STR(c->auth_method), A_STR(c->metadata),
                               A_INT(c->updated_at), A_STR(c->jwks)),
                       e);
}

bool oauth_clients_change(struct db *db, struct arena *a, const struct oauth_client *c,
                          struct err *e)
{
    return rows_change(db, a, &client_change,
                       DB_ARGS(A_STR(c->org_id), A_STR(c->id), A_STR(c->name),
                               A_STR(c->redirect_uris), A_STR(c->metadata), A_STR(c->jwks),
                               A_STR(c->scope), A_STR(c->secret_hash), A_INT(c->updated_at)),
                       e);
}

bool oauth_clients_delete(struct db *db, struct arena *a, struct str id, struct err *e)
{
    return rows_change(db, a, &client_delete, DB_ARGS(A_STR(id)), e);
}

bool oauth_clients_delete_unused(struct db *db, struct arena *a, struct str id, struct err *e)
{
    return rows_change(db, a, &client_delete_unused, DB_ARGS(A_STR(id)), e);
}

bool oauth_clients_count_unused(struct db *db, struct arena *a, int64_t *out, struct err *e)
{
    return rows_count(db, a, &clients_unused, DB_NO_ARGS, out, e);
}

bool oauth_clients_purge_idle(struct db *db, struct arena *a, int64_t before, struct err *e)
{
    return db_run(db, a, &clients_purge_idle, DB_ARGS(A_INT(before)), NULL, e);
}

bool oauth_clients_purge(struct db *db, struct arena *a, int64_t before, struct err *e)
{
    return db_run(db, a, &clients_purge, DB_ARGS(A_INT(before)), NULL, e);
}

bool oauth_clients_list(struct db *db, struct arena *a, struct str org_id, struct str user_id,
                        const struct db_page *page, struct oauth_client_use **out, size_t *n,
                        struct err *e)
{
    struct rows_found found;
    if (!rows_list(db, a, &clients_of_org, DB_ARGS(A_STR(org_id), A_STR(user_id), PAGE_ARGS(page)),
                   &use_kind, &found, e))
        return false;
    *out = found.items;
    *n = found.n;
    return true;
}

bool oauth_clients_count(struct db *db, struct arena *a, struct str org_id, struct str user_id,
                         int64_t *out, struct err *e)
{
    return rows_count(db, a, &clients_number, DB_ARGS(A_STR(org_id), A_STR(user_id)), out, e);
}

bool oauth_clients_use_get(struct db *db, struct arena *a, struct str org_id, struct str user_id,
                           struct str id, struct oauth_client_use *out, struct err *e)
{
    struct db_rows r;
    if (!db_one(db, a, &client_of_org, DB_ARGS(A_STR(org_id), A_STR(user_id), A_STR(id)), &r, e))
        return false;
    use_read(&r, 0, out);
    return true;
}

bool oauth_clients_forget(struct db *db, struct arena *a, struct str org_id, struct str user_id,
                          struct str id, struct err *e)
{
    struct db_batch b;
    db_batch_init(&b, a);
    db_batch_add(&b, &forget_grants, DB_ARGS(A_STR(org_id), A_STR(id), A_STR(user_id)));
    db_batch_add(&b, &forget_consents, DB_ARGS(A_STR(org_id), A_STR(id), A_STR(user_id)));
    db_batch_add(&b, &forget_codes, DB_ARGS(A_STR(org_id), A_STR(id), A_STR(user_id)));
    db_batch_add(&b, &forget_client, DB_ARGS(A_STR(id)));
    return db_batch_run(db, &b, NULL, e);
}
