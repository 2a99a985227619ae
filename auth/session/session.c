/* Browser sessions. */
#include "auth/session/session.h"

#include "auth/session/csrf.h"
#include "auth/secret_text.h"
#include "base/clock.h"
#include "base/ids.h"
#include "base/limits.h"
#include "base/secret.h"
#include "core/org_policy.h"
#include "store/browser_sessions.h"
#include "store/orgs.h"

enum { DAY_S = 24 * 60 * 60, TOUCH_EVERY_MS = 60 * 1000 };

static struct str hash_of(struct arena *a, struct str cookie)
{
    return str_is_absent(cookie) ? STR_NONE : secret_text_hash(a, cookie);
}

static bool no_session(struct err *e)
{
    return err_set(e, ERR_UNAUTHENTICATED, "please sign in");
}

/* Sooner than the installation would, its organizations may end it. */
static bool policy_allows(struct http_request *rq, const struct browser_session_row *row,
                          int64_t now, bool *out, struct err *e)
{
    struct session_lifetime l;
    if (!org_policy_lifetime(rq->context, rq->arena, row->user_id, row->proof_org_id, &l, e))
        return false;
    *out = now - row->last_seen_at < l.idle_ms && now - row->created_at < l.life_ms;
    return true;
}

bool session_find(struct http_request *rq, struct browser_session *out, struct err *e)
{
    struct services *sv = rq->context;
    struct browser_session_row row;
    struct str cookie = session_cookie_value(rq, session_cookie_name(rq));
    struct str hash = hash_of(rq->arena, cookie);
    int64_t now = clock_wall_ms();
    bool is_allowed;
    if (str_is_absent(hash))
        return no_session(e);
    if (!browser_sessions_by_hash(sv->db, rq->arena, hash, now, now - LIMIT_BROWSER_IDLE_MS, &row,
                                  e))
        return e->code == ERR_NOT_FOUND ? no_session(e) : false;
    if (!policy_allows(rq, &row, now, &is_allowed, e))
        return false;
    struct err ignored; /* only the time of the last visit, or the end of what is over */
    if (!is_allowed) {
        const struct session_owner who = {.user_id = row.user_id};
        /* A policy that is loosened later does not bring it back. */
        (void)!browser_sessions_delete(sv->db, rq->arena, &who, row.id, &ignored);
        return no_session(e);
    }
    if (now - row.last_seen_at >= TOUCH_EVERY_MS)
        (void)!browser_sessions_touch(sv->db, rq->arena, row.id, now, &ignored);
    *out = (struct browser_session){.id = row.id,
                                    .user_id = row.user_id,
                                    .email = row.email,
                                    .name = row.name,
                                    .is_operator = row.is_operator,
                                    .org_id = row.org_id,
                                    .proof = row.proof,
                                    .proof_org_id = row.proof_org_id,
                                    .provider_session = row.provider_session,
                                    .is_two_factor = row.is_two_factor,
                                    .proved_at = row.proved_at,
                                    .ends_at = row.expires_at,
                                    .csrf_token = csrf_token_of(rq, cookie)};
    return !str_is_absent(out->csrf_token) || err_set(e, ERR_UNAVAILABLE, "out of memory");
}

/* Printable ASCII of what the browser calls itself. */
static struct str user_agent_of(struct http_request *rq)
{
    struct str given = http_request_header(rq, STR("User-Agent"));
    char *copy = arena_cstr(rq->arena, str_slice(given, 0, LIMIT_USER_AGENT));
    for (char *p = copy; p && *p; p++)
        if (*p < 0x20 || *p > 0x7E)
            *p = '?';
    return str_c(copy);
}

/* What they see until they choose another: the organization whose provider proved them, else
 * their oldest one. */
