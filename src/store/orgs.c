#include "store/orgs.h"

#include "store/rows.h"
#include "store/slugs.h"

#define ORG_COLUMNS                                                                                \
    "o.id, o.slug, o.name, o.description, o.audit_arguments, o.created_by, o.created_at, "         \
    "o.updated_at, o.hub_prefix, o.hub_search"
enum { ORG_N_COLUMNS = 10, AUDIT_CHUNK = 1000 };

static const struct db_stmt org_insert = {
    "org_insert",
    "INSERT INTO organizations (id, slug, name, description, audit_arguments, created_by, "
    "created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    DB_WRITE, DB_DURABLE | DB_INVALIDATES};
static const struct db_stmt org_key_insert = {
    "org_key_insert", "INSERT INTO org_data_keys (org_id, wrapped, updated_at) VALUES ($1, $2, $3)",
    DB_WRITE, DB_DURABLE};
static const struct db_stmt org_owner_insert = {
    "org_owner_insert",
    "INSERT INTO members (org_id, user_id, roles, is_owner, created_at) "
    "VALUES ($1, $2, 'owner', 1, $3)",
    DB_WRITE, DB_DURABLE | DB_INVALIDATES};
static const struct db_stmt org_by_id = {
    "org_by_id", "SELECT " ORG_COLUMNS " FROM organizations o WHERE o.id = $1", DB_READ, 0};
static const struct db_stmt orgs_of_user = {
    "orgs_of_user",
    "SELECT " ORG_COLUMNS ", m.roles FROM members m JOIN organizations o ON o.id = m.org_id "
    "WHERE m.user_id = $1 AND m.deactivated_at IS NULL AND (o.created_at, o.id) > (CAST($2 AS "
    "BIGINT), CAST($3 AS TEXT)) "
    "ORDER BY o.created_at, o.id LIMIT CAST($4 AS BIGINT)",
    DB_LIST, 0};
static const struct db_stmt orgs_of_user_number = {
    "orgs_of_user_number",
    "SELECT count(*) FROM members WHERE user_id = $1 AND deactivated_at IS NULL", DB_LIST, 0};
static const struct db_stmt org_update = {
    "org_update",
    "UPDATE organizations SET name = COALESCE(CAST($2 AS TEXT), name), "
    "description = COALESCE(CAST($3 AS TEXT), description), "
    "slug = COALESCE(CAST($4 AS TEXT), slug), "
    "audit_arguments = COALESCE(CAST($5 AS BIGINT), audit_arguments), updated_at = $6, "
    "hub_prefix = COALESCE(CAST($7 AS TEXT), hub_prefix), "
    "hub_search = COALESCE(CAST($8 AS TEXT), hub_search) WHERE id = $1",
    DB_WRITE, DB_MUST_AFFECT | DB_INVALIDATES};
static const struct db_stmt org_delete = {"org_delete", "DELETE FROM organizations WHERE id = $1",
                                          DB_WRITE, DB_MUST_AFFECT | DB_DURABLE | DB_INVALIDATES};
static const struct db_stmt org_audit_delete = {
    "org_audit_delete",
    "DELETE FROM audit WHERE pos IN (SELECT pos FROM audit WHERE org_id = $1 "
    "ORDER BY at, id LIMIT CAST($2 AS BIGINT))",
    DB_WRITE, DB_AUDIT};
static const struct db_stmt org_key = {
    "org_key", "SELECT wrapped FROM org_data_keys WHERE org_id = $1", DB_READ, 0};
static const struct db_stmt org_key_replace = {
    "org_key_replace",
    "UPDATE org_data_keys SET wrapped = $3, updated_at = $4 WHERE org_id = $1 AND wrapped = $2",
    DB_WRITE, DB_DURABLE};
static const struct db_stmt org_keys = {
    "org_keys",
    "SELECT org_id, wrapped FROM org_data_keys WHERE org_id > CAST($1 AS TEXT) "
    "ORDER BY org_id LIMIT CAST($2 AS BIGINT)",
    DB_LIST, 0};

static void org_read(const struct db_rows *r, size_t row, struct org *o)
{
    *o = (struct org){
        .id = db_text(r, row, 0),
        .slug = db_text(r, row, 1),
        .name = db_text(r, row, 2),
        .description = db_text(r, row, 3),
        .audit_arguments = db_int(r, row, 4) != 0,
        .created_by = db_text(r, row, 5),
        .created_at = db_int(r, row, 6),
        .updated_at = db_int(r, row, 7),
        .hub_prefix = db_text(r, row, 8),
        .hub_search = db_text(r, row, 9),
    };
}

static void org_of_user_read(const struct db_rows *r, size_t row, void *item)
{
    struct org_of_user *o = item;
    org_read(r, row, &o->org);
    o->roles = db_text(r, row, ORG_N_COLUMNS);
}
static const struct rows_kind org_of_user_kind = {sizeof(struct org_of_user), org_of_user_read};

bool orgs_insert(struct db *db, struct arena *a, const struct org *o, struct str wrapped_data_key,
                 struct str owner_id, struct err *e)
{
    struct db_batch b;
    struct err own;
    e = e ? e : &own;
    db_batch_init(&b, a);
    db_batch_add(&b, &org_insert,
                 DB_ARGS(A_STR(o->id), A_STR(o->slug), A_STR(o->name), A_STR(o->description),
                         A_INT(o->audit_arguments), A_STR(o->created_by), A_INT(o->created_at),
                         A_INT(o->updated_at)));
    slugs_add(&b, o->id, STR(""), o->id, o->slug);
    db_batch_add(&b, &org_key_insert,
                 DB_ARGS(A_STR(o->id), A_STR(wrapped_data_key), A_INT(o->created_at)));
    db_batch_add(&b, &org_owner_insert,
                 DB_ARGS(A_STR(o->id), A_STR(owner_id), A_INT(o->created_at)));
    if (db_batch_run(db, &b, NULL, e))
        return true;
    return slugs_is_taken(e) || (rows_failed_at(e, &org_insert) && rows_is_duplicate(e))
               ? slugs_taken(e, o->slug)
               : false;
}

bool orgs_get(struct db *db, struct arena *a, struct str id, struct org *out, struct err *e)
{
    struct db_rows r;
    if (!db_one(db, a, &org_by_id, DB_ARGS(A_STR(id)), &r, e))
        return false;
    org_read(&r, 0, out);
    return true;
}

bool orgs_by_slug(struct db *db, struct arena *a, struct str slug, struct org *out, struct err *e)
{
    struct str id;
    return slugs_resolve(db, a, STR(""), slug, &id, e) && orgs_get(db, a, id, out, e);
}

bool orgs_list_of_user(struct db *db, struct arena *a, struct str user_id,
                       const struct db_page *page, struct org_of_user **out, size_t *n,
                       struct err *e)
{
    struct rows_found found;
    if (!rows_list(db, a, &orgs_of_user, DB_ARGS(A_STR(user_id), PAGE_ARGS(page)),
                   &org_of_user_kind, &found, e))
        return false;
    *out = found.items;
    *n = found.n;
    return true;
}

bool orgs_count_of_user(struct db *db, struct arena *a, struct str user_id, int64_t *out,
                        struct err *e)
{
    return rows_count(db, a, &orgs_of_user_number, DB_ARGS(A_STR(user_id)), out, e);
}

bool orgs_update(struct db *db, struct arena *a, struct str id, const struct org_change *c,
                 int64_t now, struct err *e)
{
    struct db_batch b;
    struct err own;
    e = e ? e : &own;
    db_batch_init(&b, a);
    db_batch_add(&b, &org_update,
                 DB_ARGS(A_STR(id), A_STR(c->name), A_STR(c->description), A_STR(c->slug),
                         c->audit_arguments < 0 ? A_NULL : A_INT(c->audit_arguments), A_INT(now),
                         A_STR(c->hub_prefix), A_STR(c->hub_search)));
    if (!str_is_absent(c->slug))
        slugs_change(&b, id, STR(""), id, c->slug, now);
    struct db_rows results[3];
    if (db_batch_run(db, &b, results, e))
        return true;
    if (slugs_is_taken(e))
        return slugs_taken(e, c->slug);
    if (rows_failed_at(e, &org_update))
        return rows_is_no_row(e) ? err_set(e, ERR_NOT_FOUND, "not found") : slugs_taken(e, c->slug);
    return false;
}

/*
 * The main file first, in one transaction with all that cascades from it: from then on nobody can
 * reach the organization and its data key is gone. Then the audit rows, piece by piece. A crash
 * between the two leaves audit rows that nobody can read through the program and that retention
 * removes.
 */
bool orgs_delete(struct db *db, struct arena *a, struct str id, unused_arg int64_t now,
                 struct err *e)
{
    if (!rows_change(db, a, &org_delete, DB_ARGS(A_STR(id)), e)) {
        if (e && rows_failed_at(e, &org_delete))
            err_set(e, ERR_NOT_FOUND, "not found");
        return false;
    }
    for (struct db_rows r = {.n_affected = AUDIT_CHUNK}; r.n_affected == AUDIT_CHUNK;)
        if (!db_run(db, a, &org_audit_delete, DB_ARGS(A_STR(id), A_INT(AUDIT_CHUNK)), &r, e))
            return false;
    return true;
}

bool orgs_data_key(struct db *db, struct arena *a, struct str org_id, struct str *wrapped,
                   struct err *e)
{
    struct db_rows r;
    if (!db_one(db, a, &org_key, DB_ARGS(A_STR(org_id)), &r, e))
        return false;
    *wrapped = db_text(&r, 0, 0);
    return true;
}

bool orgs_data_key_replace(struct db *db, struct arena *a, struct str org_id,
                           struct str old_wrapped, struct str new_wrapped, int64_t now,
                           struct err *e)
{
    return rows_change(db, a, &org_key_replace,
                       DB_ARGS(A_STR(org_id), A_STR(old_wrapped), A_STR(new_wrapped), A_INT(now)),
                       e);
}

bool orgs_data_keys_list(struct db *db, struct arena *a, struct str after_org_id, int limit,
                         struct str **org_ids, struct str **wrapped, size_t *n, struct err *e)
{
    struct db_rows r;
    struct str after = after_org_id.p ? after_org_id : STR("");
    if (!db_run(db, a, &org_keys, DB_ARGS(A_STR(after), A_INT(limit)), &r, e))
        return false;
    struct str *ids = arena_alloc(a, (r.n_rows + 1) * sizeof *ids);
    struct str *keys = arena_alloc(a, (r.n_rows + 1) * sizeof *keys);
    if (!ids || !keys)
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    for (size_t i = 0; i < r.n_rows; i++) {
        ids[i] = db_text(&r, i, 0);
        keys[i] = db_text(&r, i, 1);
    }
    *org_ids = ids;
    *wrapped = keys;
    *n = r.n_rows;
    return true;
}
