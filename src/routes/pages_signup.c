#include "routes/pages_signup.h"

#include "auth/login/accounts.h"
#include "auth/login/login_audit.h"
#include "auth/login/mail_asks.h"
#include "auth/login/signin.h"
#include "auth/login/signin_options.h"
#include "auth/session/password_work.h"
#include "auth/session/return_to.h"
#include "base/clock.h"
#include "routes/link_tools.h"
#include "routes/page_tools.h"
#include "routes/pages_second.h"
#include "store/mail_links.h"

/* ---- asking for an account ---- */

static bool is_open(struct http_request *rq, struct err *e)
{
    struct signin_options options;
    return signin_options_get(rq, STR_NONE, &options, e) &&
           (options.has_signup || err_set(e, ERR_NOT_FOUND,
                                          "accounts are made by invitation here: ask an "
                                          "administrator for one"));
}

static void signup_show(struct http_request *rq, int status, struct str email, struct str return_to,
                        const struct err *why)
{
    struct str csrf;
    struct err e;
    if (!csrf_token_for(rq, &csrf, &e)) {
        page_error(rq, &e);
        return;
    }
    const struct page_value values[] = {PV("error", why ? str_c(why->msg) : STR_NONE),
                                        PV("email", email), PV("return_to", return_to),
                                        PV("csrf_token", csrf), PV_END};
    page_answer(rq, status, "signup", values, STR_NONE);
}

void page_signup_get(struct http_request *rq)
{
    struct err e;
    if (is_open(rq, &e))
        signup_show(rq, 200, STR_NONE, return_to_safe(page_query(rq, "return_to")), NULL);
    else
        page_error(rq, &e);
}

void page_signup_post(struct http_request *rq)
{
    struct form form;
    struct str email;
    struct err e;
    if (!page_form_read(rq, &form, &e) || !is_open(rq, &e)) {
        page_error(rq, &e);
        return;
    }
    struct str given = page_field(&form, "email");
    struct str return_to = return_to_safe(page_field(&form, "return_to"));
    if (mail_asks_add(rq, MAIL_SIGNUP, given, STR_NONE, return_to, &email, &e)) {
        const struct page_value values[] = {PV("email", email), PV_FLAG("is_magic", false),
                                            PV_FLAG("is_reset", false), PV_FLAG("is_signup", true),
                                            PV_END};
        page_answer(rq, 200, "login_sent", values, STR_NONE);
    } else if (e.code == ERR_INVALID) {
        signup_show(rq, 400, given, return_to, &e);
    } else {
        page_error(rq, &e);
    }
}

/* ---- making it ---- */

static void account_show(struct http_request *rq, int status, const struct mail_link *l,
                         struct str name, const struct err *why)
{
    struct str csrf;
    struct err e;
    if (!csrf_token_for(rq, &csrf, &e)) {
        page_error(rq, &e);
        return;
    }
    const struct page_value values[] = {PV("error", why ? str_c(why->msg) : STR_NONE),
                                        PV("email", l->email),
                                        PV("name", name),
                                        PV("token", rq->params[0]),
                                        PV("csrf_token", csrf),
                                        PV_END};
    page_answer(rq, status, "signup_account", values, STR_NONE);
}

void page_signup_link_get(struct http_request *rq)
{
    struct mail_link l;
    struct err e;
    if (is_open(rq, &e) && link_find(rq, "signup", &l, &e))
        account_show(rq, 200, &l, STR_NONE, NULL);
    else
        page_error(rq, &e);
}

static bool account_make(struct http_request *rq, const struct mail_link *l,
                         struct account_form *form, struct str *next, struct err *e)
{
    struct services *sv = rq->context;
    struct str hash;
    struct signin who = {.user_id = accounts_new_id(rq->arena), .method = "password"};
    const struct login_event event = {.method = "signup", .user_id = who.user_id, .outcome = "ok"};
    int64_t now = clock_wall_ms();
    if (str_is_absent(who.user_id))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    if (!accounts_form_check(rq->arena, form, e) ||
        !password_work_hash(sv, rq->arena, form->password, &hash, e))
        return false;
    const struct user user = {.id = who.user_id,
                              .email = l->email,
                              .name = form->name,
                              .created_at = now,
                              .updated_at = now};
    return mail_links_take_signup(sv->db, rq->arena, l, &user, hash, e) &&
           login_audit(sv, rq, &event, e) && signin_complete(rq, &who, l->return_to, next, e);
}

