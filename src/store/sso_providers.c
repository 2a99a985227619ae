#include "store/sso_providers.h"

#include "store/rows.h"

#define PROVIDER_COLUMNS                                                                           \
    "id, org_id, kind, slot, name, config, sealed_secret, is_enabled, is_jit, default_role, "      \
    "created_at, updated_at, is_owners"

static const struct db_stmt sso_provider_insert = {
    "sso_provider_insert",
    "INSERT INTO sso_providers (" PROVIDER_COLUMNS
    ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
    DB_WRITE, DB_DURABLE | DB_INVALIDATES};
static const struct db_stmt sso_provider_by_id = {
    "sso_provider_by_id", "SELECT " PROVIDER_COLUMNS " FROM sso_providers WHERE id = $1", DB_READ,
    0};
static const struct db_stmt sso_provider_of_org = {
    "sso_provider_of_org",
    "SELECT " PROVIDER_COLUMNS " FROM sso_providers WHERE org_id = $1 AND id = $2", DB_READ, 0};
static const struct db_stmt sso_providers_of_org = {
    "sso_providers_of_org",
    "SELECT " PROVIDER_COLUMNS " FROM sso_providers WHERE org_id = $1 "
    "AND (created_at, id) > (CAST($2 AS BIGINT), CAST($3 AS TEXT)) "
    "ORDER BY created_at, id LIMIT CAST($4 AS BIGINT)",
    DB_LIST, 0};
static const struct db_stmt sso_providers_number = {
    "sso_providers_number", "SELECT count(*) FROM sso_providers WHERE org_id = $1", DB_LIST, 0};
static const struct db_stmt sso_providers_installation = {
    "sso_providers_installation",
    "SELECT " PROVIDER_COLUMNS " FROM sso_providers WHERE org_id IS NULL ORDER BY slot", DB_LIST,
    0};
static const struct db_stmt sso_provider_update = {
    "sso_provider_update",
    "UPDATE sso_providers SET name = $3, config = $4, sealed_secret = $5, is_enabled = $6, "
    "is_jit = $7, default_role = $8, updated_at = $9, is_owners = $10 WHERE id = $1 AND ((org_id "
    "IS NULL AND CAST($2 AS TEXT) IS NULL) OR org_id = CAST($2 AS TEXT)) AND (CAST($11 AS BIGINT) "
    "IS NULL OR updated_at = CAST($11 AS BIGINT))",
    DB_WRITE, DB_DURABLE | DB_INVALIDATES};
static const struct db_stmt sso_provider_set_config = {
    "sso_provider_set_config",
    "UPDATE sso_providers SET config = $3, updated_at = $4 WHERE id = $1 AND config = $2", DB_WRITE,
    DB_DURABLE | DB_INVALIDATES};
static const struct db_stmt sso_provider_delete = {
    "sso_provider_delete", "DELETE FROM sso_providers WHERE org_id = $1 AND id = $2", DB_WRITE,
    DB_MUST_AFFECT | DB_DURABLE | DB_INVALIDATES};
static const struct db_stmt sso_provider_groups_end = {
    "sso_provider_groups_end", "DELETE FROM org_group_members WHERE org_id = $1 AND source = $2",
    DB_WRITE, DB_DURABLE | DB_INVALIDATES};
static const struct db_stmt sso_provider_sessions_end = {
    "sso_provider_sessions_end", "DELETE FROM browser_sessions WHERE proof = $1", DB_WRITE,
    DB_DURABLE | DB_INVALIDATES};

static void provider_read(const struct db_rows *r, size_t row, void *item)
{
    struct sso_provider *p = item;
    *p = (struct sso_provider){
        .id = db_text(r, row, 0),
        .org_id = db_text(r, row, 1),
        .kind = db_text(r, row, 2),
        .slot = db_text(r, row, 3),
        .name = db_text(r, row, 4),
        .config = db_text(r, row, 5),
        .sealed_secret = db_text(r, row, 6),
        .is_enabled = db_int(r, row, 7) != 0,
        .is_jit = db_int(r, row, 8) != 0,
        .default_role = db_text(r, row, 9),
        .created_at = db_int(r, row, 10),
        .updated_at = db_int(r, row, 11),
        .is_owners = db_int(r, row, 12) != 0,
    };
}
static const struct rows_kind provider_kind = {sizeof(struct sso_provider), provider_read};

