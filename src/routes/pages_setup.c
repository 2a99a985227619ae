/* The first steps of an installation. */
#include "routes/pages_setup.h"

#include "auth/login/accounts.h"
#include "auth/login/login_audit.h"
#include "auth/login/signin.h"
#include "auth/secret_text.h"
#include "base/clock.h"
#include "routes/page_tools.h"
#include "store/browser_sessions.h"
#include "store/orgs.h"

static void account_show(struct http_request *rq, int status, const struct account_form *form,
                         struct str token, const struct err *why)
{
    struct str csrf;
    struct err e;
    if (!csrf_token_for(rq, &csrf, &e)) {
        page_error(rq, &e);
        return;
    }
    const struct page_value values[] = {PV("error", why ? str_c(why->msg) : STR_NONE),
                                        PV("email", form->email),
                                        PV("name", form->name),
                                        PV("token", token),
                                        PV("csrf_token", csrf),
                                        PV_END};
    page_answer(rq, status, "setup_account", values, STR_NONE);
}

static void org_show(struct http_request *rq, int status, struct str csrf, struct str name,
                     const struct err *why)
{
    const struct page_value values[] = {PV("error", why ? str_c(why->msg) : STR_NONE),
                                        PV("name", name), PV("csrf_token", csrf), PV_END};
    page_answer(rq, status, "setup_org", values, STR_NONE);
}

/* Where somebody who is signed in goes on. */
static void signed_in(struct http_request *rq, const struct browser_session *session)
{
    const struct services *sv = rq->context;
    bool may_create =
        session->is_operator || str_eq(str_c(sv->config->allow_org_creation), STR("everyone"));
    if (!str_is_absent(session->org_id) || !may_create)
        page_redirect(rq, STR("/account"));
    else
        org_show(rq, 200, session->csrf_token, STR_NONE, NULL);
}

static bool link_is_good(struct http_request *rq, struct str token, struct err *e)
{
    struct services *sv = rq->context;
    struct one_time_token row;
    struct str hash = secret_text_hash(rq->arena, token);
    if (str_is_absent(hash))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    if (one_time_tokens_find(sv->db, rq->arena, hash, STR("setup"), clock_wall_ms(), &row, e))
        return true;
    return e->code == ERR_NOT_FOUND
               ? err_set(e, ERR_NOT_FOUND,
                         "this setup link is used up or too old: `tulle setup-link` on the server "
                         "prints a new one, as long as there is no operator")
               : false;
}

void page_setup_get(struct http_request *rq)
{
    const struct account_form empty = {STR_NONE, STR_NONE, STR_NONE};
    struct browser_session session;
    struct str token = page_query(rq, "token");
    struct err e;
    if (session_find(rq, &session, &e)) {
        signed_in(rq, &session);
        return;
    }
    if (e.code != ERR_UNAUTHENTICATED) {
        page_error(rq, &e);
        return;
    }
    if (str_is_absent(token)) {
        err_set(&e, ERR_NOT_FOUND,
                "open the setup link that Tulle printed when it started; `tulle setup-link` on the "
                "server prints a new one");
        page_error(rq, &e);
    } else if (!link_is_good(rq, token, &e)) {
        page_error(rq, &e);
    } else {
        account_show(rq, 200, &empty, token, NULL);
    }
}

/* The link is judged before the password costs anything. */
static bool operator_make(struct http_request *rq, struct str token, struct account_form *form,
                          struct str *next, struct err *e)
{
    struct services *sv = rq->context;
    struct signin who = {.method = "password"};
    if (!link_is_good(rq, token, e) ||
        !accounts_setup_redeem(sv, rq->arena, token, form, &who.user_id, e))
        return false;
    const struct login_event event = {
        .method = "setup", .user_id = who.user_id, .name = STR("first operator"), .outcome = "ok"};
    return login_audit(sv, rq, &event, e) && signin_complete(rq, &who, STR("/setup"), next, e);
}

void page_setup_post(struct http_request *rq)
{
    struct form form;
    struct err e;
    if (!page_form_read(rq, &form, &e)) {
        page_error(rq, &e);
        return;
    }
    struct str token = page_field(&form, "token"), next;
    struct account_form account = {page_field(&form, "email"), page_field(&form, "name"),
                                   page_field(&form, "password")};
    if (operator_make(rq, token, &account, &next, &e))
        page_redirect(rq, next);
    else if (e.code == ERR_INVALID || e.code == ERR_CONFLICT)
        account_show(rq, err_http(e.code), &account, token, &e);
    else
        page_error(rq, &e);
}

static bool org_make(struct http_request *rq, struct str name, struct err *e)
{
    struct services *sv = rq->context;
    const struct jvalue *made;
    struct page_call c;
    page_call_begin(&c);
    jout_kstr(&c.j, "name", name);
    return page_tool(rq, "ORGANIZATION_CREATE", &c, &made, e) &&
           browser_sessions_set_org(sv->db, rq->arena, page_person(rq)->session.id,
                                    jv_get_str(jv_get(made, "item"), "id"), e);
}

void page_setup_org_post(struct http_request *rq)
{
    struct form form;
    struct err e;
    bool is_read = page_form_read(rq, &form, &e);
    if (is_read && org_make(rq, page_field(&form, "name"), &e))
        page_redirect(rq, STR("/setup/server"));
    else if (is_read && (e.code == ERR_INVALID || e.code == ERR_CONFLICT))
        org_show(rq, err_http(e.code), page_person(rq)->session.csrf_token,
                 page_field(&form, "name"), &e);
    else
        page_error(rq, &e);
}
