#include "store/members.h"

#include "store/rows.h"

#define MEMBER_COLUMNS "m.user_id, u.email, u.name, m.roles, m.created_at, m.deactivated_at"
#define OTHER_OWNER                                                                                \
    "EXISTS (SELECT 1 FROM members o WHERE o.org_id = members.org_id "                             \
    "AND o.user_id <> members.user_id AND o.is_owner = 1 AND o.deactivated_at IS NULL)"

/* First in every batch that could take the last owner: in PostgreSQL it lets such changes pass one
 * after the other. */
static const struct db_stmt member_org_lock = {
    "member_org_lock", "UPDATE organizations SET updated_at = updated_at WHERE id = $1", DB_WRITE,
    0};
static const struct db_stmt member_insert = {"member_insert",
                                             "INSERT INTO members (org_id, user_id, roles, "
                                             "is_owner, created_at) VALUES ($1, $2, $3, $4, $5)",
                                             DB_WRITE, DB_DURABLE | DB_INVALIDATES};
static const struct db_stmt member_delete = {
    "member_delete",
    "DELETE FROM members WHERE org_id = $1 AND user_id = $2 AND (is_owner = 0 OR " OTHER_OWNER ")",
    DB_WRITE, DB_MUST_AFFECT | DB_DURABLE | DB_INVALIDATES};
static const struct db_stmt member_keys_hand = {
    "member_keys_hand", "UPDATE api_keys SET user_id = $3 WHERE org_id = $1 AND user_id = $2",
    DB_WRITE, DB_DURABLE | DB_INVALIDATES};
static const struct db_stmt member_credentials_delete = {
    "member_credentials_delete", "DELETE FROM credentials WHERE org_id = $1 AND user_id = $2",
    DB_WRITE, DB_DURABLE | DB_INVALIDATES};
static const struct db_stmt member_downstream_delete = {
    "member_downstream_delete", "DELETE FROM downstream_tokens WHERE org_id = $1 AND user_id = $2",
    DB_WRITE, DB_DURABLE | DB_INVALIDATES};
static const struct db_stmt member_set_roles = {
    "member_set_roles",
    "UPDATE members SET roles = $3, is_owner = CAST($4 AS BIGINT) WHERE org_id = $1 AND "
    "user_id = $2 AND (is_owner = 0 OR CAST($4 AS BIGINT) = 1 OR " OTHER_OWNER ")",
    DB_WRITE, DB_MUST_AFFECT | DB_DURABLE | DB_INVALIDATES};
static const struct db_stmt member_by_id = {"member_by_id",
                                            "SELECT " MEMBER_COLUMNS
                                            " FROM members m JOIN users u ON u.id = m.user_id "
                                            "WHERE m.org_id = $1 AND m.user_id = $2",
                                            DB_READ, 0};
static const struct db_stmt members_of_org = {
    "members_of_org",
    "SELECT " MEMBER_COLUMNS " FROM members m JOIN users u ON u.id = m.user_id WHERE m.org_id = $1 "
    "AND u.kind = 'person' "
    "AND (m.created_at, m.user_id) > (CAST($2 AS BIGINT), CAST($3 AS TEXT)) "
    "AND (CAST($5 AS TEXT) IS NULL OR EXISTS (SELECT 1 FROM org_group_members g WHERE "
    "g.org_id = m.org_id AND g.group_id = CAST($5 AS TEXT) AND g.user_id = m.user_id)) "
    "ORDER BY m.created_at, m.user_id LIMIT CAST($4 AS BIGINT)",
    DB_LIST, 0};
static const struct db_stmt members_number = {
    "members_number",
    "SELECT count(*) FROM members m JOIN users u ON u.id = m.user_id WHERE m.org_id = $1 AND "
    "u.kind = 'person'",
    DB_LIST, 0};

static void member_read(const struct db_rows *r, size_t row, void *item)
{
    struct member *m = item;
    *m = (struct member){
        .user_id = db_text(r, row, 0),
        .email = db_text(r, row, 1),
        .name = db_text(r, row, 2),
        .roles = db_text(r, row, 3),
        .created_at = db_int(r, row, 4),
        .deactivated_at = db_int(r, row, 5),
    };
}
static const struct rows_kind member_kind = {sizeof(struct member), member_read};