bool sso_providers_insert(struct db *db, struct arena *a, const struct sso_provider *p,
                          struct err *e)
{
    return db_run(db, a, &sso_provider_insert,
                  DB_ARGS(A_STR(p->id), A_STR(p->org_id), A_STR(p->kind), A_STR(p->slot),
                          A_STR(p->name), A_STR(p->config), A_STR(p->sealed_secret),
                          A_INT(p->is_enabled), A_INT(p->is_jit), A_STR(p->default_role),
                          A_INT(p->created_at), A_INT(p->updated_at), A_INT(p->is_owners)),
                  NULL, e);
}

static bool provider_one(struct db *db, struct arena *a, const struct db_stmt *s,
                         struct db_args args, struct sso_provider *out, struct err *e)
{
    struct db_rows r;
    if (!db_one(db, a, s, args, &r, e))
        return false;
    provider_read(&r, 0, out);
    return true;
}

bool sso_providers_get(struct db *db, struct arena *a, struct str id, struct sso_provider *out,
                       struct err *e)
{
    return provider_one(db, a, &sso_provider_by_id, DB_ARGS(A_STR(id)), out, e);
}

bool sso_providers_get_of_org(struct db *db, struct arena *a, struct str org_id, struct str id,
                              struct sso_provider *out, struct err *e)
{
    return provider_one(db, a, &sso_provider_of_org, DB_ARGS(A_STR(org_id), A_STR(id)), out, e);
}

static bool provider_many(struct db *db, struct arena *a, const struct db_stmt *s,
                          struct db_args args, struct rows_found *found, struct err *e)
{
    return rows_list(db, a, s, args, &provider_kind, found, e);
}

bool sso_providers_list(struct db *db, struct arena *a, struct str org_id,
                        const struct db_page *page, struct sso_provider **out, size_t *n,
                        struct err *e)
{
    struct rows_found found;
    if (!provider_many(db, a, &sso_providers_of_org, DB_ARGS(A_STR(org_id), PAGE_ARGS(page)),
                       &found, e))
        return false;
    *out = found.items;
    *n = found.n;
    return true;
}

bool sso_providers_count(struct db *db, struct arena *a, struct str org_id, int64_t *out,
                         struct err *e)
{
    return rows_count(db, a, &sso_providers_number, DB_ARGS(A_STR(org_id)), out, e);
}

bool sso_providers_list_installation(struct db *db, struct arena *a, struct sso_provider **out,
                                     size_t *n, struct err *e)
{
    struct rows_found found;
    if (!provider_many(db, a, &sso_providers_installation, DB_NO_ARGS, &found, e))
        return false;
    *out = found.items;
    *n = found.n;
    return true;
}

bool sso_providers_update(struct db *db, struct arena *a, const struct sso_provider *p,
                          int64_t was_updated_at, struct err *e)
{
    return rows_change(db, a, &sso_provider_update,
                       DB_ARGS(A_STR(p->id), A_STR(p->org_id), A_STR(p->name), A_STR(p->config),
                               A_STR(p->sealed_secret), A_INT(p->is_enabled), A_INT(p->is_jit),
                               A_STR(p->default_role), A_INT(p->updated_at), A_INT(p->is_owners),
                               A_TIME(was_updated_at)),
                       e);
}

bool sso_providers_set_config(struct db *db, struct arena *a, struct str id, struct str was,
                              struct str config, int64_t now, struct err *e)
{
    return rows_change(db, a, &sso_provider_set_config,
                       DB_ARGS(A_STR(id), A_STR(was), A_STR(config), A_INT(now)), e);
}

bool sso_providers_delete(struct db *db, struct arena *a, struct str org_id, struct str id,
                          struct err *e)
{
    struct db_batch b;
    struct err own;
    e = e ? e : &own;
    db_batch_init(&b, a);
    db_batch_add(&b, &sso_provider_delete, DB_ARGS(A_STR(org_id), A_STR(id)));
    db_batch_add(&b, &sso_provider_groups_end, DB_ARGS(A_STR(org_id), A_STR(id)));
    db_batch_add(&b, &sso_provider_sessions_end, DB_ARGS(A_STR(id)));
    if (db_batch_run(db, &b, NULL, e))
        return true;
    return rows_is_no_row(e) ? err_set(e, ERR_NOT_FOUND, "no such sign-in provider") : false;
}
