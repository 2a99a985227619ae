#include "store/org_domains.h"

#include "store/rows.h"

#define COLUMNS                                                                                    \
    "id, org_id, domain, proof, verified_at, is_forced, provider_id, join_role, created_at"

static const struct db_stmt domain_put = {
    "org_domain_put",
    "INSERT INTO org_domains (" COLUMNS ") VALUES ($1, $2, $3, $4, NULL, $5, $6, $7, $8) "
    "ON CONFLICT (org_id, domain) DO UPDATE SET is_forced = excluded.is_forced, provider_id = "
    "excluded.provider_id, join_role = excluded.join_role",
    DB_WRITE, DB_DURABLE | DB_INVALIDATES};
static const struct db_stmt domain_get = {
    "org_domain_get", "SELECT " COLUMNS " FROM org_domains WHERE org_id = $1 AND domain = $2",
    DB_READ, 0};
static const struct db_stmt domains_of_org = {
    "org_domains_of_org",
    "SELECT " COLUMNS " FROM org_domains WHERE org_id = $1 "
    "AND (created_at, id) > (CAST($2 AS BIGINT), CAST($3 AS TEXT)) "
    "ORDER BY created_at, id LIMIT CAST($4 AS BIGINT)",
    DB_LIST, 0};
static const struct db_stmt domains_number = {
    "org_domains_number", "SELECT count(*) FROM org_domains WHERE org_id = $1", DB_LIST, 0};
static const struct db_stmt domains_forced = {
    "org_domains_forced",
    "SELECT count(*) FROM org_domains WHERE org_id = $1 AND provider_id = $2 AND is_forced = 1 "
    "AND verified_at IS NOT NULL",
    DB_LIST, 0};
static const struct db_stmt domain_verify = {
    "org_domain_verify",
    "UPDATE org_domains SET verified_at = CAST($3 AS BIGINT), check_at = 0, n_missing = 0, "
    "missing_since = NULL WHERE org_id = $1 AND domain = $2",
    DB_WRITE, DB_MUST_AFFECT | DB_DURABLE | DB_INVALIDATES};
static const struct db_stmt domain_delete = {
    "org_domain_delete", "DELETE FROM org_domains WHERE org_id = $1 AND domain = $2", DB_WRITE,
    DB_MUST_AFFECT | DB_DURABLE | DB_INVALIDATES};
static const struct db_stmt domain_proven = {
    "org_domain_proven",
    "SELECT " COLUMNS " FROM org_domains WHERE domain = $1 AND verified_at IS NOT NULL", DB_READ,
    0};

/* The condition stands twice: of two nodes that choose the same row, the second finds it leased. */
static const struct db_stmt domain_check_take = {
    "org_domain_check_take",
    "UPDATE org_domains SET check_at = CAST($2 AS BIGINT) WHERE verified_at IS NOT NULL "
    "AND check_at <= CAST($1 AS BIGINT) AND id = (SELECT q.id FROM org_domains AS q "
    "WHERE q.verified_at IS NOT NULL AND q.check_at <= CAST($1 AS BIGINT) "
    "ORDER BY q.check_at, q.id LIMIT 1) RETURNING " COLUMNS ", n_missing, missing_since",
    DB_WRITE, 0};
static const struct db_stmt domain_check_done = {
    "org_domain_check_done",
    "UPDATE org_domains SET n_missing = $3, missing_since = $4, check_at = CAST($5 AS BIGINT) "
    "WHERE id = $1 AND check_at = CAST($2 AS BIGINT) AND verified_at IS NOT NULL",
    DB_WRITE, 0};
static const struct db_stmt domain_check_lost = {
    "org_domain_check_lost",
    "UPDATE org_domains SET verified_at = NULL, check_at = 0, n_missing = 0, missing_since = NULL "
    "WHERE id = $1 AND check_at = $2 AND verified_at IS NOT NULL",
    DB_WRITE, DB_DURABLE | DB_INVALIDATES};

static void domain_read(const struct db_rows *r, size_t row, void *item)
{
    struct org_domain *d = item;
    *d = (struct org_domain){
        .id = db_text(r, row, 0),
        .org_id = db_text(r, row, 1),
        .domain = db_text(r, row, 2),
        .proof = db_text(r, row, 3),
        .verified_at = db_int(r, row, 4),
        .is_forced = db_int(r, row, 5) != 0,
        .provider_id = db_text(r, row, 6),
        .join_role = db_text(r, row, 7),
        .created_at = db_int(r, row, 8),
    };
}
static const struct rows_kind domain_kind = {sizeof(struct org_domain), domain_read};

