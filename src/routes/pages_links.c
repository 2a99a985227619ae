#include "routes/pages_links.h"

#include "auth/login/login_audit.h"
#include "auth/login/mail_asks.h"
#include "auth/login/signin.h"
#include "auth/oauth/authorize.h"
#include "auth/session/password_work.h"
#include "base/clock.h"
#include "crypto/password.h"
#include "routes/link_tools.h"
#include "routes/page_tools.h"
#include "store/mail_links.h"

/* "a***@corp.example": whoever follows a link that is not theirs learns little. */
static struct str masked(struct arena *a, struct str email)
{
    size_t at = str_find_char(email, '@');
    size_t first = 1;
    while (first < at && ((unsigned char)email.p[first] & 0xC0) == 0x80)
        first++;
    return arena_printf(a, "%.*s***%.*s", STR_FMT(str_slice(email, 0, first)),
                        STR_FMT(str_slice(email, at, SIZE_MAX)));
}

static void link_show(struct http_request *rq, const char *page, int status,
                      const struct mail_link *l, const struct err *why)
{
    struct str csrf;
    struct link_origin origin;
    struct err e;
    if (!csrf_token_for(rq, &csrf, &e) || !link_origin_of(rq, l, &origin, &e)) {
        page_error(rq, &e);
        return;
    }
    const struct page_value values[] = {PV("error", why ? str_c(why->msg) : STR_NONE),
                                        PV("email", masked(rq->arena, l->email)),
                                        PV("username", origin.is_here ? l->email : STR_NONE),
                                        PV("token", rq->params[0]),
                                        PV_FLAG("is_elsewhere", !origin.is_here),
                                        PV("browser", origin.browser),
                                        PV("peer", origin.peer),
                                        PV("asked_at", origin.asked_at),
                                        PV("csrf_token", csrf),
                                        PV_END};
    page_answer(rq, status, page, values, authorize_form_action(rq, l->return_to));
}

static void link_get(struct http_request *rq, const char *purpose, const char *page)
{
    struct mail_link l;
    struct err e;
    if (link_find(rq, purpose, &l, &e))
        link_show(rq, page, 200, &l, NULL);
    else
        page_error(rq, &e);
}

/* Reads the form and finds the link. In another browser than the one that asked, the person must
 * have said that it was them: false with *is_shown, the question is answered. */
static bool link_post(struct http_request *rq, const char *purpose, const char *page,
                      struct form *form, struct mail_link *l, bool *is_shown, struct err *e)
{
    struct link_origin origin;
    *is_shown = false;
    if (!page_form_read(rq, form, e) || !link_find(rq, purpose, l, e) ||
        !link_origin_of(rq, l, &origin, e))
        return false;
    if (!origin.is_here) {
        if (!str_eq(page_field(form, "confirm"), STR("yes"))) {
            *is_shown = true;
            link_show(rq, page, 200, l, NULL);
            return false;
        }
        l->return_to = STR_NONE; /* whoever asked chose it */
    }
    return true;
}

/* ---- signing in ---- */

void page_magic_get(struct http_request *rq)
{
    link_get(rq, "magic", "magic");
}

void page_magic_post(struct http_request *rq)
{
    struct services *sv = rq->context;
    struct form form;
    struct mail_link l;
    struct str next;
    bool is_shown;
    struct err e;
    if (!link_post(rq, "magic", "magic_confirm", &form, &l, &is_shown, &e)) {
        if (!is_shown)
            page_error(rq, &e);
        return;
    }
    const struct signin who = {.user_id = l.user_id, .method = "magic"};
    if (mail_links_take_magic(sv->db, rq->arena, &l, clock_wall_ms(), &e) &&
        signin_complete(rq, &who, l.return_to, &next, &e))
        page_redirect(rq, next);
    else
        page_error(rq, &e);
}

/* ---- a new password ---- */

void page_reset_get(struct http_request *rq)
{
    link_get(rq, "reset", "reset");
}

/* The person of the link, enabled still. */
static bool person_get(struct http_request *rq, const struct mail_link *l, struct user *user,
                       struct err *e)
{
    struct services *sv = rq->context;
    if (!users_get(sv->db, rq->arena, l->user_id, user, e))
        return false;
    return !user->disabled_at ||
           err_set(e, ERR_FORBIDDEN, "this account is disabled: ask an administrator");
}

static bool password_set(struct http_request *rq, const struct mail_link *l, struct str password,
                         struct str *next, struct err *e)
{
    struct services *sv = rq->context;
    struct user user;
    struct str hash;
    const struct login_event event = {
        .method = "password_reset", .user_id = l->user_id, .outcome = "ok"};
    const struct signin who = {.user_id = l->user_id, .method = "password"};
    return person_get(rq, l, &user, e) && password_check(password, e) &&
           password_work_hash(sv, rq->arena, password, &hash, e) &&
           mail_links_take_reset(sv->db, rq->arena, l, hash, clock_wall_ms(), e) &&
           login_audit(sv, rq, &event, e) &&
           mail_asks_notice(rq, MAIL_PASSWORD_CHANGED, user.email, STR_NONE, e) &&
           signin_complete(rq, &who, l->return_to, next, e);
}

void page_reset_post(struct http_request *rq)
{
    struct form form;
    struct mail_link l;
    struct str next;
    bool is_shown;
    struct err e;
    if (!link_post(rq, "reset", "reset", &form, &l, &is_shown, &e)) {
        if (!is_shown)
            page_error(rq, &e);
        return;
    }
    if (password_set(rq, &l, page_field(&form, "password"), &next, &e))
        page_redirect(rq, next);
    else if (e.code == ERR_INVALID)
        link_show(rq, "reset", 400, &l, &e);
    else
        page_error(rq, &e);
}
