#include "store/saml.h"

#include "store/rows.h"

static const struct db_stmt saml_seen_purge = {
    "saml_seen_purge", "DELETE FROM saml_seen WHERE expires_at <= $1", DB_WRITE, 0};
static const struct db_stmt saml_seen_add = {
    "saml_seen_add", "INSERT INTO saml_seen (provider_id, hash, expires_at) VALUES ($1, $2, $3)",
    DB_WRITE, 0};
static const struct db_stmt saml_tickets_purge = {
    "saml_tickets_purge", "DELETE FROM saml_tickets WHERE expires_at <= $1", DB_WRITE, 0};
static const struct db_stmt saml_ticket_add = {
    "saml_ticket_add",
    "INSERT INTO saml_tickets (hash, provider_id, sealed, expires_at) VALUES ($1, $2, $3, $4)",
    DB_WRITE, 0};
static const struct db_stmt saml_ticket_get = {
    "saml_ticket_get",
    "SELECT hash, provider_id, sealed, expires_at FROM saml_tickets "
    "WHERE hash = $1 AND provider_id = $2 AND expires_at > $3",
    DB_READ, 0};
static const struct db_stmt saml_ticket_take = {
    "saml_ticket_take",
    "DELETE FROM saml_tickets WHERE hash = $1 AND provider_id = $2 AND expires_at > $3", DB_WRITE,
    0};
static const struct db_stmt saml_subject = {
    "saml_subject",
    "SELECT subject FROM identities WHERE provider_id = $1 AND user_id = $2 "
    "ORDER BY last_used_at DESC, id LIMIT 1",
    DB_READ, 0};

bool saml_seen_insert(struct db *db, struct arena *a, struct str provider_id, struct str hash,
                      int64_t expires_at, int64_t now, struct err *e)
{
    struct db_batch b;
    db_batch_init(&b, a);
    db_batch_add(&b, &saml_seen_purge, DB_ARGS(A_INT(now)));
    db_batch_add(&b, &saml_seen_add, DB_ARGS(A_STR(provider_id), A_STR(hash), A_INT(expires_at)));
    return db_batch_run(db, &b, NULL, e);
}

bool saml_tickets_insert(struct db *db, struct arena *a, const struct saml_ticket *t, int64_t now,
                         struct err *e)
{
    struct db_batch b;
    db_batch_init(&b, a);
    db_batch_add(&b, &saml_tickets_purge, DB_ARGS(A_INT(now)));
    db_batch_add(
        &b, &saml_ticket_add,
        DB_ARGS(A_STR(t->hash), A_STR(t->provider_id), A_STR(t->sealed), A_INT(t->expires_at)));
    return db_batch_run(db, &b, NULL, e);
}

static bool not_there(struct err *e)
{
    return e->code == ERR_NOT_FOUND
               ? err_set(e, ERR_NOT_FOUND, "This sign-in is not valid any more: begin again.")
               : false;
}

bool saml_tickets_get(struct db *db, struct arena *a, struct str hash, struct str provider_id,
                      int64_t now, struct saml_ticket *out, struct err *e)
{
    struct db_rows r;
    if (!db_one(db, a, &saml_ticket_get, DB_ARGS(A_STR(hash), A_STR(provider_id), A_INT(now)), &r,
                e))
        return not_there(e);
    *out = (struct saml_ticket){
        .hash = db_text(&r, 0, 0),
        .provider_id = db_text(&r, 0, 1),
        .sealed = db_text(&r, 0, 2),
        .expires_at = db_int(&r, 0, 3),
    };
    return true;
}

bool saml_tickets_take(struct db *db, struct arena *a, struct str hash, struct str provider_id,
                       int64_t now, struct err *e)
{
    return rows_change(db, a, &saml_ticket_take,
                       DB_ARGS(A_STR(hash), A_STR(provider_id), A_INT(now)), e) ||
           not_there(e);
}

bool saml_subject_of(struct db *db, struct arena *a, struct str provider_id, struct str user_id,
                     struct str *subject, struct err *e)
{
    struct db_rows r;
    if (!db_one(db, a, &saml_subject, DB_ARGS(A_STR(provider_id), A_STR(user_id)), &r, e))
        return false;
    *subject = db_text(&r, 0, 0);
    return true;
}
