#include "store/api_keys.h"

#include "store/rows.h"

#define KEY_COLUMNS                                                                                \
    "id, org_id, user_id, name, prefix, hash, scopes, tools, connection_ids, expires_at, "         \
    "last_used_at, created_at, proof_org_id, proof"
#define OF_USER "(CAST($2 AS TEXT) IS NULL OR user_id = CAST($2 AS TEXT))"

static const struct db_stmt key_insert = {
    "key_insert",
    "INSERT INTO api_keys (" KEY_COLUMNS ", updated_at) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $12)",
    DB_WRITE, DB_DURABLE | DB_INVALIDATES};
static const struct db_stmt key_by_hash = {
    "key_by_hash",
    "SELECT id, org_id, user_id, name, prefix, hash, scopes, tools, connection_ids, CASE WHEN hash "
    "= "
    "$1 OR expires_at < old_until THEN expires_at ELSE old_until END, last_used_at, created_at, "
    "proof_org_id, proof FROM api_keys WHERE (hash = $1 OR (old_hash = $1 AND old_until > $2)) AND "
    "(expires_at IS NULL OR "
    "expires_at > $2)",
    DB_READ, 0};
static const struct db_stmt key_by_id = {
    "key_by_id", "SELECT " KEY_COLUMNS " FROM api_keys WHERE org_id = $1 AND id = $2", DB_READ, 0};
static const struct db_stmt keys_of_org = {
    "keys_of_org",
    "SELECT " KEY_COLUMNS " FROM api_keys WHERE org_id = $1 AND " OF_USER
    " AND (created_at, id) > (CAST($3 AS BIGINT), CAST($4 AS TEXT)) "
    "ORDER BY created_at, id LIMIT CAST($5 AS BIGINT)",
    DB_LIST, 0};
static const struct db_stmt keys_number = {
    "keys_number", "SELECT count(*) FROM api_keys WHERE org_id = $1 AND " OF_USER, DB_LIST, 0};
static const struct db_stmt key_update = {
    "key_update",
    "UPDATE api_keys SET name = $3, scopes = $4, tools = $5, connection_ids = $6, "
    "expires_at = $7, updated_at = $8 WHERE org_id = $1 AND id = $2",
    DB_WRITE, DB_DURABLE | DB_INVALIDATES};
static const struct db_stmt key_rotate = {
    "key_rotate",
    "UPDATE api_keys SET prefix = $3, old_hash = CASE WHEN "
    "CAST($5 AS BIGINT) IS NULL THEN NULL ELSE "
    "hash END, old_until = CAST($5 AS BIGINT), hash = $4, "
    "updated_at = $6, proof_org_id = COALESCE(CAST($7 AS TEXT), proof_org_id), proof = CASE WHEN "
    "CAST($7 AS TEXT) IS NULL THEN proof ELSE CAST($8 AS TEXT) END WHERE org_id = $1 AND id = $2",
    DB_WRITE, DB_DURABLE | DB_INVALIDATES};
static const struct db_stmt key_delete = {"key_delete",
                                          "DELETE FROM api_keys WHERE org_id = $1 AND id = $2",
                                          DB_WRITE, DB_DURABLE | DB_INVALIDATES};
static const struct db_stmt key_touch = {
    "key_touch", "UPDATE api_keys SET last_used_at = $3 WHERE org_id = $1 AND id = $2", DB_WRITE,
    0};

static void key_read(const struct db_rows *r, size_t row, void *item)
{
    struct api_key *k = item;
    *k = (struct api_key){
        .id = db_text(r, row, 0),
        .org_id = db_text(r, row, 1),
        .user_id = db_text(r, row, 2),
        .name = db_text(r, row, 3),
        .prefix = db_text(r, row, 4),
        .hash = db_text(r, row, 5),
        .scopes = db_text(r, row, 6),
        .tools = db_text(r, row, 7),
        .connection_ids = db_text(r, row, 8),
        .expires_at = db_int(r, row, 9),
        .last_used_at = db_int(r, row, 10),
        .created_at = db_int(r, row, 11),
        .proof_org_id = db_text(r, row, 12),
        .proof = db_text(r, row, 13),
    };
}
static const struct rows_kind key_kind = {sizeof(struct api_key), key_read};

