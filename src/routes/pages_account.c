/* The account page and what its forms do. */
#include "routes/pages_account.h"

#include "auth/login/login_audit.h"
#include "auth/mail/mailer.h"
#include "auth/login/password_signin.h"
#include "auth/login/second.h"
#include "auth/session/password_work.h"
#include "base/clock.h"
#include "base/limits.h"
#include "crypto/password.h"
#include "routes/page_tools.h"
#include "routes/pages_second.h"
#include "store/browser_sessions.h"
#include "store/members.h"
#include "store/passwords.h"

/* ---- lists as rows of values ---- */

struct rows {
    struct page_row *rows;
    size_t n;
};
enum { ROW_VALUES = 8 };

/* Appends a row made of `values`, which end with name NULL. */
static bool rows_add(struct arena *a, struct rows *r, const struct page_value *values,
                     struct err *e)
{
    size_t n = 0;
    while (values[n].name)
        n++;
    ensure(n < ROW_VALUES);
    struct page_value *copy = arena_alloc(a, (n + 1) * sizeof(*copy));
    if (!copy)
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    memcpy(copy, values, (n + 1) * sizeof(*copy));
    r->rows[r->n++].values = copy;
    return true;
}

/* The first page of a list tool, with an array for its rows. */
static bool list_read(struct http_request *rq, const char *tool, struct str org_id,
                      const struct jvalue **items, struct rows *r, struct err *e)
{
    const struct jvalue *answer;
    struct page_call c;
    page_call_begin(&c);
    if (!str_is_absent(org_id))
        jout_kstr(&c.j, "organization_id", org_id);
    jout_ki64(&c.j, "limit", LIMIT_LIST);
    if (!page_tool(rq, tool, &c, &answer, e))
        return false;
    *items = jv_get(answer, "items");
    *r = (struct rows){arena_alloc(rq->arena, (jv_count(*items) + 1) * sizeof(*r->rows)), 0};
    return r->rows || err_set(e, ERR_UNAVAILABLE, "out of memory");
}

/* *name, *slug: of the organization that is shown. */
static bool orgs_read(struct http_request *rq, struct rows *r, struct str *name, struct str *slug,
                      struct err *e)
{
    const struct jvalue *items;
    struct str present = page_person(rq)->caller.org_id;
    if (!list_read(rq, "ORGANIZATION_LIST", STR_NONE, &items, r, e))
        return false;
    for (size_t i = 0; i < jv_count(items); i++) {
        const struct jvalue *org = jv_at(items, i);
        bool is_current = str_eq(jv_get_str(org, "id"), present);
        const struct page_value values[] = {
            PV("org_id", jv_get_str(org, "id")), PV("org_label", jv_get_str(org, "name")),
            PV("org_role", jv_get_str(org, "role")), PV_FLAG("is_current", is_current), PV_END};
        if (is_current) {
            *name = jv_get_str(org, "name");
            *slug = jv_get_str(org, "slug");
        }
        if (!rows_add(rq->arena, r, values, e))
            return false;
    }
    return true;
}

static bool connections_read(struct http_request *rq, struct str org_slug, struct rows *r,
                             struct err *e)
{
    const struct services *sv = rq->context;
    const struct jvalue *items;
    if (!list_read(rq, "CONNECTION_LIST", page_person(rq)->caller.org_id, &items, r, e))
        return false;
    for (size_t i = 0; i < jv_count(items); i++) {
        const struct jvalue *conn = jv_at(items, i);
        bool is_enabled = jv_get_bool(conn, "enabled", true);
        const struct page_value values[] = {
            PV("connection_id", jv_get_str(conn, "id")),
            PV("connection_name", jv_get_str(conn, "name")),
            PV("connection_status", is_enabled ? jv_get_str(conn, "status") : STR("disabled")),
            PV("connection_address",
               arena_printf(rq->arena, "%s/mcp/%.*s/%.*s", sv->config->origin, STR_FMT(org_slug),
                            STR_FMT(jv_get_str(conn, "slug")))),
            PV_END};
        if (!rows_add(rq->arena, r, values, e))
            return false;
    }
    return true;
}

