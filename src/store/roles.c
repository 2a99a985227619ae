#include "store/roles.h"

#include "store/rows.h"

#define ROLE_COLUMNS "r.id, r.name, r.description, r.statements, r.created_at, r.updated_at"
/* roles without role $2, with spaces around; the same text where it is not among them. */
#define ROLES_PADDED  "' ' || roles || ' '"
#define ROLES_WITHOUT "replace(" ROLES_PADDED ", ' ' || CAST($2 AS TEXT) || ' ', ' ')"

/* The roles of this row have role r. */
#define HAS_ROLE(row)                                                                              \
    "replace(' ' || " row ".roles || ' ', ' ' || r.id || ' ', '') <> ' ' || " row ".roles || ' '"

static const struct db_stmt role_insert = {
    "role_insert",
    "INSERT INTO roles (org_id, id, name, description, statements, created_at, updated_at) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7)",
    DB_WRITE, DB_DURABLE | DB_INVALIDATES};
static const struct db_stmt role_by_id = {
    "role_by_id", "SELECT " ROLE_COLUMNS " FROM roles r WHERE r.org_id = $1 AND r.id = $2", DB_READ,
    0};
static const struct db_stmt roles_of_org = {
    "roles_of_org",
    "SELECT " ROLE_COLUMNS " FROM roles r WHERE r.org_id = $1 "
    "AND (r.created_at, r.id) > (CAST($2 AS BIGINT), CAST($3 AS TEXT)) "
    "ORDER BY r.created_at, r.id LIMIT CAST($4 AS BIGINT)",
    DB_LIST, 0};
static const struct db_stmt roles_number = {
    "roles_number", "SELECT count(*) FROM roles WHERE org_id = $1", DB_LIST, 0};
static const struct db_stmt role_update = {
    "role_update",
    "UPDATE roles SET name = COALESCE(CAST($3 AS TEXT), name), "
    "description = COALESCE(CAST($4 AS TEXT), description), "
    "statements = COALESCE(CAST($5 AS TEXT), statements), updated_at = $6 "
    "WHERE org_id = $1 AND id = $2",
    DB_WRITE, DB_DURABLE | DB_INVALIDATES};
/* Where role $2 of organization $1 is given; $3: now. */
#define OF_MEMBERS "FROM members WHERE org_id = $1 AND " ROLES_WITHOUT " <> " ROLES_PADDED
#define OF_GROUPS  "FROM org_groups WHERE org_id = $1 AND " ROLES_WITHOUT " <> " ROLES_PADDED
#define OF_INVITATIONS                                                                             \
    "FROM invitations WHERE org_id = $1 AND role = CAST($2 AS TEXT) "                              \
    "AND accepted_at IS NULL AND expires_at > CAST($3 AS BIGINT)"
#define OF_PROVIDERS                                                                               \
    "FROM sso_providers WHERE org_id = $1 AND (default_role = CAST($2 AS TEXT) "                   \
    "OR replace(config, CAST($2 AS TEXT), '') <> config)"
#define OF_DOMAINS "FROM org_domains WHERE org_id = $1 AND join_role = CAST($2 AS TEXT)"
static const struct db_stmt role_delete = {
    "role_delete",
    "DELETE FROM roles WHERE org_id = $1 AND id = CAST($2 AS TEXT) AND NOT EXISTS (SELECT "
    "1 " OF_MEMBERS ") AND NOT EXISTS (SELECT 1 " OF_GROUPS
    ") AND NOT EXISTS (SELECT 1 " OF_INVITATIONS ") AND NOT EXISTS (SELECT 1 " OF_PROVIDERS
    ") AND NOT EXISTS (SELECT 1 " OF_DOMAINS ")",
    DB_WRITE, DB_MUST_AFFECT | DB_DURABLE | DB_INVALIDATES};
static const struct db_stmt role_uses_count = {
    "role_uses_count",
    "SELECT (SELECT count(*) " OF_MEMBERS "), (SELECT count(*) " OF_GROUPS
    "), (SELECT count(*) " OF_INVITATIONS "), (SELECT count(*) " OF_PROVIDERS
    "), (SELECT count(*) " OF_DOMAINS ") FROM roles WHERE org_id = $1 AND id = CAST($2 AS TEXT)",
    DB_LIST, 0};
static const struct db_stmt role_take_from_providers = {
    "role_take_from_providers",
    "UPDATE org_provider_roles SET roles = trim(" ROLES_WITHOUT
    ") WHERE org_id = $1 AND " ROLES_WITHOUT " <> " ROLES_PADDED,
    DB_WRITE, DB_DURABLE | DB_INVALIDATES};