bool api_keys_insert(struct db *db, struct arena *a, const struct api_key *k, struct err *e)
{
    return db_run(db, a, &key_insert,
                  DB_ARGS(A_STR(k->id), A_STR(k->org_id), A_STR(k->user_id), A_STR(k->name),
                          A_STR(k->prefix), A_STR(k->hash), A_STR(k->scopes), A_STR(k->tools),
                          A_STR(k->connection_ids), A_TIME(k->expires_at), A_TIME(k->last_used_at),
                          A_INT(k->created_at), A_STR(k->proof_org_id), A_STR(k->proof)),
                  NULL, e);
}

static bool key_one(struct db *db, struct arena *a, const struct db_stmt *s, struct db_args args,
                    struct api_key *out, struct err *e)
{
    struct db_rows r;
    if (!db_one(db, a, s, args, &r, e))
        return false;
    key_read(&r, 0, out);
    return true;
}

bool api_keys_by_hash(struct db *db, struct arena *a, struct str hash_hex, int64_t now,
                      struct api_key *out, struct err *e)
{
    return key_one(db, a, &key_by_hash, DB_ARGS(A_STR(hash_hex), A_INT(now)), out, e);
}

bool api_keys_get(struct db *db, struct arena *a, struct str org_id, struct str id,
                  struct api_key *out, struct err *e)
{
    return key_one(db, a, &key_by_id, DB_ARGS(A_STR(org_id), A_STR(id)), out, e);
}

bool api_keys_list(struct db *db, struct arena *a, struct str org_id, struct str user_id,
                   const struct db_page *page, struct api_key **out, size_t *n, struct err *e)
{
    struct rows_found found;
    if (!rows_list(db, a, &keys_of_org, DB_ARGS(A_STR(org_id), A_STR(user_id), PAGE_ARGS(page)),
                   &key_kind, &found, e))
        return false;
    *out = found.items;
    *n = found.n;
    return true;
}

bool api_keys_count(struct db *db, struct arena *a, struct str org_id, struct str user_id,
                    int64_t *out, struct err *e)
{
    return rows_count(db, a, &keys_number, DB_ARGS(A_STR(org_id), A_STR(user_id)), out, e);
}

bool api_keys_update(struct db *db, struct arena *a, const struct api_key *k, int64_t now,
                     struct err *e)
{
    return rows_change(db, a, &key_update,
                       DB_ARGS(A_STR(k->org_id), A_STR(k->id), A_STR(k->name), A_STR(k->scopes),
                               A_STR(k->tools), A_STR(k->connection_ids), A_TIME(k->expires_at),
                               A_INT(now)),
                       e);
}

bool api_keys_rotate(struct db *db, struct arena *a, const struct api_key_rotation *r, int64_t now,
                     struct err *e)
{
    return rows_change(db, a, &key_rotate,
                       DB_ARGS(A_STR(r->org_id), A_STR(r->id), A_STR(r->prefix), A_STR(r->hash),
                               A_TIME(r->old_until), A_INT(now), A_STR(r->proof_org_id),
                               A_STR(r->proof)),
                       e);
}

bool api_keys_delete(struct db *db, struct arena *a, struct str org_id, struct str id,
                     unused_arg int64_t now, struct err *e)
{
    return rows_change(db, a, &key_delete, DB_ARGS(A_STR(org_id), A_STR(id)), e);
}

bool api_keys_touch(struct db *db, struct arena *a, struct str org_id, struct str id, int64_t now,
                    struct err *e)
{
    return rows_change(db, a, &key_touch, DB_ARGS(A_STR(org_id), A_STR(id), A_INT(now)), e);
}