static bool first_org(struct http_request *rq, const struct session_proof *p, struct str *org_id,
                      struct err *e)
{
    struct services *sv = rq->context;
    const struct db_page page = {.limit = 1};
    struct org_of_user *orgs;
    size_t n;
    *org_id = p->proof_org_id;
    if (!str_is_absent(p->proof_org_id))
        return true;
    if (!orgs_list_of_user(sv->db, rq->arena, p->user_id, &page, &orgs, &n, e))
        return false;
    *org_id = n > 0 ? orgs[0].org.id : STR_NONE;
    return true;
}

/* The provider's session may be over sooner than ours would be. */
static int64_t end_of(const struct session_proof *p, int64_t now)
{
    int64_t longest = now + (int64_t)LIMIT_BROWSER_LIFE_DAYS * DAY_S * 1000;
    return p->ends_at != 0 && p->ends_at < longest ? p->ends_at : longest;
}

bool session_start(struct http_request *rq, const struct session_proof *p, struct err *e)
{
    struct services *sv = rq->context;
    struct id id = id_new("ses");
    int64_t now = clock_wall_ms();
    char cookie[COOKIE_VALUE_SIZE];
    struct str old = hash_of(rq->arena, session_cookie_value(rq, session_cookie_name(rq)));
    struct browser_session_row row = {.id = id_str(&id),
                                      .user_id = p->user_id,
                                      .proof = p->proof,
                                      .proof_org_id = p->proof_org_id,
                                      .provider_session = p->provider_session,
                                      .is_two_factor = p->is_two_factor,
                                      .peer = str_c(rq->peer),
                                      .user_agent = user_agent_of(rq),
                                      .proved_at = now,
                                      .created_at = now,
                                      .expires_at = end_of(p, now)};
    if (!first_org(rq, p, &row.org_id, e))
        return false;
    session_cookie_make(cookie);
    row.hash = hash_of(rq->arena, str_c(cookie));
    bool is_good = (!str_is_absent(row.hash) || err_set(e, ERR_UNAVAILABLE, "out of memory")) &&
                   browser_sessions_insert(sv->db, rq->arena, &row, old, e) &&
                   session_cookie_set(rq, session_cookie_name(rq), str_c(cookie),
                                      (int64_t)LIMIT_BROWSER_LIFE_DAYS * DAY_S, e);
    secret_wipe(cookie, sizeof(cookie));
    return is_good;
}

bool session_prove(struct http_request *rq, const struct browser_session *s, bool is_two_factor,
                   struct err *e)
{
    struct services *sv = rq->context;
    char cookie[COOKIE_VALUE_SIZE];
    session_cookie_make(cookie);
    struct str hash = hash_of(rq->arena, str_c(cookie));
    bool is_good = (!str_is_absent(hash) || err_set(e, ERR_UNAVAILABLE, "out of memory")) &&
                   browser_sessions_prove(sv->db, rq->arena, s->id, hash,
                                          is_two_factor || s->is_two_factor, clock_wall_ms(), e) &&
                   session_cookie_set(rq, session_cookie_name(rq), str_c(cookie),
                                      (int64_t)LIMIT_BROWSER_LIFE_DAYS * DAY_S, e);
    secret_wipe(cookie, sizeof(cookie));
    return is_good;
}

bool session_is_fresh(const struct browser_session *s)
{
    int64_t age = clock_wall_ms() - s->proved_at;
    return age >= 0 && age <= LIMIT_FRESH_MS;
}

bool session_end(struct http_request *rq, struct err *e)
{
    struct services *sv = rq->context;
    struct browser_session session = {0};
    if (!session_find(rq, &session, e))
        return e->code == ERR_UNAUTHENTICATED
                   ? session_cookie_set(rq, session_cookie_name(rq), STR(""), 0, e)
                   : false;
    const struct session_owner who = {.user_id = session.user_id};
    if (!browser_sessions_delete(sv->db, rq->arena, &who, session.id, e) &&
        e->code != ERR_NOT_FOUND)
        return false;
    return session_cookie_set(rq, session_cookie_name(rq), STR(""), 0, e);
}
