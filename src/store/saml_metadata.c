#include "store/saml_metadata.h"

#include "base/limits.h"
#include "store/rows.h"

static const struct db_stmt saml_metadata_list_due = {
    "saml_metadata_list_due",
    "SELECT p.id FROM sso_providers p LEFT JOIN saml_metadata m ON m.provider_id = p.id "
    "WHERE p.kind = 'saml' AND p.is_enabled = 1 "
    "AND p.config LIKE '%\"idp_metadata_url\":\"http%' "
    "AND p.config LIKE '%\"refresh_metadata\":true%' "
    "AND (m.due_at IS NULL OR m.due_at <= CAST($1 AS BIGINT)) "
    "ORDER BY COALESCE(m.due_at, 0), p.id LIMIT CAST($2 AS BIGINT)",
    DB_LIST, 0};
static const struct db_stmt saml_metadata_take = {
    "saml_metadata_take",
    "INSERT INTO saml_metadata (provider_id, due_at) "
    "SELECT id, CAST($3 AS BIGINT) FROM sso_providers WHERE id = $1 "
    "ON CONFLICT (provider_id) DO UPDATE SET due_at = excluded.due_at "
    "WHERE saml_metadata.due_at <= CAST($2 AS BIGINT)",
    DB_WRITE, 0};
static const struct db_stmt saml_metadata_result = {
    "saml_metadata_result",
    "UPDATE saml_metadata SET due_at = $3, problem = CAST($4 AS TEXT), read_at = CASE WHEN "
    "CAST($4 AS TEXT) IS NULL THEN CAST($2 AS BIGINT) ELSE read_at END WHERE provider_id = $1",
    DB_WRITE, 0};
static const struct db_stmt saml_metadata_find = {
    "saml_metadata_find",
    "SELECT COALESCE(read_at, 0), problem FROM saml_metadata WHERE provider_id = $1", DB_READ, 0};
static const struct db_stmt saml_metadata_clear = {
    "saml_metadata_clear",
    "UPDATE saml_metadata SET due_at = 0, problem = NULL WHERE provider_id = $1", DB_WRITE, 0};

static void id_read(const struct db_rows *r, size_t row, void *item)
{
    *(struct str *)item = db_text(r, row, 0);
}
static const struct rows_kind id_kind = {sizeof(struct str), id_read};

bool saml_metadata_due(struct db *db, struct arena *a, int64_t now, struct str **provider_ids,
                       size_t *n, struct err *e)
{
    struct rows_found found;
    if (!rows_list(db, a, &saml_metadata_list_due,
                   DB_ARGS(A_INT(now), A_INT(LIMIT_SAML_REFRESH_BATCH)), &id_kind, &found, e))
        return false;
    *provider_ids = found.items;
    *n = found.n;
    return true;
}

bool saml_metadata_lease(struct db *db, struct arena *a, struct str provider_id, int64_t now,
                         int64_t until, struct err *e)
{
    return rows_change(db, a, &saml_metadata_take,
                       DB_ARGS(A_STR(provider_id), A_INT(now), A_INT(until)), e);
}

bool saml_metadata_note(struct db *db, struct arena *a, struct str provider_id, int64_t now,
                        int64_t due_at, struct str problem, struct err *e)
{
    return db_run(db, a, &saml_metadata_result,
                  DB_ARGS(A_STR(provider_id), A_INT(now), A_INT(due_at), A_STR(problem)), NULL, e);
}

bool saml_metadata_get(struct db *db, struct arena *a, struct str provider_id,
                       struct saml_metadata_state *out, struct err *e)
{
    struct db_rows r;
    if (!db_one(db, a, &saml_metadata_find, DB_ARGS(A_STR(provider_id)), &r, e))
        return false;
    *out = (struct saml_metadata_state){.read_at = db_int(&r, 0, 0), .problem = db_text(&r, 0, 1)};
    return true;
}

bool saml_metadata_forget(struct db *db, struct arena *a, struct str provider_id, struct err *e)
{
    return db_run(db, a, &saml_metadata_clear, DB_ARGS(A_STR(provider_id)), NULL, e);
}
