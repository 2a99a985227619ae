#include "routes/pages_signin.h"

#include "auth/login/mail_asks.h"
#include "auth/login/password_signin.h"
#include "auth/login/signin.h"
#include "auth/login/signin_options.h"
#include "auth/oauth/authorize.h"
#include "auth/session/return_to.h"
#include "base/text.h"
#include "routes/page_tools.h"

/* What both steps show. */
struct step {
    int status;
    struct str email; /* absent: the first step */
    struct str return_to;
    const struct err *why; /* NULL: nothing went wrong */
};

/* "PATH?return_to=...&email=...". STR_NONE: out of memory. */
static struct str provider_path(struct http_request *rq, struct str path, const struct step *s)
{
    struct buf out;
    buf_init(&out, 4 * 8192);
    buf_add(&out, path);
    buf_add(&out, STR("?return_to="));
    text_percent_encode(&out, s->return_to);
    if (!str_is_absent(s->email)) {
        buf_add(&out, STR("&email="));
        text_percent_encode(&out, s->email);
    }
    struct str made = buf_ok(&out) ? arena_dup(rq->arena, buf_str(&out)) : STR_NONE;
    buf_end(&out);
    return made;
}

/* Rows of {kind, label, path}. */
static bool buttons_make(struct http_request *rq, const struct signin_options *options,
                         const struct step *s, struct page_row **rows, struct err *e)
{
    enum { VALUES = 4 };
    size_t n = options->n_buttons;
    struct page_value *values = arena_alloc(rq->arena, (n + 1) * VALUES * sizeof(*values));
    *rows = arena_alloc(rq->arena, (n + 1) * sizeof(**rows));
    if (!values || !*rows)
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    for (size_t i = 0; i < n; i++) {
        struct page_value *v = values + i * VALUES;
        v[0] = (struct page_value)PV("kind", options->buttons[i].kind);
        v[1] = (struct page_value)PV("label", options->buttons[i].label);
        v[2] = (struct page_value)PV("path", provider_path(rq, options->buttons[i].path, s));
        (*rows)[i].values = v;
        if (str_is_absent(v[2].text))
            return err_set(e, ERR_UNAVAILABLE, "out of memory");
    }
    return true;
}

static bool step_show(struct http_request *rq, const struct step *s,
                      const struct signin_options *options, struct err *e)
{
    struct str token;
    struct page_row *buttons;
    if (!csrf_token_for(rq, &token, e) || !buttons_make(rq, options, s, &buttons, e))
        return false;
    bool is_first = str_is_absent(s->email);
    const struct page_value values[] = {PV("error", s->why ? str_c(s->why->msg) : STR_NONE),
                                        PV("email", s->email),
                                        PV("return_to", s->return_to),
                                        PV_FLAG("has_password", options->has_password),
                                        PV_FLAG("has_magic_link", options->has_magic_link),
                                        PV_FLAG("has_reset", options->has_reset),
                                        PV_FLAG("has_signup", options->has_signup),
                                        PV_FLAG("has_passkey", options->has_passkey),
                                        PV_FLAG("has_buttons", options->n_buttons > 0),
                                        PV_FLAG("has_none", !options->has_password &&
                                                                !options->has_magic_link &&
                                                                options->n_buttons == 0),
                                        PV_ROWS("buttons", buttons, options->n_buttons),
                                        PV("csrf_token", token),
                                        PV_END};
    page_answer(rq, s->status, is_first ? "login" : "login_ways", values,
                authorize_form_action(rq, s->return_to));
    return true;
}

static void show(struct http_request *rq, const struct step *s)
{
    struct signin_options options;
    struct err e;
    if (!signin_options_get(rq, s->email, &options, &e) || !step_show(rq, s, &options, &e))
        page_error(rq, &e);
}

void page_login_get(struct http_request *rq)
{
    struct browser_session session;
    struct err e;
    const struct step first = {.status = 200,
                               .return_to = return_to_safe(page_query(rq, "return_to"))};
    if (session_find(rq, &session, &e))
        page_redirect(rq, first.return_to);
    else if (e.code == ERR_UNAUTHENTICATED)
        show(rq, &first);
    else
        page_error(rq, &e);
}

/* ---- the second step ---- */

static bool password_enter(struct http_request *rq, const struct form *form, const struct step *s,
                           struct err *e)
{
    struct signin who = {.method = "password"};
    struct str next;
    if (!password_signin(rq, s->email, page_field(form, "password"), &who.user_id, e) ||
        !signin_complete(rq, &who, s->return_to, &next, e))
        return false;
    page_redirect(rq, next);
    return true;
}

/* The domain's provider, or a way to go on by. */
static void ways_answer(struct http_request *rq, const struct form *form, struct step *s)
{
    struct signin_options options;
    struct err e, why;
    if (!signin_options_get(rq, s->email, &options, &e)) {
        page_error(rq, &e);
        return;
    }
    if (!str_is_absent(options.forced_path)) {
        struct str path = provider_path(rq, options.forced_path, s);
        page_redirect(rq, str_is_absent(path) ? options.forced_path : path);
        return;
    }
    if (page_field(form, "password").n > 0 && options.has_password) {
        if (password_enter(rq, form, s, &why))
            return;
        if (why.code != ERR_UNAUTHENTICATED && why.code != ERR_RATE_LIMITED) {
            page_error(rq, &why);
            return;
        }
        s->status = err_http(why.code);
        s->why = &why;
    }
    if (!step_show(rq, s, &options, &e))
        page_error(rq, &e);
    s->why = NULL;
}

void page_login_post(struct http_request *rq)
{
    struct form form;
    struct err e;
    if (!page_form_read(rq, &form, &e)) {
        page_error(rq, &e);
        return;
    }
    struct step s = {.status = 200,
                     .email = str_trim(page_field(&form, "email")),
                     .return_to = return_to_safe(page_field(&form, "return_to"))};
    struct step first = {.status = 400, .return_to = s.return_to, .why = &e};
    if (s.email.n > 0) {
        ways_answer(rq, &form, &s);
        return;
    }
    err_set(&e, ERR_INVALID, "Type your e-mail address.");
    show(rq, &first);
}

/* ---- asking for mails ---- */

static void ask(struct http_request *rq, enum mail_kind kind)
{
    struct form form;
    struct str email;
    struct signin_options options;
    struct err e;
    if (!page_form_read(rq, &form, &e) || !signin_options_get(rq, STR_NONE, &options, &e)) {
        page_error(rq, &e);
        return;
    }
    struct step first = {
        .status = 400, .return_to = return_to_safe(page_field(&form, "return_to")), .why = &e};
    bool is_open = kind == MAIL_MAGIC ? options.has_magic_link : options.has_reset;
    bool is_good =
        (is_open || err_set(&e, ERR_NOT_FOUND, "this server sends no such mail")) &&
        mail_asks_add(rq, kind, page_field(&form, "email"), STR_NONE, first.return_to, &email, &e);
    const struct page_value values[] = {
        PV("email", is_good ? email : STR_NONE), PV_FLAG("is_magic", kind == MAIL_MAGIC),
        PV_FLAG("is_reset", kind == MAIL_RESET), PV_FLAG("is_signup", false), PV_END};
    if (is_good)
        page_answer(rq, 200, "login_sent", values, STR_NONE);
    else if (e.code == ERR_INVALID)
        show(rq, &first);
    else
        page_error(rq, &e);
}

void page_login_link_post(struct http_request *rq)
{
    ask(rq, MAIL_MAGIC);
}

void page_login_reset_post(struct http_request *rq)
{
    ask(rq, MAIL_RESET);
}
