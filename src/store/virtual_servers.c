#include "store/virtual_servers.h"

#include "store/rows.h"

#define VIRTUAL_COLUMNS                                                                            \
    "id, org_id, name, description, icon, instructions, prefix, search, enabled, created_by, "     \
    "created_at, updated_at"

static const struct db_stmt virtual_insert = {
    "virtual_insert",
    "INSERT INTO virtual_servers (" VIRTUAL_COLUMNS ") "
    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
    DB_WRITE, DB_DURABLE | DB_INVALIDATES};
static const struct db_stmt virtual_by_id = {
    "virtual_by_id",
    "SELECT " VIRTUAL_COLUMNS " FROM virtual_servers WHERE org_id = $1 AND id = $2", DB_READ, 0};
static const struct db_stmt virtuals_of_org = {
    "virtuals_of_org",
    "SELECT " VIRTUAL_COLUMNS " FROM virtual_servers WHERE org_id = $1 "
    "AND (created_at, id) > (CAST($2 AS BIGINT), CAST($3 AS TEXT)) "
    "ORDER BY created_at, id LIMIT CAST($4 AS BIGINT)",
    DB_LIST, 0};
static const struct db_stmt virtuals_number = {
    "virtuals_number", "SELECT count(*) FROM virtual_servers WHERE org_id = $1", DB_LIST, 0};
static const struct db_stmt virtual_update = {
    "virtual_update",
    "UPDATE virtual_servers SET name = $3, description = $4, icon = $5, instructions = $6, "
    "prefix = $7, search = $8, enabled = $9, updated_at = $10 WHERE org_id = $1 AND id = $2",
    DB_WRITE, DB_MUST_AFFECT | DB_DURABLE | DB_INVALIDATES};
static const struct db_stmt virtual_delete = {
    "virtual_delete", "DELETE FROM virtual_servers WHERE org_id = $1 AND id = $2", DB_WRITE,
    DB_DURABLE | DB_INVALIDATES};
static const struct db_stmt member_insert = {
    "virtual_member_insert",
    "INSERT INTO virtual_server_members (org_id, virtual_server_id, connection_id, place, tools, "
    "resources, prompts) VALUES ($1, $2, $3, $4, $5, $6, $7)",
    DB_WRITE, DB_DURABLE | DB_INVALIDATES};
static const struct db_stmt members_delete = {
    "virtual_members_delete",
    "DELETE FROM virtual_server_members WHERE org_id = $1 AND virtual_server_id = $2", DB_WRITE,
    DB_DURABLE | DB_INVALIDATES};
static const struct db_stmt members_of = {
    "virtual_members_of",
    "SELECT connection_id, tools, resources, prompts FROM virtual_server_members "
    "WHERE org_id = $1 AND virtual_server_id = $2 ORDER BY place",
    DB_READ, 0};

static void virtual_read(const struct db_rows *r, size_t row, void *item)
{
    struct virtual_server *out = item;
    *out = (struct virtual_server){
        .id = db_text(r, row, 0),
        .org_id = db_text(r, row, 1),
        .name = db_text(r, row, 2),
        .description = db_text(r, row, 3),
        .icon = db_text(r, row, 4),
        .instructions = db_text(r, row, 5),
        .prefix = db_text(r, row, 6),
        .search = db_text(r, row, 7),
        .enabled = db_int(r, row, 8) != 0,
        .created_by = db_text(r, row, 9),
        .created_at = db_int(r, row, 10),
        .updated_at = db_int(r, row, 11),
    };
}
static const struct rows_kind virtual_kind = {sizeof(struct virtual_server), virtual_read};

static void member_read(const struct db_rows *r, size_t row, void *item)
{
    struct virtual_member *out = item;
    *out = (struct virtual_member){
        .connection_id = db_text(r, row, 0),
        .tools = db_text(r, row, 1),
        .resources = db_text(r, row, 2),
        .prompts = db_text(r, row, 3),
    };
}
static const struct rows_kind member_kind = {sizeof(struct virtual_member), member_read};

