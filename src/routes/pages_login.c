/* The start, signing out, and who is signed in. */
#include "routes/pages_login.h"

#include "auth/login/login_audit.h"
#include "auth/saml/logout.h"
#include "base/limits.h"
#include "routes/answers.h"
#include "routes/page_tools.h"
#include "routes/pages_saml.h"
#include "store/one_time_tokens.h"
#include "store/orgs.h"

void page_home(struct http_request *rq)
{
    struct services *sv = rq->context;
    struct browser_session session;
    bool has_operator;
    struct err e;
    if (session_find(rq, &session, &e))
        page_redirect(rq, STR("/account"));
    else if (e.code != ERR_UNAUTHENTICATED ||
             !one_time_tokens_has_operator(sv->db, rq->arena, &has_operator, &e))
        page_error(rq, &e);
    else
        page_redirect(rq, has_operator ? STR("/login") : STR("/setup"));
}

/* ---- sign-out ---- */

void page_logout_get(struct http_request *rq)
{
    struct browser_session session;
    struct err e;
    if (session_find(rq, &session, &e)) {
        const struct page_value values[] = {PV("email", session.email),
                                            PV("csrf_token", session.csrf_token), PV_END};
        page_answer(rq, 200, "logout", values, STR_NONE);
    } else if (e.code == ERR_UNAUTHENTICATED) {
        page_redirect(rq, STR("/login"));
    } else {
        page_error(rq, &e);
    }
}

/* *elsewhere: where the provider that proved the session is told of it, if it wants to know. */
static bool sign_out(struct http_request *rq, struct saml_departure *elsewhere, bool *has_elsewhere,
                     struct err *e)
{
    struct services *sv = rq->context;
    struct browser_session session;
    struct form form;
    if (!page_form_read(rq, &form, e))
        return false;
    bool was_in = session_find(rq, &session, e);
    const struct login_event event = {.method = "signout",
                                      .user_id = was_in ? session.user_id : STR_NONE,
                                      .name = was_in ? session.id : STR_NONE,
                                      .outcome = "ok"};
    struct err ignored; /* who cannot be told is no reason to stay signed in */
    *has_elsewhere = false;
    if (was_in && !saml_logout_begin(rq, &session, elsewhere, has_elsewhere, &ignored))
        *has_elsewhere = false;
    return session_end(rq, e) && (!was_in || login_audit(sv, rq, &event, e));
}

/* A page that goes on by itself: Chromium would hold a redirect against form-action. */
static void sign_out_answer(struct http_request *rq, const struct saml_departure *elsewhere)
{
    if (!elsewhere) {
        page_redirect(rq, STR("/login"));
    } else if (elsewhere->is_post) {
        page_saml_depart(rq, elsewhere);
    } else {
        const struct page_value values[] = {PV("location", elsewhere->url), PV_END};
        page_answer(rq, 200, "onward", values, STR_NONE);
    }
}

void page_logout_post(struct http_request *rq)
{
    struct err e = {.code = ERR_NONE};
    struct saml_departure elsewhere;
    bool has_elsewhere;
    if (sign_out(rq, &elsewhere, &has_elsewhere, &e))
        sign_out_answer(rq, has_elsewhere ? &elsewhere : NULL);
    else
        page_error(rq, &e);
}

/* ---- GET /api/session ---- */

/* The strongest built-in role, else the first. */
static struct str strongest(struct str roles)
{
    static const struct str builtin[] = {STR("owner"), STR("admin"), STR("member")};
    for (size_t i = 0; i < ARRAY_LEN(builtin); i++)
        if (str_list_has(roles, builtin[i]))
            return builtin[i];
    return str_slice(roles, 0, str_find_char(roles, ' '));
}

/* All organizations of a person, page by page; what one organization's provider proved is told of
 * that one only. */
static bool organizations_write(struct http_request *rq, const struct browser_session *session,
                                struct jout *j, struct err *e)
{
    struct services *sv = rq->context;
    struct db_page page = {.limit = LIMIT_LIST};
    struct org_of_user *orgs;
    size_t n;
    do {
        if (!orgs_list_of_user(sv->db, rq->arena, session->user_id, &page, &orgs, &n, e))
            return false;
        for (size_t i = 0; i < n && i < (size_t)page.limit; i++) {
            page.after_at = orgs[i].org.created_at;
            page.after_id = orgs[i].org.id;
            if (!str_is_absent(session->proof_org_id) &&
                !str_eq(session->proof_org_id, orgs[i].org.id))
                continue;
            jout_object(j);
            jout_kstr(j, "id", orgs[i].org.id);
            jout_kstr(j, "name", orgs[i].org.name);
            jout_kstr(j, "slug", orgs[i].org.slug);
            jout_kstr(j, "role", strongest(orgs[i].roles));
            jout_object_end(j);
        }
    } while (n > (size_t)page.limit);
    return true;
}

static bool session_write(struct http_request *rq, struct jout *j, struct err *e)
{
    struct browser_session session;
    struct str token;
    bool is_in = session_find(rq, &session, e);
    if (!is_in && e->code != ERR_UNAUTHENTICATED)
        return false;
    if (!csrf_token_for(rq, &token, e))
        return false;
    jout_object(j);
    jout_key(j, STR("user"));
    if (is_in) {
        jout_object(j);
        jout_kstr(j, "id", session.user_id);
        jout_kstr(j, "email", session.email);
        jout_kstr(j, "name", session.name);
        jout_object_end(j);
    } else {
        jout_null(j);
    }
    jout_kstr(j, "csrf_token", token);
    jout_key(j, STR("organizations"));
    jout_array(j);
    if (is_in && !organizations_write(rq, &session, j, e))
        return false;
    jout_array_end(j);
    jout_object_end(j);
    return true;
}

void session_api_get(struct http_request *rq)
{
    struct buf out;
    struct jout j;
    struct err e;
    buf_init(&out, LIMIT_ANSWER_HELD);
    jout_init(&j, &out);
    http_set_header(rq, STR("Cache-Control"), STR("no-store"));
    if (session_write(rq, &j, &e))
        answer_json(rq, 200, &out);
    else
        answer_error(rq, &e);
    buf_end(&out);
}