static bool no_row(struct err *e)
{
    return rows_is_no_row(e) ? err_set(e, ERR_NOT_FOUND, "not found") : false;
}

bool org_domains_put(struct db *db, struct arena *a, const struct org_domain *d, struct err *e)
{
    return db_run(db, a, &domain_put,
                  DB_ARGS(A_STR(d->id), A_STR(d->org_id), A_STR(d->domain), A_STR(d->proof),
                          A_INT(d->is_forced), A_STR(d->provider_id), A_STR(d->join_role),
                          A_INT(d->created_at)),
                  NULL, e);
}

bool org_domains_get(struct db *db, struct arena *a, struct str org_id, struct str domain,
                     struct org_domain *out, struct err *e)
{
    struct db_rows r;
    if (!db_one(db, a, &domain_get, DB_ARGS(A_STR(org_id), A_STR(domain)), &r, e))
        return false;
    domain_read(&r, 0, out);
    return true;
}

bool org_domains_list(struct db *db, struct arena *a, struct str org_id, const struct db_page *page,
                      struct org_domain **out, size_t *n, struct err *e)
{
    struct rows_found found;
    if (!rows_list(db, a, &domains_of_org, DB_ARGS(A_STR(org_id), PAGE_ARGS(page)), &domain_kind,
                   &found, e))
        return false;
    *out = found.items;
    *n = found.n;
    return true;
}

bool org_domains_count(struct db *db, struct arena *a, struct str org_id, int64_t *out,
                       struct err *e)
{
    return rows_count(db, a, &domains_number, DB_ARGS(A_STR(org_id)), out, e);
}

bool org_domains_count_forced(struct db *db, struct arena *a, struct str org_id,
                              struct str provider_id, int64_t *out, struct err *e)
{
    return rows_count(db, a, &domains_forced, DB_ARGS(A_STR(org_id), A_STR(provider_id)), out, e);
}

bool org_domains_verify(struct db *db, struct arena *a, struct str org_id, struct str domain,
                        int64_t verified_at, struct err *e)
{
    return db_run(db, a, &domain_verify, DB_ARGS(A_STR(org_id), A_STR(domain), A_TIME(verified_at)),
                  NULL, e) ||
           no_row(e);
}

bool org_domains_delete(struct db *db, struct arena *a, struct str org_id, struct str domain,
                        struct err *e)
{
    return db_run(db, a, &domain_delete, DB_ARGS(A_STR(org_id), A_STR(domain)), NULL, e) ||
           no_row(e);
}

bool org_domains_proven(struct db *db, struct arena *a, struct str domain, struct org_domain *out,
                        struct err *e)
{
    struct db_rows r;
    if (!db_one(db, a, &domain_proven, DB_ARGS(A_STR(domain)), &r, e))
        return false;
    domain_read(&r, 0, out);
    return true;
}

bool org_domains_check_take(struct db *db, struct arena *a, int64_t now, int64_t lease_end,
                            struct org_domain_check *out, struct err *e)
{
    struct db_rows r;
    if (!db_run(db, a, &domain_check_take, DB_ARGS(A_INT(now), A_INT(lease_end)), &r, e))
        return false;
    if (r.n_rows == 0)
        return err_set(e, ERR_NOT_FOUND, "no domain is due");
    *out = (struct org_domain_check){
        .n_missing = db_int(&r, 0, 9), .missing_since = db_int(&r, 0, 10), .lease_end = lease_end};
    domain_read(&r, 0, &out->domain);
    return true;
}

bool org_domains_check_done(struct db *db, struct arena *a, const struct org_domain_check *c,
                            int64_t next_at, struct err *e)
{
    return rows_change(db, a, &domain_check_done,
                       DB_ARGS(A_STR(c->domain.id), A_INT(c->lease_end), A_INT(c->n_missing),
                               A_TIME(c->missing_since), A_INT(next_at)),
                       e);
}

bool org_domains_check_lost(struct db *db, struct arena *a, const struct org_domain_check *c,
                            struct err *e)
{
    return rows_change(db, a, &domain_check_lost, DB_ARGS(A_STR(c->domain.id), A_INT(c->lease_end)),
                       e);
}
