#include "store/browser_sessions.h"

#include "store/rows.h"

#define SESSION_COLUMNS                                                                            \
    "s.id, s.hash, s.user_id, s.org_id, s.proof, s.peer, s.user_agent, s.proved_at, "              \
    "s.created_at, s.last_seen_at, s.expires_at, u.email, u.name, u.is_operator, "                 \
    "s.proof_org_id, s.provider_session, s.two_factor"

static const struct db_stmt session_insert = {
    "session_insert",
    "INSERT INTO browser_sessions (id, hash, user_id, org_id, proof, peer, user_agent, proved_at, "
    "created_at, last_seen_at, expires_at, proof_org_id, provider_session, two_factor) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9, $10, $11, $12, $13)",
    DB_WRITE, 0};
static const struct db_stmt session_replace = {"session_replace",
                                               "DELETE FROM browser_sessions WHERE hash = CAST($1 "
                                               "AS TEXT) OR expires_at <= CAST($2 AS BIGINT)",
                                               DB_WRITE, 0};
static const struct db_stmt session_by_hash = {
    "session_by_hash",
    "SELECT " SESSION_COLUMNS " FROM browser_sessions s JOIN users u ON u.id = s.user_id "
    "WHERE s.hash = $1 AND s.expires_at > $2 AND s.last_seen_at > $3 AND u.disabled_at IS NULL",
    DB_READ, 0};
static const struct db_stmt session_touch = {
    "session_touch", "UPDATE browser_sessions SET last_seen_at = $2 WHERE id = $1", DB_WRITE, 0};
static const struct db_stmt session_prove = {
    "session_prove",
    "UPDATE browser_sessions SET hash = $2, two_factor = $3, proved_at = CAST($4 AS BIGINT), "
    "last_seen_at = CAST($4 AS BIGINT) WHERE id = $1",
    DB_WRITE, 0};
static const struct db_stmt session_set_org = {
    "session_set_org", "UPDATE browser_sessions SET org_id = $2 WHERE id = $1", DB_WRITE, 0};
static const struct db_stmt sessions_of_user = {
    "sessions_of_user",
    "SELECT " SESSION_COLUMNS " FROM browser_sessions s JOIN users u ON u.id = s.user_id "
    "WHERE s.user_id = $1 AND s.expires_at > $2 "
    "AND (CAST($6 AS TEXT) IS NULL OR s.proof_org_id = CAST($6 AS TEXT)) "
    "AND (s.created_at, s.id) > (CAST($3 AS BIGINT), CAST($4 AS TEXT)) "
    "ORDER BY s.created_at, s.id LIMIT CAST($5 AS BIGINT)",
    DB_LIST, 0};
static const struct db_stmt sessions_number = {
    "sessions_number",
    "SELECT count(*) FROM browser_sessions WHERE user_id = $1 AND expires_at > $2 "
    "AND (CAST($3 AS TEXT) IS NULL OR proof_org_id = CAST($3 AS TEXT))",
    DB_LIST, 0};
static const struct db_stmt session_delete = {
    "session_delete",
    "DELETE FROM browser_sessions WHERE user_id = $1 AND id = $2 "
    "AND (CAST($3 AS TEXT) IS NULL OR proof_org_id = CAST($3 AS TEXT))",
    DB_WRITE, DB_DURABLE};

static const struct db_stmt sessions_end_proved = {
    "sessions_end_proved",
    "DELETE FROM browser_sessions WHERE proof = $1 "
    "AND (CAST($2 AS TEXT) IS NULL OR user_id = CAST($2 AS TEXT)) "
    "AND (CAST($3 AS TEXT) IS NULL OR provider_session = CAST($3 AS TEXT)) "
    "AND (CAST($2 AS TEXT) IS NOT NULL OR CAST($3 AS TEXT) IS NOT NULL)",
    DB_WRITE, DB_DURABLE};