/* "Firefox on Linux" of what a browser calls itself. */
static struct str browser_name(struct arena *a, struct str agent)
{
    static const char *const browsers[][2] = {{"Edg/", "Edge"},
                                              {"OPR/", "Opera"},
                                              {"Firefox/", "Firefox"},
                                              {"Chrome/", "Chrome"},
                                              {"Safari/", "Safari"}};
    static const char *const systems[][2] = {{"Android", "Android"}, {"iPhone", "iPhone"},
                                             {"iPad", "iPad"},       {"Windows", "Windows"},
                                             {"Mac OS X", "Mac"},    {"Linux", "Linux"}};
    const char *browser = NULL, *system_name = NULL;
    for (size_t i = 0; i < ARRAY_LEN(browsers) && !browser; i++)
        if (str_find(agent, str_c(browsers[i][0])) != SIZE_MAX)
            browser = browsers[i][1];
    for (size_t i = 0; i < ARRAY_LEN(systems) && !system_name; i++)
        if (str_find(agent, str_c(systems[i][0])) != SIZE_MAX)
            system_name = systems[i][1];
    if (!browser)
        return agent.n > 0 ? str_slice(agent, 0, 60) : STR("A browser");
    return arena_printf(a, "%s%s%s", browser, system_name ? " on " : "",
                        system_name ? system_name : "");
}

static bool sessions_read(struct http_request *rq, struct rows *r, struct err *e)
{
    const struct jvalue *items;
    if (!list_read(rq, "SESSION_LIST", STR_NONE, &items, r, e))
        return false;
    for (size_t i = 0; i < jv_count(items); i++) {
        const struct jvalue *s = jv_at(items, i);
        struct str id = jv_get_str(s, "id");
        const struct page_value values[] = {
            PV("session_id", id),
            PV("session_agent", browser_name(rq->arena, jv_get_str(s, "user_agent"))),
            PV("session_peer", jv_get_str(s, "address")),
            PV("session_since", page_time(rq->arena, jv_get_str(s, "created_at"))),
            PV_FLAG("is_current", str_eq(id, page_person(rq)->session.id)),
            PV_END};
        if (!rows_add(rq->arena, r, values, e))
            return false;
    }
    return true;
}

/* ---- the page ---- */

static struct str notice_of(struct http_request *rq)
{
    static const struct {
        struct str name, text;
    } known[] = {
        {STR("profile"), STR("Saved.")},
        {STR("password"), STR("The password is changed. All other browsers are signed out.")},
        {STR("session"), STR("That browser is signed out.")},
        {STR("organization"), STR("This is the organization that is shown now.")},
    };
    struct str done = page_query(rq, "done");
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (str_eq(done, known[i].name))
            return known[i].text;
    return STR_NONE;
}

/* why NULL: nothing went wrong. False: the page itself could not be made. */
static bool account_show(struct http_request *rq, int status, const struct err *why, struct err *e)
{
    struct services *sv = rq->context;
    const struct session_person *person = page_person(rq);
    struct rows orgs, conns = {NULL, 0}, sessions;
    struct str org_name = STR_NONE, org_slug = STR_NONE, hash;
    bool has_org = !str_is_absent(person->caller.org_id);
    if (!orgs_read(rq, &orgs, &org_name, &org_slug, e) ||
        (has_org && !connections_read(rq, org_slug, &conns, e)) || !sessions_read(rq, &sessions, e))
        return false;
    bool has_password = passwords_get(sv->db, rq->arena, person->session.user_id, &hash, e);
    if (!has_password && e->code != ERR_NOT_FOUND)
        return false;
    const struct page_value values[] = {
        PV("notice", why ? STR_NONE : notice_of(rq)),
        PV("error", why ? str_c(why->msg) : STR_NONE),
        PV("email", person->session.email),
        PV("name", person->session.name),
        PV_FLAG("has_org", has_org),
        PV("org_name", org_name),
        PV_ROWS("orgs", orgs.rows, orgs.n),
        PV_FLAG("has_orgs", orgs.n > 0),
        PV_ROWS("connections", conns.rows, conns.n),
        PV_FLAG("has_connections", conns.n > 0),
        PV_ROWS("sessions", sessions.rows, sessions.n),
        PV_FLAG("can_add", page_is_admin(rq)),
        PV_FLAG("may_create_org", page_may_create_org(rq)),
        PV_FLAG("has_password", has_password),
        PV_FLAG("can_mail", mailer_can(rq->context, MAIL_EMAIL_CHANGE)),
        PV("csrf_token", person->session.csrf_token),
        PV_END};
    page_answer(rq, status, "account", values, STR_NONE);
    return true;
}

void page_account_get(struct http_request *rq)
{
    struct err e;
    if (!account_show(rq, 200, NULL, &e))
        page_error(rq, &e);
}