bool members_add(struct db *db, struct arena *a, struct str org_id, struct str user_id,
                 struct str roles, int64_t now, struct err *e)
{
    struct err own;
    e = e ? e : &own;
    if (db_run(db, a, &member_insert,
               DB_ARGS(A_STR(org_id), A_STR(user_id), A_STR(roles),
                       A_INT(str_list_has(roles, STR("owner"))), A_INT(now)),
               NULL, e))
        return true;
    if (rows_is_duplicate(e))
        err_set(e, ERR_CONFLICT, "they are a member already");
    return false;
}

/* A guarded change touched no row: because there is no such member, or because they are the last
 * owner. */
static bool last_owner_or_absent(struct db *db, struct arena *a, struct str org_id,
                                 struct str user_id, struct err *e)
{
    struct member m;
    return members_get(db, a, org_id, user_id, &m, e) &&
           err_set(e, ERR_UNPROCESSABLE, "an organization needs at least one owner");
}

bool members_remove(struct db *db, struct arena *a, struct str org_id, struct str user_id,
                    unused_arg int64_t now, struct err *e)
{
    return members_remove_handing(db, a, org_id, user_id, STR_NONE, e);
}

bool members_remove_handing(struct db *db, struct arena *a, struct str org_id, struct str user_id,
                            struct str keys_to, struct err *e)
{
    struct db_batch b;
    struct err own;
    e = e ? e : &own;
    db_batch_init(&b, a);
    db_batch_add(&b, &member_org_lock, DB_ARGS(A_STR(org_id)));
    if (!str_is_absent(keys_to))
        db_batch_add(&b, &member_keys_hand, DB_ARGS(A_STR(org_id), A_STR(user_id), A_STR(keys_to)));
    db_batch_add(&b, &member_delete, DB_ARGS(A_STR(org_id), A_STR(user_id))); /* and their keys */
    db_batch_add(&b, &member_credentials_delete, DB_ARGS(A_STR(org_id), A_STR(user_id)));
    db_batch_add(&b, &member_downstream_delete, DB_ARGS(A_STR(org_id), A_STR(user_id)));
    if (db_batch_run(db, &b, NULL, e))
        return true;
    return rows_failed_at(e, &member_delete) ? last_owner_or_absent(db, a, org_id, user_id, e)
                                             : false;
}

bool members_set_roles(struct db *db, struct arena *a, struct str org_id, struct str user_id,
                       struct str roles, unused_arg int64_t now, struct err *e)
{
    struct db_batch b;
    struct err own;
    e = e ? e : &own;
    db_batch_init(&b, a);
    db_batch_add(&b, &member_org_lock, DB_ARGS(A_STR(org_id)));
    db_batch_add(&b, &member_set_roles,
                 DB_ARGS(A_STR(org_id), A_STR(user_id), A_STR(roles),
                         A_INT(str_list_has(roles, STR("owner")))));
    if (db_batch_run(db, &b, NULL, e))
        return true;
    return rows_failed_at(e, &member_set_roles) ? last_owner_or_absent(db, a, org_id, user_id, e)
                                                : false;
}

bool members_get(struct db *db, struct arena *a, struct str org_id, struct str user_id,
                 struct member *out, struct err *e)
{
    struct db_rows r;
    if (!db_one(db, a, &member_by_id, DB_ARGS(A_STR(org_id), A_STR(user_id)), &r, e))
        return false;
    member_read(&r, 0, out);
    return true;
}

bool members_list(struct db *db, struct arena *a, struct str org_id, struct str group_id,
                  const struct db_page *page, struct member **out, size_t *n, struct err *e)
{
    struct rows_found found;
    if (!rows_list(db, a, &members_of_org, DB_ARGS(A_STR(org_id), PAGE_ARGS(page), A_STR(group_id)),
                   &member_kind, &found, e))
        return false;
    *out = found.items;
    *n = found.n;
    return true;
}

bool members_count(struct db *db, struct arena *a, struct str org_id, int64_t *out, struct err *e)
{
    return rows_count(db, a, &members_number, DB_ARGS(A_STR(org_id)), out, e);
}