static void session_read(const struct db_rows *r, size_t row, void *item)
{
    struct browser_session_row *s = item;
    *s = (struct browser_session_row){
        .id = db_text(r, row, 0),
        .hash = db_text(r, row, 1),
        .user_id = db_text(r, row, 2),
        .org_id = db_text(r, row, 3),
        .proof = db_text(r, row, 4),
        .peer = db_text(r, row, 5),
        .user_agent = db_text(r, row, 6),
        .proved_at = db_int(r, row, 7),
        .created_at = db_int(r, row, 8),
        .last_seen_at = db_int(r, row, 9),
        .expires_at = db_int(r, row, 10),
        .email = db_text(r, row, 11),
        .name = db_text(r, row, 12),
        .is_operator = db_int(r, row, 13) != 0,
        .proof_org_id = db_text(r, row, 14),
        .provider_session = db_text(r, row, 15),
        .is_two_factor = db_int(r, row, 16) != 0,
    };
}
static const struct rows_kind session_kind = {sizeof(struct browser_session_row), session_read};

bool browser_sessions_insert(struct db *db, struct arena *a, const struct browser_session_row *s,
                             struct str old_hash, struct err *e)
{
    struct db_batch b;
    db_batch_init(&b, a);
    db_batch_add(
        &b, &session_replace,
        DB_ARGS(A_STR(str_is_absent(old_hash) ? STR("") : old_hash), A_INT(s->created_at)));
    db_batch_add(&b, &session_insert,
                 DB_ARGS(A_STR(s->id), A_STR(s->hash), A_STR(s->user_id), A_STR(s->org_id),
                         A_STR(s->proof), A_STR(s->peer), A_STR(s->user_agent), A_INT(s->proved_at),
                         A_INT(s->created_at), A_INT(s->expires_at), A_STR(s->proof_org_id),
                         A_STR(s->provider_session), A_INT(s->is_two_factor)));
    return db_batch_run(db, &b, NULL, e);
}

bool browser_sessions_by_hash(struct db *db, struct arena *a, struct str hash, int64_t now,
                              int64_t idle_since, struct browser_session_row *out, struct err *e)
{
    struct db_rows r;
    if (!db_one(db, a, &session_by_hash, DB_ARGS(A_STR(hash), A_INT(now), A_INT(idle_since)), &r,
                e))
        return false;
    session_read(&r, 0, out);
    return true;
}

bool browser_sessions_prove(struct db *db, struct arena *a, struct str id, struct str hash,
                            bool is_two_factor, int64_t now, struct err *e)
{
    return rows_change(db, a, &session_prove,
                       DB_ARGS(A_STR(id), A_STR(hash), A_INT(is_two_factor), A_INT(now)), e);
}

bool browser_sessions_touch(struct db *db, struct arena *a, struct str id, int64_t now,
                            struct err *e)
{
    return rows_change(db, a, &session_touch, DB_ARGS(A_STR(id), A_INT(now)), e);
}

bool browser_sessions_set_org(struct db *db, struct arena *a, struct str id, struct str org_id,
                              struct err *e)
{
    return rows_change(db, a, &session_set_org, DB_ARGS(A_STR(id), A_STR(org_id)), e);
}

bool browser_sessions_list(struct db *db, struct arena *a, const struct session_owner *who,
                           int64_t now, const struct db_page *page,
                           struct browser_session_row **out, size_t *n, struct err *e)
{
    struct rows_found found;
    if (!rows_list(
            db, a, &sessions_of_user,
            DB_ARGS(A_STR(who->user_id), A_INT(now), PAGE_ARGS(page), A_STR(who->proof_org_id)),
            &session_kind, &found, e))
        return false;
    *out = found.items;
    *n = found.n;
    return true;
}

bool browser_sessions_count(struct db *db, struct arena *a, const struct session_owner *who,
                            int64_t now, int64_t *out, struct err *e)
{
    return rows_count(db, a, &sessions_number,
                      DB_ARGS(A_STR(who->user_id), A_INT(now), A_STR(who->proof_org_id)), out, e);
}

bool browser_sessions_end_proved(struct db *db, struct arena *a, struct str provider_id,
                                 struct str user_id, struct str provider_session, int64_t *n,
                                 struct err *e)
{
    struct db_rows r;
    if (!db_run(db, a, &sessions_end_proved,
                DB_ARGS(A_STR(provider_id), A_STR(user_id), A_STR(provider_session)), &r, e))
        return false;
    *n = r.n_affected;
    return true;
}

bool browser_sessions_delete(struct db *db, struct arena *a, const struct session_owner *who,
                             struct str id, struct err *e)
{
    return rows_change(db, a, &session_delete,
                       DB_ARGS(A_STR(who->user_id), A_STR(id), A_STR(who->proof_org_id)), e);
}