void page_signup_link_post(struct http_request *rq)
{
    struct form form;
    struct mail_link l;
    struct link_origin origin;
    struct str next = STR("/");
    struct err e;
    if (!page_form_read(rq, &form, &e) || !is_open(rq, &e) || !link_find(rq, "signup", &l, &e) ||
        !link_origin_of(rq, &l, &origin, &e)) {
        page_error(rq, &e);
        return;
    }
    if (!origin.is_here)
        l.return_to = STR_NONE; /* whoever asked chose it */
    struct account_form account = {l.email, page_field(&form, "name"),
                                   page_field(&form, "password")};
    if (account_make(rq, &l, &account, &next, &e))
        page_redirect(rq, next);
    else if (e.code == ERR_INVALID)
        account_show(rq, 400, &l, page_field(&form, "name"), &e);
    else
        page_error(rq, &e);
}

/* ---- another address ---- */

void page_email_post(struct http_request *rq)
{
    const struct browser_session *session = &page_person(rq)->session;
    struct form form;
    struct str email;
    struct err e;
    bool is_good = page_form_read(rq, &form, &e) && page_proof_check(rq, &e) &&
                   (mailer_can(rq->context, MAIL_EMAIL_CHANGE) ||
                    err_set(&e, ERR_NOT_FOUND, "this server sends no mail"));
    if (is_good && mail_asks_add(rq, MAIL_EMAIL_CHANGE, page_field(&form, "email"),
                                 session->user_id, STR("/account"), &email, &e)) {
        const struct page_value values[] = {PV("email", email), PV_END};
        page_answer(rq, 200, "email_sent", values, STR_NONE);
    } else {
        page_error(rq, &e);
    }
}

/* A link for the person who is signed in, no other. */
static bool own_link_find(struct http_request *rq, struct mail_link *l, struct err *e)
{
    const struct browser_session *session = &page_person(rq)->session;
    return link_find(rq, "email_change", l, e) &&
           (str_eq(l->user_id, session->user_id) ||
            err_set(e, ERR_FORBIDDEN,
                    "this link is for another account: sign out, and in with that"));
}

void page_email_link_get(struct http_request *rq)
{
    const struct browser_session *session = &page_person(rq)->session;
    struct mail_link l;
    struct err e;
    if (!own_link_find(rq, &l, &e)) {
        page_error(rq, &e);
        return;
    }
    const struct page_value values[] = {PV("email", l.email), PV("old_email", session->email),
                                        PV("token", rq->params[0]),
                                        PV("csrf_token", session->csrf_token), PV_END};
    page_answer(rq, 200, "email_confirm", values, STR_NONE);
}

static bool email_change(struct http_request *rq, struct err *e)
{
    struct services *sv = rq->context;
    const struct browser_session *session = &page_person(rq)->session;
    const struct login_event event = {
        .method = "email_change", .user_id = session->user_id, .outcome = "ok"};
    struct form form;
    struct mail_link l;
    return page_form_read(rq, &form, e) && own_link_find(rq, &l, e) &&
           mail_links_take_email(sv->db, rq->arena, &l, session->email, session->id,
                                 clock_wall_ms(), e) &&
           login_audit(sv, rq, &event, e) &&
           mail_asks_notice(rq, MAIL_EMAIL_CHANGED, session->email, l.email, e);
}

void page_email_link_post(struct http_request *rq)
{
    struct err e;
    if (email_change(rq, &e))
        page_redirect(rq, STR("/account"));
    else
        page_error(rq, &e);
}