/* As in groups_of_member, a provider that has been deleted puts nobody in a group. */
static const struct db_stmt roles_by_member = {
    "roles_by_member",
    "SELECT " ROLE_COLUMNS " FROM roles r WHERE r.org_id = $1 AND (EXISTS (SELECT 1 FROM members m "
    "WHERE m.org_id = r.org_id AND m.user_id = $2 AND " HAS_ROLE(
        "m") ") "
             "OR EXISTS (SELECT 1 FROM org_group_members gm JOIN org_groups g ON g.org_id = "
             "gm.org_id AND "
             "g.id = gm.group_id WHERE gm.org_id = r.org_id AND gm.user_id = $2 AND "
             "(gm.source = '' OR gm.source = 'scim' OR EXISTS (SELECT 1 FROM sso_providers sp "
             "WHERE sp.id = "
             "gm.source)) AND " HAS_ROLE(
                 "g") ") "
                      "OR EXISTS (SELECT 1 FROM org_provider_roles p WHERE p.org_id = r.org_id AND "
                      "p.user_id = $2 "
                      "AND " HAS_ROLE("p") ")) ORDER BY r.created_at, r.id",
    DB_READ, 0};

static void role_read(const struct db_rows *r, size_t row, void *item)
{
    struct role *out = item;
    *out = (struct role){
        .id = db_text(r, row, 0),
        .name = db_text(r, row, 1),
        .description = db_text(r, row, 2),
        .statements = db_text(r, row, 3),
        .created_at = db_int(r, row, 4),
        .updated_at = db_int(r, row, 5),
    };
}
static const struct rows_kind role_kind = {sizeof(struct role), role_read};

static bool name_taken(struct err *e)
{
    if (rows_is_duplicate(e))
        err_set(e, ERR_CONFLICT, "a role of this name exists already");
    return false;
}

bool roles_insert(struct db *db, struct arena *a, struct str org_id, const struct role *r,
                  struct err *e)
{
    struct err own;
    e = e ? e : &own;
    return db_run(db, a, &role_insert,
                  DB_ARGS(A_STR(org_id), A_STR(r->id), A_STR(r->name), A_STR(r->description),
                          A_STR(r->statements), A_INT(r->created_at), A_INT(r->updated_at)),
                  NULL, e) ||
           name_taken(e);
}

bool roles_get(struct db *db, struct arena *a, struct str org_id, struct str id, struct role *out,
               struct err *e)
{
    struct db_rows r;
    if (!db_one(db, a, &role_by_id, DB_ARGS(A_STR(org_id), A_STR(id)), &r, e))
        return false;
    role_read(&r, 0, out);
    return true;
}

bool roles_list(struct db *db, struct arena *a, struct str org_id, const struct db_page *page,
                struct role **out, size_t *n, struct err *e)
{
    struct rows_found found;
    if (!rows_list(db, a, &roles_of_org, DB_ARGS(A_STR(org_id), PAGE_ARGS(page)), &role_kind,
                   &found, e))
        return false;
    *out = found.items;
    *n = found.n;
    return true;
}

bool roles_count(struct db *db, struct arena *a, struct str org_id, int64_t *out, struct err *e)
{
    return rows_count(db, a, &roles_number, DB_ARGS(A_STR(org_id)), out, e);
}

bool roles_update(struct db *db, struct arena *a, struct str org_id, struct str id,
                  const struct role_change *c, int64_t now, struct err *e)
{
    struct err own;
    e = e ? e : &own;
    return rows_change(db, a, &role_update,
                       DB_ARGS(A_STR(org_id), A_STR(id), A_STR(c->name), A_STR(c->description),
                               A_STR(c->statements), A_INT(now)),
                       e) ||
           name_taken(e);
}

bool roles_delete(struct db *db, struct arena *a, struct str org_id, struct str id, int64_t now,
                  struct role_uses *uses, struct err *e)
{
    struct db_batch b;
    struct db_rows r;
    struct err own;
    e = e ? e : &own;
    *uses = (struct role_uses){0};
    db_batch_init(&b, a);
    db_batch_add(&b, &role_delete, DB_ARGS(A_STR(org_id), A_STR(id), A_INT(now)));
    db_batch_add(&b, &role_take_from_providers, DB_ARGS(A_STR(org_id), A_STR(id)));
    if (db_batch_run(db, &b, NULL, e))
        return true;
    if (!rows_failed_at(e, &role_delete) ||
        !db_one(db, a, &role_uses_count, DB_ARGS(A_STR(org_id), A_STR(id), A_INT(now)), &r, e))
        return false;
    *uses = (struct role_uses){.members = db_int(&r, 0, 0),
                               .groups = db_int(&r, 0, 1),
                               .invitations = db_int(&r, 0, 2),
                               .providers = db_int(&r, 0, 3),
                               .domains = db_int(&r, 0, 4)};
    return err_set(e, ERR_CONFLICT, "the role is in use");
}

bool roles_of_member(struct db *db, struct arena *a, struct str org_id, struct str user_id,
                     struct role **out, size_t *n, struct err *e)
{
    struct rows_found found;
    if (!rows_list(db, a, &roles_by_member, DB_ARGS(A_STR(org_id), A_STR(user_id)), &role_kind,
                   &found, e))
        return false;
    *out = found.items;
    *n = found.n;
    return true;
}