/* After a form: back to the page with a word about it, or the page with what was wrong. */
static void finish(struct http_request *rq, bool is_good, const char *done, const struct err *why)
{
    struct err e;
    if (is_good) {
        struct str to = arena_printf(rq->arena, "/account?done=%s", done);
        page_redirect(rq, str_is_absent(to) ? STR("/account") : to);
        return;
    }
    bool is_theirs = why->code == ERR_INVALID || why->code == ERR_UNAUTHENTICATED ||
                     why->code == ERR_NOT_FOUND || why->code == ERR_RATE_LIMITED;
    if (!is_theirs || !account_show(rq, err_http(why->code), why, &e))
        page_error(rq, is_theirs ? &e : why);
}

/* ---- its forms ---- */

void page_account_profile_post(struct http_request *rq)
{
    struct form form;
    struct page_call c;
    struct err e;
    bool is_good = page_form_read(rq, &form, &e);
    if (is_good) {
        page_call_begin(&c);
        jout_kstr(&c.j, "name", page_field(&form, "name"));
        is_good = page_tool(rq, "USER_UPDATE", &c, NULL, &e);
    }
    finish(rq, is_good, "profile", &e);
}

/* The present password is proven like at sign-in, with the same limits. All sessions and all that
 * was granted to programs end; this session gets a new id, and proves what it did before, until
 * it would have ended: two factors by an organization's provider are none elsewhere. */
static bool password_change(struct http_request *rq, const struct form *form, struct err *e)
{
    struct services *sv = rq->context;
    const struct browser_session *session = &page_person(rq)->session;
    struct str password = page_field(form, "password"), user_id, hash;
    const struct login_event event = {
        .method = "password_change", .user_id = session->user_id, .outcome = "ok"};
    const struct session_proof proof = {.user_id = session->user_id,
                                        .proof = session->proof,
                                        .proof_org_id = session->proof_org_id,
                                        .provider_session = session->provider_session,
                                        .is_two_factor = session->is_two_factor,
                                        .ends_at = session->ends_at};
    if (!password_check(password, e))
        return false;
    if (!password_prove(rq, session->email, page_field(form, "current"), &user_id, e)) {
        if (e->code == ERR_UNAUTHENTICATED)
            err_set(e, ERR_INVALID, "The present password is wrong.");
        return false;
    }
    if (!str_eq(user_id, session->user_id))
        return err_set(e, ERR_FORBIDDEN, "sign in again first");
    return password_work_hash(sv, rq->arena, password, &hash, e) &&
           passwords_put(sv->db, rq->arena, user_id, hash, STR_NONE, clock_wall_ms(), e) &&
           login_audit(sv, rq, &event, e) && session_start(rq, &proof, e);
}

/* The present password is proof enough, but for whoever has a second factor: they have proved that,
 * too, and not long ago. */
static bool password_proof_check(struct http_request *rq, struct err *e)
{
    bool needs_second;
    return second_is_needed(rq, page_person(rq)->session.user_id, &needs_second, e) &&
           (!needs_second || page_proof_is_fresh(rq, e));
}

void page_account_password_post(struct http_request *rq)
{
    struct form form;
    struct err e;
    bool is_good = page_form_read(rq, &form, &e) && password_proof_check(rq, &e) &&
                   password_change(rq, &form, &e);
    if (!is_good && e.code == ERR_PROOF_OLD)
        page_redirect(rq, page_again_path(rq, STR("/account")));
    else
        finish(rq, is_good, "password", &e);
}

static bool org_switch(struct http_request *rq, struct str org_id, struct err *e)
{
    struct services *sv = rq->context;
    const struct browser_session *session = &page_person(rq)->session;
    struct member member;
    if (!members_get(sv->db, rq->arena, org_id, session->user_id, &member, e))
        return e->code == ERR_NOT_FOUND ? err_set(e, ERR_NOT_FOUND, "no such organization") : false;
    if (member.deactivated_at)
        return err_set(e, ERR_NOT_FOUND, "no such organization");
    return browser_sessions_set_org(sv->db, rq->arena, session->id, org_id, e);
}

void page_account_org_post(struct http_request *rq)
{
    struct form form;
    struct err e;
    bool is_good =
        page_form_read(rq, &form, &e) && org_switch(rq, page_field(&form, "organization_id"), &e);
    finish(rq, is_good, "organization", &e);
}

void page_account_session_post(struct http_request *rq)
{
    struct form form;
    struct page_call c;
    struct err e;
    bool is_good = page_form_read(rq, &form, &e);
    if (is_good) {
        page_call_begin(&c);
        jout_kstr(&c.j, "session_id", page_field(&form, "session_id"));
        is_good = page_tool(rq, "SESSION_REVOKE", &c, NULL, &e);
    }
    finish(rq, is_good, "session", &e);
}
