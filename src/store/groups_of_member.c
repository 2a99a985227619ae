/* What a member has by groups, and what sign-in providers say of it. */
#include "store/groups.h"
#include "store/rows.h"

/* Who was put in by a provider that has been deleted since is not in. */
static const struct db_stmt groups_by_member = {
    "groups_by_member",
    "SELECT g.id, g.name, g.roles, g.created_at FROM org_groups g WHERE g.org_id = $1 AND EXISTS "
    "(SELECT 1 FROM org_group_members m WHERE m.org_id = g.org_id AND m.group_id = g.id AND "
    "m.user_id = $2 AND (m.source = '' OR m.source = 'scim' OR EXISTS (SELECT 1 FROM sso_providers "
    "p WHERE p.id = m.source))) "
    "UNION ALL SELECT NULL, p.name, r.roles, r.updated_at FROM org_provider_roles r "
    "JOIN sso_providers p ON p.id = r.provider_id WHERE r.org_id = $1 AND r.user_id = $2 "
    "ORDER BY 4, 1",
    DB_READ, 0};
static const struct db_stmt group_names = {
    "group_names",
    "SELECT provider_id, name, group_id FROM org_group_names WHERE org_id = $1 AND "
    "(CAST($2 AS TEXT) IS NULL OR provider_id = CAST($2 AS TEXT)) AND (CAST($3 AS TEXT) IS NULL OR "
    "group_id = CAST($3 AS TEXT)) ORDER BY provider_id, name, group_id",
    DB_LIST, 0};
static const struct db_stmt group_names_delete = {
    "group_names_delete", "DELETE FROM org_group_names WHERE org_id = $1 AND group_id = $2",
    DB_WRITE, DB_DURABLE};
static const struct db_stmt group_name_insert = {
    "group_name_insert",
    "INSERT INTO org_group_names (org_id, provider_id, name, group_id) SELECT $1, p.id, $3, $4 "
    "FROM sso_providers p WHERE p.org_id = $1 AND p.id = $2 ON CONFLICT DO NOTHING",
    DB_WRITE, DB_MUST_AFFECT | DB_DURABLE};
static const struct db_stmt provider_groups = {
    "provider_groups",
    "SELECT group_id FROM org_group_members WHERE org_id = $1 AND user_id = $2 AND source = $3",
    DB_LIST, 0};
static const struct db_stmt provider_roles = {
    "provider_roles",
    "SELECT roles FROM org_provider_roles WHERE org_id = $1 AND user_id = $2 AND provider_id = $3",
    DB_LIST, 0};
static const struct db_stmt provider_group_insert = {
    "provider_group_insert",
    "INSERT INTO org_group_members (org_id, group_id, user_id, source, created_at) "
    "VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
    DB_WRITE, DB_DURABLE | DB_INVALIDATES};
static const struct db_stmt provider_group_delete = {
    "provider_group_delete",
    "DELETE FROM org_group_members WHERE org_id = $1 AND group_id = $2 AND user_id = $3 AND "
    "source = $4",
    DB_WRITE, DB_DURABLE | DB_INVALIDATES};
static const struct db_stmt provider_roles_put = {
    "provider_roles_put",
    "INSERT INTO org_provider_roles (org_id, user_id, provider_id, roles, updated_at) "
    "VALUES ($1, $2, $3, $4, $5) ON CONFLICT (org_id, user_id, provider_id) DO UPDATE SET "
    "roles = excluded.roles, updated_at = excluded.updated_at",
    DB_WRITE, DB_DURABLE | DB_INVALIDATES};

static void group_of_member_read(const struct db_rows *r, size_t row, void *item)
{
    struct group_of_member *out = item;
    *out = (struct group_of_member){
        .id = db_text(r, row, 0), .name = db_text(r, row, 1), .roles = db_text(r, row, 2)};
}
static const struct rows_kind group_of_member_kind = {sizeof(struct group_of_member),
                                                      group_of_member_read};

static void group_name_read(const struct db_rows *r, size_t row, void *item)
{
    struct group_name *out = item;
    *out = (struct group_name){.provider_id = db_text(r, row, 0),
                               .name = db_text(r, row, 1),
                               .group_id = db_text(r, row, 2)};
}
static const struct rows_kind group_name_kind = {sizeof(struct group_name), group_name_read};

