/* Signing in and out, and who is signed in. */
#include "routes/pages_login.h"

#include "auth/oauth/authorize.h"
#include "auth/login/login_audit.h"
#include "auth/login/password_signin.h"
#include "auth/session/return_to.h"
#include "base/limits.h"
#include "routes/answers.h"
#include "routes/page_tools.h"
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

/* ---- sign-in ---- */

static void login_show(struct http_request *rq, int status, struct str email, struct str return_to,
                       const struct err *why)
{
    struct str token;
    struct err e;
    if (!csrf_token_for(rq, &token, &e)) {
        page_error(rq, &e);
        return;
    }
    const struct page_value values[] = {PV("error", why ? str_c(why->msg) : STR_NONE),
                                        PV("email", email), PV("return_to", return_to),
                                        PV("csrf_token", token), PV_END};
    page_answer(rq, status, "login", values, authorize_form_action(rq, return_to));
}

void page_login_get(struct http_request *rq)
{
    struct browser_session session;
    struct err e;
    struct str return_to = return_to_safe(page_query(rq, "return_to"));
    if (session_find(rq, &session, &e))
        page_redirect(rq, return_to);
    else if (e.code == ERR_UNAUTHENTICATED)
        login_show(rq, 200, STR_NONE, return_to, NULL);
    else
        page_error(rq, &e);
}

void page_login_post(struct http_request *rq)
{
    struct form form;
    struct err e;
    if (!page_form_read(rq, &form, &e)) {
        page_error(rq, &e);
        return;
    }
    struct str email = page_field(&form, "email");
    struct str return_to = return_to_safe(page_field(&form, "return_to"));
    if (password_signin(rq, email, page_field(&form, "password"), &e)) {
        page_redirect(rq, return_to);
        return;
    }
    if (e.code == ERR_UNAUTHENTICATED || e.code == ERR_RATE_LIMITED)
        login_show(rq, err_http(e.code), email, return_to, &e);
    else
        page_error(rq, &e);
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

static bool sign_out(struct http_request *rq, struct err *e)
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
    return session_end(rq, e) && (!was_in || login_audit(sv, rq, &event, e));
}

void page_logout_post(struct http_request *rq)
{
    struct err e = {.code = ERR_NONE};
    if (sign_out(rq, &e))
        page_redirect(rq, STR("/login"));
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

/* All organizations of a person, page by page. */
static bool organizations_write(struct http_request *rq, struct str user_id, struct jout *j,
                                struct err *e)
{
    struct services *sv = rq->context;
    struct db_page page = {.limit = LIMIT_LIST};
    struct org_of_user *orgs;
    size_t n;
    do {
        if (!orgs_list_of_user(sv->db, rq->arena, user_id, &page, &orgs, &n, e))
            return false;
        for (size_t i = 0; i < n && i < (size_t)page.limit; i++) {
            jout_object(j);
            jout_kstr(j, "id", orgs[i].org.id);
            jout_kstr(j, "name", orgs[i].org.name);
            jout_kstr(j, "slug", orgs[i].org.slug);
            jout_kstr(j, "role", strongest(orgs[i].roles));
            jout_object_end(j);
            page.after_at = orgs[i].org.created_at;
            page.after_id = orgs[i].org.id;
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
    if (is_in && !organizations_write(rq, session.user_id, j, e))
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