static bool members_read(struct db *db, struct arena *a, struct virtual_server *v, struct err *e)
{
    struct rows_found found;
    if (!rows_list(db, a, &members_of, DB_ARGS(A_STR(v->org_id), A_STR(v->id)), &member_kind,
                   &found, e))
        return false;
    v->members = found.items;
    v->n_members = found.n;
    return true;
}

static void members_add(struct db_batch *b, const struct virtual_server *v)
{
    for (size_t i = 0; i < v->n_members; i++) {
        const struct virtual_member *m = &v->members[i];
        db_batch_add(b, &member_insert,
                     DB_ARGS(A_STR(v->org_id), A_STR(v->id), A_STR(m->connection_id),
                             A_INT((int64_t)i), A_STR(m->tools), A_STR(m->resources),
                             A_STR(m->prompts)));
    }
}

static bool member_refused(struct err *e)
{
    return rows_failed_at(e, &member_insert)
               ? err_set(e, ERR_CONFLICT, "a connection is not there, or is named twice")
               : false;
}

bool virtual_servers_insert(struct db *db, struct arena *a, const struct virtual_server *v,
                            struct err *e)
{
    struct db_batch b;
    struct err own;
    e = e ? e : &own;
    db_batch_init(&b, a);
    db_batch_add(&b, &virtual_insert,
                 DB_ARGS(A_STR(v->id), A_STR(v->org_id), A_STR(v->name), A_STR(v->description),
                         A_STR(v->icon), A_STR(v->instructions), A_STR(v->prefix), A_STR(v->search),
                         A_INT(v->enabled), A_STR(v->created_by), A_INT(v->created_at),
                         A_INT(v->updated_at)));
    members_add(&b, v);
    return db_batch_run(db, &b, NULL, e) || member_refused(e);
}

bool virtual_servers_get(struct db *db, struct arena *a, struct str org_id, struct str id,
                         struct virtual_server *out, struct err *e)
{
    struct db_rows r;
    if (!db_one(db, a, &virtual_by_id, DB_ARGS(A_STR(org_id), A_STR(id)), &r, e))
        return false;
    virtual_read(&r, 0, out);
    return members_read(db, a, out, e);
}

bool virtual_servers_list(struct db *db, struct arena *a, struct str org_id,
                          const struct db_page *page, struct virtual_server **out, size_t *n,
                          struct err *e)
{
    struct rows_found found;
    if (!rows_list(db, a, &virtuals_of_org, DB_ARGS(A_STR(org_id), PAGE_ARGS(page)), &virtual_kind,
                   &found, e))
        return false;
    *out = found.items;
    *n = found.n;
    for (size_t i = 0; i < found.n; i++)
        if (!members_read(db, a, &(*out)[i], e))
            return false;
    return true;
}

bool virtual_servers_count(struct db *db, struct arena *a, struct str org_id, int64_t *out,
                           struct err *e)
{
    return rows_count(db, a, &virtuals_number, DB_ARGS(A_STR(org_id)), out, e);
}

bool virtual_servers_update(struct db *db, struct arena *a, const struct virtual_server *v,
                            bool has_members, int64_t now, struct err *e)
{
    struct db_batch b;
    struct err own;
    e = e ? e : &own;
    db_batch_init(&b, a);
    db_batch_add(&b, &virtual_update,
                 DB_ARGS(A_STR(v->org_id), A_STR(v->id), A_STR(v->name), A_STR(v->description),
                         A_STR(v->icon), A_STR(v->instructions), A_STR(v->prefix), A_STR(v->search),
                         A_INT(v->enabled), A_INT(now)));
    if (has_members) {
        db_batch_add(&b, &members_delete, DB_ARGS(A_STR(v->org_id), A_STR(v->id)));
        members_add(&b, v);
    }
    if (db_batch_run(db, &b, NULL, e))
        return true;
    return rows_failed_at(e, &virtual_update) ? err_set(e, ERR_NOT_FOUND, "not found")
                                              : member_refused(e);
}

bool virtual_servers_delete(struct db *db, struct arena *a, struct str org_id, struct str id,
                            struct err *e)
{
    return rows_change(db, a, &virtual_delete, DB_ARGS(A_STR(org_id), A_STR(id)), e);
}
