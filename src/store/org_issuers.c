#include "store/org_issuers.h"

#include "store/rows.h"

#define COLUMNS                                                                                    \
    "id, org_id, name, issuer, kind, jwks_uri, introspection_endpoint, client_id, sealed, "        \
    "audiences, required_scopes, scope_map, accepts_plain_jwt, subject, is_enabled, created_at, "  \
    "updated_at, is_owners"

static const struct db_stmt issuer_insert = {
    "org_issuer_insert",
    "INSERT INTO org_issuers (" COLUMNS ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, "
    "$12, $13, $14, $15, $16, $17, $18)",
    DB_WRITE, DB_DURABLE | DB_INVALIDATES};
static const struct db_stmt issuer_by_id = {
    "org_issuer_by_id", "SELECT " COLUMNS " FROM org_issuers WHERE org_id = $1 AND id = $2",
    DB_READ, 0};
static const struct db_stmt issuer_by_name = {
    "org_issuer_by_name",
    "SELECT " COLUMNS " FROM org_issuers WHERE org_id = $1 AND issuer = $2 AND is_enabled = 1",
    DB_READ, 0};
static const struct db_stmt issuer_opaque = {
    "org_issuer_opaque",
    "SELECT " COLUMNS " FROM org_issuers WHERE org_id = $1 AND kind = 'opaque' AND is_enabled = 1",
    DB_READ, 0};
static const struct db_stmt issuers_of_org = {
    "org_issuers_of_org",
    "SELECT " COLUMNS " FROM org_issuers WHERE org_id = $1 "
    "AND (created_at, id) > (CAST($2 AS BIGINT), CAST($3 AS TEXT)) "
    "ORDER BY created_at, id LIMIT CAST($4 AS BIGINT)",
    DB_LIST, 0};
static const struct db_stmt issuers_number = {
    "org_issuers_number", "SELECT count(*) FROM org_issuers WHERE org_id = $1", DB_LIST, 0};
static const struct db_stmt issuer_update = {
    "org_issuer_update",
    "UPDATE org_issuers SET name = $3, issuer = $4, kind = $5, jwks_uri = $6, "
    "introspection_endpoint = $7, client_id = $8, sealed = $9, audiences = $10, required_scopes = "
    "$11, scope_map = $12, accepts_plain_jwt = $13, subject = $14, is_enabled = $15, updated_at = "
    "$16, is_owners = $17 WHERE org_id = $1 AND id = $2",
    DB_WRITE, DB_DURABLE | DB_INVALIDATES};
static const struct db_stmt issuer_delete = {
    "org_issuer_delete", "DELETE FROM org_issuers WHERE org_id = $1 AND id = $2", DB_WRITE,
    DB_DURABLE | DB_INVALIDATES};
static const struct db_stmt object_owner = {
    "issuer_object_owner",
    "SELECT org_id FROM connections WHERE id = $1 UNION ALL SELECT org_id FROM virtual_servers "
    "WHERE id = $1",
    DB_READ, 0};

static void issuer_read(const struct db_rows *r, size_t row, void *item)
{
    struct org_issuer *i = item;
    *i = (struct org_issuer){
        .id = db_text(r, row, 0),
        .org_id = db_text(r, row, 1),
        .name = db_text(r, row, 2),
        .issuer = db_text(r, row, 3),
        .kind = db_text(r, row, 4),
        .jwks_uri = db_text(r, row, 5),
        .introspection_endpoint = db_text(r, row, 6),
        .client_id = db_text(r, row, 7),
        .sealed = db_text(r, row, 8),
        .audiences = db_text(r, row, 9),
        .required_scopes = db_text(r, row, 10),
        .scope_map = db_text(r, row, 11),
        .accepts_plain_jwt = db_int(r, row, 12) != 0,
        .subject = db_text(r, row, 13),
        .is_enabled = db_int(r, row, 14) != 0,
        .created_at = db_int(r, row, 15),
        .updated_at = db_int(r, row, 16),
        .is_owners = db_int(r, row, 17) != 0,
    };
}
static const struct rows_kind issuer_kind = {sizeof(struct org_issuer), issuer_read};

