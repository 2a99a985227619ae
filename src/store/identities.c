#include "store/identities.h"

#include "base/limits.h"
#include "store/rows.h"

#define IDENTITY_COLUMNS                                                                           \
    "i.id, i.provider_id, i.issuer, i.subject, i.org_id, i.user_id, i.email, p.name, "             \
    "i.created_at, i.last_used_at"
#define FROM_IDENTITIES " FROM identities i JOIN sso_providers p ON p.id = i.provider_id "

static const struct db_stmt identity_find = {
    "identity_find",
    "SELECT " IDENTITY_COLUMNS FROM_IDENTITIES
    "WHERE i.provider_id = $1 AND i.issuer = $2 AND i.subject = $3",
    DB_READ, 0};
static const struct db_stmt identity_touch = {
    "identity_touch", "UPDATE identities SET email = $2, last_used_at = $3 WHERE id = $1", DB_WRITE,
    0};
static const struct db_stmt identities_of_user = {
    "identities_of_user",
    "SELECT " IDENTITY_COLUMNS FROM_IDENTITIES
    "WHERE i.user_id = $1 ORDER BY i.created_at, i.id LIMIT CAST($2 AS BIGINT)",
    DB_LIST, 0};
static const struct db_stmt identity_sessions_end = {
    "identity_sessions_end",
    "DELETE FROM browser_sessions WHERE user_id = $1 AND proof = "
    "(SELECT provider_id FROM identities WHERE user_id = $1 AND id = $2)",
    DB_WRITE, DB_DURABLE | DB_INVALIDATES};
static const struct db_stmt identity_delete = {
    "identity_delete", "DELETE FROM identities WHERE user_id = $1 AND id = $2", DB_WRITE,
    DB_MUST_AFFECT | DB_DURABLE};
static const struct db_stmt identity_has = {
    "identity_has", "SELECT count(*) FROM identities WHERE user_id = $1 AND provider_id = $2",
    DB_LIST, 0};
static const struct db_stmt identity_user = {
    "identity_user",
    "INSERT INTO users (id, email, name, is_operator, email_verified_at, created_at, updated_at) "
    "VALUES ($1, $2, $3, 0, $4, $5, $5)",
    DB_WRITE, DB_DURABLE};
static const struct db_stmt identity_insert = {
    "identity_insert",
    "INSERT INTO identities (id, provider_id, issuer, subject, org_id, user_id, email, created_at, "
    "last_used_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)",
    DB_WRITE, DB_DURABLE};
static const struct db_stmt identity_member = {
    "identity_member",
    "INSERT INTO members (org_id, user_id, roles, is_owner, created_at) "
    "VALUES ($1, $2, $3, $4, $5)",
    DB_WRITE, DB_DURABLE | DB_INVALIDATES};
static const struct db_stmt identity_accept = {
    "identity_accept",
    "UPDATE invitations SET accepted_at = CAST($3 AS BIGINT) WHERE org_id = $1 AND id = $2 "
    "AND accepted_at IS NULL AND expires_at > CAST($3 AS BIGINT)",
    DB_WRITE, DB_MUST_AFFECT | DB_DURABLE};
static const struct db_stmt identity_domain = {
    "identity_domain",
    "SELECT join_role FROM org_domains WHERE org_id = $1 AND domain = $2 "
    "AND verified_at IS NOT NULL",
    DB_READ, 0};
static const struct db_stmt identity_invitation = {
    "identity_invitation",
    "SELECT id, role FROM invitations WHERE email = $2 AND accepted_at IS NULL "
    "AND expires_at > $3 AND (CAST($1 AS TEXT) IS NULL OR org_id = CAST($1 AS TEXT)) "
    "ORDER BY created_at DESC, id LIMIT 1",
    DB_LIST, 0};

static void identity_read(const struct db_rows *r, size_t row, void *item)
{
    struct identity_row *i = item;
    *i = (struct identity_row){
        .id = db_text(r, row, 0),
        .provider_id = db_text(r, row, 1),
        .issuer = db_text(r, row, 2),
        .subject = db_text(r, row, 3),
        .org_id = db_text(r, row, 4),
        .user_id = db_text(r, row, 5),
        .email = db_text(r, row, 6),
        .provider_name = db_text(r, row, 7),
        .created_at = db_int(r, row, 8),
        .last_used_at = db_int(r, row, 9),
    };
}
static const struct rows_kind identity_kind = {sizeof(struct identity_row), identity_read};

