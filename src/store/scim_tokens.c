#include "store/scim_tokens.h"

#include "store/rows.h"

#define TOKEN_COLUMNS                                                                              \
    "t.id, t.org_id, t.name, t.prefix, t.hash, t.is_owners, t.created_by, t.expires_at, "          \
    "t.last_used_at, t.created_at"

static const struct db_stmt scim_token_insert = {
    "scim_token_insert",
    "INSERT INTO scim_tokens (id, org_id, name, prefix, hash, is_owners, created_by, expires_at, "
    "created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    DB_WRITE, DB_DURABLE};
static const struct db_stmt scim_token_by_hash = {"scim_token_by_hash",
                                                  "SELECT " TOKEN_COLUMNS
                                                  " FROM scim_tokens t WHERE t.hash = $1 AND "
                                                  "(t.expires_at IS NULL OR t.expires_at > $2)",
                                                  DB_READ, 0};
static const struct db_stmt scim_tokens_of_org = {
    "scim_tokens_of_org",
    "SELECT " TOKEN_COLUMNS " FROM scim_tokens t WHERE t.org_id = $1 "
    "AND (t.created_at, t.id) > (CAST($2 AS BIGINT), CAST($3 AS TEXT)) "
    "ORDER BY t.created_at, t.id LIMIT CAST($4 AS BIGINT)",
    DB_LIST, 0};
static const struct db_stmt scim_tokens_number = {
    "scim_tokens_number", "SELECT count(*) FROM scim_tokens WHERE org_id = $1", DB_LIST, 0};
static const struct db_stmt scim_token_delete = {
    "scim_token_delete", "DELETE FROM scim_tokens WHERE org_id = $1 AND id = $2", DB_WRITE,
    DB_DURABLE};
static const struct db_stmt scim_token_touch = {
    "scim_token_touch", "UPDATE scim_tokens SET last_used_at = $3 WHERE org_id = $1 AND id = $2",
    DB_WRITE, 0};

static void scim_token_read(const struct db_rows *r, size_t row, void *item)
{
    struct scim_token *out = item;
    *out = (struct scim_token){.id = db_text(r, row, 0),
                               .org_id = db_text(r, row, 1),
                               .name = db_text(r, row, 2),
                               .prefix = db_text(r, row, 3),
                               .hash = db_text(r, row, 4),
                               .is_owners = db_int(r, row, 5) != 0,
                               .created_by = db_text(r, row, 6),
                               .expires_at = db_int(r, row, 7),
                               .last_used_at = db_int(r, row, 8),
                               .created_at = db_int(r, row, 9)};
}
static const struct rows_kind scim_token_kind = {sizeof(struct scim_token), scim_token_read};

bool scim_tokens_insert(struct db *db, struct arena *a, const struct scim_token *t, struct err *e)
{
    return db_run(db, a, &scim_token_insert,
                  DB_ARGS(A_STR(t->id), A_STR(t->org_id), A_STR(t->name), A_STR(t->prefix),
                          A_STR(t->hash), A_INT(t->is_owners), A_STR(t->created_by),
                          A_TIME(t->expires_at), A_INT(t->created_at)),
                  NULL, e);
}

bool scim_tokens_by_hash(struct db *db, struct arena *a, struct str hash_hex, int64_t now,
                         struct scim_token *out, struct err *e)
{
    struct db_rows r;
    if (!db_one(db, a, &scim_token_by_hash, DB_ARGS(A_STR(hash_hex), A_INT(now)), &r, e))
        return false;
    scim_token_read(&r, 0, out);
    return true;
}

bool scim_tokens_list(struct db *db, struct arena *a, struct str org_id, const struct db_page *page,
                      struct scim_token **out, size_t *n, struct err *e)
{
    struct rows_found found;
    if (!rows_list(db, a, &scim_tokens_of_org, DB_ARGS(A_STR(org_id), PAGE_ARGS(page)),
                   &scim_token_kind, &found, e))
        return false;
    *out = found.items;
    *n = found.n;
    return true;
}

bool scim_tokens_count(struct db *db, struct arena *a, struct str org_id, int64_t *out,
                       struct err *e)
{
    return rows_count(db, a, &scim_tokens_number, DB_ARGS(A_STR(org_id)), out, e);
}

bool scim_tokens_delete(struct db *db, struct arena *a, struct str org_id, struct str id,
                        struct err *e)
{
    return rows_change(db, a, &scim_token_delete, DB_ARGS(A_STR(org_id), A_STR(id)), e);
}

bool scim_tokens_touch(struct db *db, struct arena *a, struct str org_id, struct str id,
                       int64_t now, struct err *e)
{
    return rows_change(db, a, &scim_token_touch, DB_ARGS(A_STR(org_id), A_STR(id), A_INT(now)), e);
}