bool groups_of_member(struct db *db, struct arena *a, struct str org_id, struct str user_id,
                      struct group_of_member **out, size_t *n, struct err *e)
{
    struct rows_found found;
    if (!rows_list(db, a, &groups_by_member, DB_ARGS(A_STR(org_id), A_STR(user_id)),
                   &group_of_member_kind, &found, e))
        return false;
    *out = found.items;
    *n = found.n;
    return true;
}

bool groups_give(const struct group_of_member *groups, size_t n, struct str role)
{
    for (size_t i = 0; i < n; i++)
        if (str_list_has(groups[i].roles, role))
            return true;
    return false;
}

bool groups_names(struct db *db, struct arena *a, struct str org_id, struct str provider_id,
                  struct str group_id, struct group_name **out, size_t *n, struct err *e)
{
    struct rows_found found;
    if (!rows_list(db, a, &group_names, DB_ARGS(A_STR(org_id), A_STR(provider_id), A_STR(group_id)),
                   &group_name_kind, &found, e))
        return false;
    *out = found.items;
    *n = found.n;
    return true;
}

static bool is_named_before(const struct group_name *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(names[i].provider_id, names[n].provider_id) &&
            str_eq(names[i].name, names[n].name))
            return true;
    return false;
}

bool groups_names_set(struct db *db, struct arena *a, struct str org_id, struct str group_id,
                      const struct group_name *names, size_t n, struct err *e)
{
    struct db_batch b;
    struct err own;
    e = e ? e : &own;
    db_batch_init(&b, a);
    db_batch_add(&b, &group_names_delete, DB_ARGS(A_STR(org_id), A_STR(group_id)));
    for (size_t i = 0; i < n; i++)
        if (!is_named_before(names, i))
            db_batch_add(&b, &group_name_insert,
                         DB_ARGS(A_STR(org_id), A_STR(names[i].provider_id), A_STR(names[i].name),
                                 A_STR(group_id)));
    if (db_batch_run(db, &b, NULL, e))
        return true;
    return rows_failed_at(e, &group_name_insert)
               ? err_set(e, ERR_NOT_FOUND, "the organization has no such sign-in provider")
               : false;
}

static bool rows_have(const struct db_rows *r, struct str id)
{
    for (size_t i = 0; i < r->n_rows; i++)
        if (str_eq(db_text(r, i, 0), id))
            return true;
    return false;
}

static bool list_has(const struct groups_by_provider *g, struct str id)
{
    for (size_t i = 0; i < g->n_groups; i++)
        if (str_eq(g->group_ids[i], id))
            return true;
    return false;
}

static void batch_fill(struct db_batch *b, const struct groups_by_provider *g,
                       const struct db_rows *groups, const struct db_rows *roles)
{
    for (size_t i = 0; i < groups->n_rows; i++)
        if (!list_has(g, db_text(groups, i, 0)))
            db_batch_add(b, &provider_group_delete,
                         DB_ARGS(A_STR(g->org_id), A_STR(db_text(groups, i, 0)), A_STR(g->user_id),
                                 A_STR(g->provider_id)));
    for (size_t i = 0; i < g->n_groups; i++)
        if (!rows_have(groups, g->group_ids[i]))
            db_batch_add(b, &provider_group_insert,
                         DB_ARGS(A_STR(g->org_id), A_STR(g->group_ids[i]), A_STR(g->user_id),
                                 A_STR(g->provider_id), A_INT(g->now)));
    struct str before = roles->n_rows ? db_text(roles, 0, 0) : STR("");
    if (!str_eq(before, g->roles))
        db_batch_add(b, &provider_roles_put,
                     DB_ARGS(A_STR(g->org_id), A_STR(g->user_id), A_STR(g->provider_id),
                             A_STR(g->roles), A_INT(g->now)));
}

bool groups_set_by_provider(struct db *db, struct arena *a, const struct groups_by_provider *g,
                            struct err *e)
{
    struct db_rows groups, roles;
    struct db_batch b;
    struct err own;
    e = e ? e : &own;
    struct db_args who = DB_ARGS(A_STR(g->org_id), A_STR(g->user_id), A_STR(g->provider_id));
    if (!db_run(db, a, &provider_groups, who, &groups, e) ||
        !db_run(db, a, &provider_roles, who, &roles, e))
        return false;
    db_batch_init(&b, a);
    batch_fill(&b, g, &groups, &roles);
    if (b.n == 0 && !b.failed)
        return true;
    if (db_batch_run(db, &b, NULL, e))
        return true;
    return e->code == ERR_CONFLICT ? err_set(e, ERR_NOT_FOUND, "no such member") : false;
}