bool identities_find(struct db *db, struct arena *a, struct str provider_id, struct str issuer,
                     struct str subject, struct identity_row *out, struct err *e)
{
    struct db_rows r;
    if (!db_one(db, a, &identity_find, DB_ARGS(A_STR(provider_id), A_STR(issuer), A_STR(subject)),
                &r, e))
        return false;
    identity_read(&r, 0, out);
    return true;
}

bool identities_touch(struct db *db, struct arena *a, struct str id, struct str email, int64_t now,
                      struct err *e)
{
    return db_run(db, a, &identity_touch, DB_ARGS(A_STR(id), A_STR(email), A_INT(now)), NULL, e);
}

bool identities_list_of_user(struct db *db, struct arena *a, struct str user_id,
                             struct identity_row **out, size_t *n, struct err *e)
{
    struct rows_found found;
    if (!rows_list(db, a, &identities_of_user, DB_ARGS(A_STR(user_id), A_INT(LIMIT_LIST)),
                   &identity_kind, &found, e))
        return false;
    *out = found.items;
    *n = found.n;
    return true;
}

bool identities_delete(struct db *db, struct arena *a, struct str user_id, struct str id,
                       struct err *e)
{
    struct db_batch b;
    struct err own;
    e = e ? e : &own;
    db_batch_init(&b, a);
    db_batch_add(&b, &identity_sessions_end, DB_ARGS(A_STR(user_id), A_STR(id)));
    db_batch_add(&b, &identity_delete, DB_ARGS(A_STR(user_id), A_STR(id)));
    if (db_batch_run(db, &b, NULL, e))
        return true;
    return rows_is_no_row(e) ? err_set(e, ERR_NOT_FOUND, "no such identity") : false;
}

bool identities_has(struct db *db, struct arena *a, struct str user_id, struct str provider_id,
                    bool *out, struct err *e)
{
    int64_t n;
    if (!rows_count(db, a, &identity_has, DB_ARGS(A_STR(user_id), A_STR(provider_id)), &n, e))
        return false;
    *out = n > 0;
    return true;
}

bool identities_make(struct db *db, struct arena *a, const struct identity_new *n, struct err *e)
{
    const struct identity_row *i = n->row;
    struct db_batch b;
    struct err own;
    e = e ? e : &own;
    db_batch_init(&b, a);
    if (!str_is_absent(n->email))
        db_batch_add(&b, &identity_user,
                     DB_ARGS(A_STR(i->user_id), A_STR(n->email), A_STR(n->name),
                             A_TIME(n->is_email_verified ? i->created_at : 0),
                             A_INT(i->created_at)));
    if (!n->is_known)
        db_batch_add(&b, &identity_insert,
                     DB_ARGS(A_STR(i->id), A_STR(i->provider_id), A_STR(i->issuer),
                             A_STR(i->subject), A_STR(i->org_id), A_STR(i->user_id),
                             A_STR(i->email), A_INT(i->created_at)));
    if (!str_is_absent(n->invitation))
        db_batch_add(&b, &identity_accept,
                     DB_ARGS(A_STR(i->org_id), A_STR(n->invitation), A_INT(i->created_at)));
    if (!str_is_absent(n->join_role))
        db_batch_add(&b, &identity_member,
                     DB_ARGS(A_STR(i->org_id), A_STR(i->user_id), A_STR(n->join_role),
                             A_INT(str_eq(n->join_role, STR("owner"))), A_INT(i->created_at)));
    return db_batch_run(db, &b, NULL, e);
}

bool identities_domain(struct db *db, struct arena *a, struct str org_id, struct str domain,
                       struct str *join_role, struct err *e)
{
    struct db_rows r;
    if (!db_one(db, a, &identity_domain, DB_ARGS(A_STR(org_id), A_STR(domain)), &r, e))
        return false;
    *join_role = db_text(&r, 0, 0);
    return true;
}

bool identities_invitation(struct db *db, struct arena *a, struct str org_id, struct str email,
                           int64_t now, struct str *id, struct str *role, struct err *e)
{
    struct db_rows r;
    if (!db_one(db, a, &identity_invitation, DB_ARGS(A_STR(org_id), A_STR(email), A_INT(now)), &r,
                e))
        return false;
    *id = db_text(&r, 0, 0);
    *role = db_text(&r, 0, 1);
    return true;
}
