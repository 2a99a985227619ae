#include "store/groups.h"

#include "base/limits.h"
#include "store/rows.h"

#define GROUP_COLUMNS                                                                              \
    "g.id, g.name, g.description, g.roles, g.external_id, g.created_at, g.updated_at, "            \
    "(SELECT count(DISTINCT m.user_id) FROM org_group_members m WHERE m.org_id = g.org_id AND "    \
    "m.group_id = g.id)"

static const struct db_stmt group_insert = {
    "group_insert",
    "INSERT INTO org_groups (org_id, id, name, description, roles, external_id, created_at, "
    "updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    DB_WRITE, DB_DURABLE | DB_INVALIDATES};
static const struct db_stmt group_by_id = {
    "group_by_id", "SELECT " GROUP_COLUMNS " FROM org_groups g WHERE g.org_id = $1 AND g.id = $2",
    DB_READ, 0};
static const struct db_stmt groups_of_org = {
    "groups_of_org",
    "SELECT " GROUP_COLUMNS " FROM org_groups g WHERE g.org_id = $1 "
    "AND (g.created_at, g.id) > (CAST($2 AS BIGINT), CAST($3 AS TEXT)) "
    "ORDER BY g.created_at, g.id LIMIT CAST($4 AS BIGINT)",
    DB_LIST, 0};
static const struct db_stmt groups_by_words = {
    "groups_by_words",
    "SELECT " GROUP_COLUMNS " FROM org_groups g WHERE g.org_id = $1 AND (CAST($2 AS TEXT) IS NULL "
    "OR lower(g.name) = lower(CAST($2 AS TEXT))) AND (CAST($3 AS TEXT) IS NULL OR g.external_id = "
    "CAST($3 AS TEXT)) ORDER BY g.created_at, g.id",
    DB_LIST, 0};
static const struct db_stmt groups_number = {
    "groups_number", "SELECT count(*) FROM org_groups WHERE org_id = $1", DB_LIST, 0};
static const struct db_stmt group_update = {
    "group_update",
    "UPDATE org_groups SET name = COALESCE(CAST($3 AS TEXT), name), "
    "description = COALESCE(CAST($4 AS TEXT), description), "
    "roles = COALESCE(CAST($5 AS TEXT), roles), "
    "external_id = COALESCE(CAST($6 AS TEXT), external_id), updated_at = $7 "
    "WHERE org_id = $1 AND id = $2",
    DB_WRITE, DB_DURABLE | DB_INVALIDATES};
static const struct db_stmt group_delete = {"group_delete",
                                            "DELETE FROM org_groups WHERE org_id = $1 AND id = $2",
                                            DB_WRITE, DB_DURABLE | DB_INVALIDATES};
static const struct db_stmt group_member_ids = {
    "group_member_ids",
    "SELECT DISTINCT user_id FROM org_group_members WHERE org_id = $1 AND group_id = $2 "
    "ORDER BY user_id LIMIT CAST($3 AS BIGINT)",
    DB_LIST, 0};
static const struct db_stmt group_member_insert = {
    "group_member_insert",
    "INSERT INTO org_group_members (org_id, group_id, user_id, source, created_at) "
    "VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
    DB_WRITE, DB_DURABLE | DB_INVALIDATES};
static const struct db_stmt group_member_delete = {
    "group_member_delete",
    "DELETE FROM org_group_members WHERE org_id = $1 AND group_id = $2 AND user_id = $3", DB_WRITE,
    DB_DURABLE | DB_INVALIDATES};

static void group_read(const struct db_rows *r, size_t row, void *item)
{
    struct group *out = item;
    *out = (struct group){.id = db_text(r, row, 0),
                          .name = db_text(r, row, 1),
                          .description = db_text(r, row, 2),
                          .roles = db_text(r, row, 3),
                          .external_id = db_text(r, row, 4),
                          .created_at = db_int(r, row, 5),
                          .updated_at = db_int(r, row, 6),
                          .n_members = db_int(r, row, 7)};
}
static const struct rows_kind group_kind = {sizeof(struct group), group_read};

static bool name_taken(struct err *e)
{
    if (rows_is_duplicate(e))
        err_set(e, ERR_CONFLICT, "a group of this name exists already");
    return false;
}

bool groups_insert(struct db *db, struct arena *a, struct str org_id, const struct group *g,
                   struct err *e)
{
    struct err own;
    e = e ? e : &own;
    return db_run(db, a, &group_insert,
                  DB_ARGS(A_STR(org_id), A_STR(g->id), A_STR(g->name), A_STR(g->description),
                          A_STR(g->roles), A_STR(g->external_id), A_INT(g->created_at),
                          A_INT(g->updated_at)),
                  NULL, e) ||
           name_taken(e);
}

bool groups_get(struct db *db, struct arena *a, struct str org_id, struct str id, struct group *out,
                struct err *e)
{
    struct db_rows r;
    if (!db_one(db, a, &group_by_id, DB_ARGS(A_STR(org_id), A_STR(id)), &r, e))
        return false;
    group_read(&r, 0, out);
    return true;
}

bool groups_list(struct db *db, struct arena *a, struct str org_id, const struct db_page *page,
                 struct group **out, size_t *n, struct err *e)
{
    struct rows_found found;
    if (!rows_list(db, a, &groups_of_org, DB_ARGS(A_STR(org_id), PAGE_ARGS(page)), &group_kind,
                   &found, e))
        return false;
    *out = found.items;
    *n = found.n;
    return true;
}

bool groups_find(struct db *db, struct arena *a, struct str org_id, struct str name,
                 struct str external_id, struct group **out, size_t *n, struct err *e)
{
    struct rows_found found;
    if (!rows_list(db, a, &groups_by_words, DB_ARGS(A_STR(org_id), A_STR(name), A_STR(external_id)),
                   &group_kind, &found, e))
        return false;
    *out = found.items;
    *n = found.n;
    return true;
}

bool groups_count(struct db *db, struct arena *a, struct str org_id, int64_t *out, struct err *e)
{
    return rows_count(db, a, &groups_number, DB_ARGS(A_STR(org_id)), out, e);
}

bool groups_update(struct db *db, struct arena *a, struct str org_id, struct str id,
                   const struct group_change *c, int64_t now, struct err *e)
{
    struct err own;
    e = e ? e : &own;
    return rows_change(db, a, &group_update,
                       DB_ARGS(A_STR(org_id), A_STR(id), A_STR(c->name), A_STR(c->description),
                               A_STR(c->roles), A_STR(c->external_id), A_INT(now)),
                       e) ||
           name_taken(e);
}

bool groups_delete(struct db *db, struct arena *a, struct str org_id, struct str id, struct err *e)
{
    return rows_change(db, a, &group_delete, DB_ARGS(A_STR(org_id), A_STR(id)), e);
}

bool groups_member_ids(struct db *db, struct arena *a, struct str org_id, struct str id,
                       struct str **out, size_t *n, struct err *e)
{
    struct db_rows r;
    if (!db_run(db, a, &group_member_ids,
                DB_ARGS(A_STR(org_id), A_STR(id), A_INT(LIMIT_GROUP_MEMBERS)), &r, e))
        return false;
    *out = arena_alloc(a, (r.n_rows + 1) * sizeof(**out));
    if (!*out)
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    for (size_t i = 0; i < r.n_rows; i++)
        (*out)[i] = db_text(&r, i, 0);
    *n = r.n_rows;
    return true;
}

bool groups_member_add(struct db *db, struct arena *a, const struct str where[2],
                       struct str user_id, struct str source, int64_t now, struct err *e)
{
    struct err own;
    e = e ? e : &own;
    if (db_run(db, a, &group_member_insert,
               DB_ARGS(A_STR(where[0]), A_STR(where[1]), A_STR(user_id), A_STR(source), A_INT(now)),
               NULL, e))
        return true;
    return e->code == ERR_CONFLICT ? err_set(e, ERR_NOT_FOUND, "no such group or member") : false;
}

bool groups_member_remove(struct db *db, struct arena *a, const struct str where[2],
                          struct str user_id, struct err *e)
{
    return rows_change(db, a, &group_member_delete,
                       DB_ARGS(A_STR(where[0]), A_STR(where[1]), A_STR(user_id)), e);
}

void groups_add_members_change(struct db_batch *b, const struct group_members_change *c)
{
    for (size_t i = 0; i < c->n_removed; i++)
        db_batch_add(b, &group_member_delete,
                     DB_ARGS(A_STR(c->org_id), A_STR(c->id), A_STR(c->removed[i])));
    for (size_t i = 0; i < c->n_added; i++)
        db_batch_add(b, &group_member_insert,
                     DB_ARGS(A_STR(c->org_id), A_STR(c->id), A_STR(c->added[i]), A_STR(c->source),
                             A_INT(c->now)));
}
