#include "store/invitations.h"

#include "store/passwords.h"
#include "store/rows.h"

#define INVITATION_COLUMNS                                                                         \
    "i.id, i.org_id, i.email, i.role, i.hash, i.invited_by, i.created_at, i.expires_at, "          \
    "i.accepted_at, o.name"
#define FROM_INVITATIONS " FROM invitations i JOIN organizations o ON o.id = i.org_id "

static const struct db_stmt invitation_insert = {
    "invitation_insert",
    "INSERT INTO invitations (id, org_id, email, role, hash, invited_by, created_at, expires_at) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    DB_WRITE, DB_DURABLE};
static const struct db_stmt invitation_by_hash = {
    "invitation_by_hash",
    "SELECT " INVITATION_COLUMNS FROM_INVITATIONS
    "WHERE i.hash = $1 AND i.accepted_at IS NULL AND i.expires_at > $2",
    DB_READ, 0};
static const struct db_stmt invitations_of_org = {
    "invitations_of_org",
    "SELECT " INVITATION_COLUMNS FROM_INVITATIONS
    "WHERE i.org_id = $1 AND i.accepted_at IS NULL AND i.expires_at > $2 "
    "AND (i.created_at, i.id) > (CAST($3 AS BIGINT), CAST($4 AS TEXT)) "
    "ORDER BY i.created_at, i.id LIMIT CAST($5 AS BIGINT)",
    DB_LIST, 0};
static const struct db_stmt invitations_number = {
    "invitations_number",
    "SELECT count(*) FROM invitations WHERE org_id = $1 AND accepted_at IS NULL "
    "AND expires_at > $2",
    DB_LIST, 0};
static const struct db_stmt invitation_delete = {
    "invitation_delete",
    "DELETE FROM invitations WHERE org_id = $1 AND id = $2 AND accepted_at IS NULL", DB_WRITE,
    DB_DURABLE};
static const struct db_stmt invitation_take = {
    "invitation_take",
    "UPDATE invitations SET accepted_at = CAST($3 AS BIGINT) WHERE org_id = $1 AND id = $2 "
    "AND accepted_at IS NULL AND expires_at > CAST($3 AS BIGINT)",
    DB_WRITE, DB_MUST_AFFECT | DB_DURABLE};
static const struct db_stmt invitation_user = {
    "invitation_user",
    "INSERT INTO users (id, email, name, is_operator, created_at, updated_at) "
    "VALUES ($1, $2, $3, 0, $4, $4)",
    DB_WRITE, DB_DURABLE};
static const struct db_stmt invitation_member = {
    "invitation_member",
    "INSERT INTO members (org_id, user_id, roles, is_owner, created_at) "
    "VALUES ($1, $2, $3, $4, $5)",
    DB_WRITE, DB_DURABLE | DB_INVALIDATES};

static void invitation_read(const struct db_rows *r, size_t row, void *item)
{
    struct invitation *i = item;
    *i = (struct invitation){
        .id = db_text(r, row, 0),
        .org_id = db_text(r, row, 1),
        .email = db_text(r, row, 2),
        .role = db_text(r, row, 3),
        .hash = db_text(r, row, 4),
        .invited_by = db_text(r, row, 5),
        .created_at = db_int(r, row, 6),
        .expires_at = db_int(r, row, 7),
        .accepted_at = db_int(r, row, 8),
        .org_name = db_text(r, row, 9),
    };
}
static const struct rows_kind invitation_kind = {sizeof(struct invitation), invitation_read};

bool invitations_insert(struct db *db, struct arena *a, const struct invitation *i, struct err *e)
{
    return db_run(db, a, &invitation_insert,
                  DB_ARGS(A_STR(i->id), A_STR(i->org_id), A_STR(i->email), A_STR(i->role),
                          A_STR(i->hash), A_STR(i->invited_by), A_INT(i->created_at),
                          A_INT(i->expires_at)),
                  NULL, e);
}

bool invitations_by_hash(struct db *db, struct arena *a, struct str hash, int64_t now,
                         struct invitation *out, struct err *e)
{
    struct db_rows r;
    if (!db_one(db, a, &invitation_by_hash, DB_ARGS(A_STR(hash), A_INT(now)), &r, e))
        return false;
    invitation_read(&r, 0, out);
    return true;
}

bool invitations_list(struct db *db, struct arena *a, struct str org_id, int64_t now,
                      const struct db_page *page, struct invitation **out, size_t *n, struct err *e)
{
    struct rows_found found;
    if (!rows_list(db, a, &invitations_of_org, DB_ARGS(A_STR(org_id), A_INT(now), PAGE_ARGS(page)),
                   &invitation_kind, &found, e))
        return false;
    *out = found.items;
    *n = found.n;
    return true;
}

bool invitations_count(struct db *db, struct arena *a, struct str org_id, int64_t now, int64_t *out,
                       struct err *e)
{
    return rows_count(db, a, &invitations_number, DB_ARGS(A_STR(org_id), A_INT(now)), out, e);
}

bool invitations_delete(struct db *db, struct arena *a, struct str org_id, struct str id,
                        struct err *e)
{
    return rows_change(db, a, &invitation_delete, DB_ARGS(A_STR(org_id), A_STR(id)), e);
}

bool invitations_accept(struct db *db, struct arena *a, const struct invitation *i,
                        const struct invitation_guest *guest, int64_t now, struct err *e)
{
    struct db_batch b;
    struct err own;
    e = e ? e : &own;
    db_batch_init(&b, a);
    db_batch_add(&b, &invitation_take, DB_ARGS(A_STR(i->org_id), A_STR(i->id), A_INT(now)));
    if (!str_is_absent(guest->password_hash)) {
        db_batch_add(
            &b, &invitation_user,
            DB_ARGS(A_STR(guest->user_id), A_STR(i->email), A_STR(guest->name), A_INT(now)));
        passwords_add(&b, guest->user_id, guest->password_hash, now);
    }
    db_batch_add(&b, &invitation_member,
                 DB_ARGS(A_STR(i->org_id), A_STR(guest->user_id), A_STR(i->role),
                         A_INT(str_eq(i->role, STR("owner"))), A_INT(now)));
    if (db_batch_run(db, &b, NULL, e))
        return true;
    if (rows_failed_at(e, &invitation_take))
        return err_set(e, ERR_NOT_FOUND, "the invitation is not valid any more");
    if (rows_failed_at(e, &invitation_member) && rows_is_duplicate(e))
        return err_set(e, ERR_CONFLICT, "you are a member already");
    if (rows_failed_at(e, &invitation_user) && rows_is_duplicate(e))
        return err_set(e, ERR_CONFLICT, "there is an account with this e-mail address already");
    return false;
}