static bool taken(struct err *e)
{
    return rows_is_duplicate(e)
               ? err_set(e, ERR_CONFLICT,
                         "the organization has this issuer, or another one for opaque tokens, "
                         "already")
               : false;
}

bool org_issuers_insert(struct db *db, struct arena *a, const struct org_issuer *i, struct err *e)
{
    struct err own;
    e = e ? e : &own;
    return db_run(db, a, &issuer_insert,
                  DB_ARGS(A_STR(i->id), A_STR(i->org_id), A_STR(i->name), A_STR(i->issuer),
                          A_STR(i->kind), A_STR(i->jwks_uri), A_STR(i->introspection_endpoint),
                          A_STR(i->client_id), A_STR(i->sealed), A_STR(i->audiences),
                          A_STR(i->required_scopes), A_STR(i->scope_map),
                          A_INT(i->accepts_plain_jwt), A_STR(i->subject), A_INT(i->is_enabled),
                          A_INT(i->created_at), A_INT(i->updated_at), A_INT(i->is_owners)),
                  NULL, e) ||
           taken(e);
}

static bool issuer_one(struct db *db, struct arena *a, const struct db_stmt *s, struct db_args args,
                       struct org_issuer *out, struct err *e)
{
    struct db_rows r;
    if (!db_one(db, a, s, args, &r, e))
        return false;
    issuer_read(&r, 0, out);
    return true;
}

bool org_issuers_get(struct db *db, struct arena *a, struct str org_id, struct str id,
                     struct org_issuer *out, struct err *e)
{
    return issuer_one(db, a, &issuer_by_id, DB_ARGS(A_STR(org_id), A_STR(id)), out, e);
}

bool org_issuers_find(struct db *db, struct arena *a, struct str org_id, struct str issuer,
                      struct org_issuer *out, struct err *e)
{
    if (str_is_absent(issuer))
        return issuer_one(db, a, &issuer_opaque, DB_ARGS(A_STR(org_id)), out, e);
    return issuer_one(db, a, &issuer_by_name, DB_ARGS(A_STR(org_id), A_STR(issuer)), out, e);
}

bool org_issuers_list(struct db *db, struct arena *a, struct str org_id, const struct db_page *page,
                      struct org_issuer **out, size_t *n, struct err *e)
{
    struct rows_found found;
    if (!rows_list(db, a, &issuers_of_org, DB_ARGS(A_STR(org_id), PAGE_ARGS(page)), &issuer_kind,
                   &found, e))
        return false;
    *out = found.items;
    *n = found.n;
    return true;
}

bool org_issuers_count(struct db *db, struct arena *a, struct str org_id, int64_t *out,
                       struct err *e)
{
    return rows_count(db, a, &issuers_number, DB_ARGS(A_STR(org_id)), out, e);
}

bool org_issuers_update(struct db *db, struct arena *a, const struct org_issuer *i, struct err *e)
{
    struct err own;
    e = e ? e : &own;
    return rows_change(db, a, &issuer_update,
                       DB_ARGS(A_STR(i->org_id), A_STR(i->id), A_STR(i->name), A_STR(i->issuer),
                               A_STR(i->kind), A_STR(i->jwks_uri), A_STR(i->introspection_endpoint),
                               A_STR(i->client_id), A_STR(i->sealed), A_STR(i->audiences),
                               A_STR(i->required_scopes), A_STR(i->scope_map),
                               A_INT(i->accepts_plain_jwt), A_STR(i->subject), A_INT(i->is_enabled),
                               A_INT(i->updated_at), A_INT(i->is_owners)),
                       e) ||
           taken(e);
}

bool org_issuers_delete(struct db *db, struct arena *a, struct str org_id, struct str id,
                        struct err *e)
{
    return rows_change(db, a, &issuer_delete, DB_ARGS(A_STR(org_id), A_STR(id)), e);
}

bool org_issuers_owner(struct db *db, struct arena *a, struct str object_id, struct str *org_id,
                       struct err *e)
{
    struct db_rows r;
    if (!db_one(db, a, &object_owner, DB_ARGS(A_STR(object_id)), &r, e))
        return false;
    *org_id = db_text(&r, 0, 0);
    return true;
}
