#include "routes/pages_second.h"

#include "auth/factors/passkeys.h"
#include "auth/login/peer_name.h"
#include "auth/login/second.h"
#include "auth/oauth/authorize.h"
#include "auth/session/return_to.h"
#include "base/clock.h"
#include "base/limits.h"
#include "core/rates.h"
#include "mcp/call_limits.h"
#include "routes/answers.h"
#include "routes/page_tools.h"
#include "store/totp.h"

/* What a person may try again on the same page. */
static bool is_theirs(const struct err *e)
{
    return e->code == ERR_UNAUTHENTICATED || e->code == ERR_RATE_LIMITED ||
           e->code == ERR_BAD_REQUEST;
}

/* ---- the second step ---- */

static bool second_show(struct http_request *rq, int status, const struct pending_signin *p,
                        const struct err *why, struct err *e)
{
    struct services *sv = rq->context;
    struct factors_row has;
    struct str csrf;
    if (!factors_get(sv->db, rq->arena, p->user_id, &has, e) || !csrf_token_for(rq, &csrf, e))
        return false;
    const struct page_value values[] = {
        PV("error", why ? str_c(why->msg) : STR_NONE),
        PV_FLAG("has_app", has.has_totp),
        PV_FLAG("has_codes", has.has_totp || has.n_recovery_codes > 0),
        PV_FLAG("has_passkey", has.n_passkeys > 0 && passkeys_are_possible(rq)),
        PV("action", STR("/login/second")),
        PV("purpose", STR("second")),
        PV("return_to", p->return_to),
        PV("csrf_token", csrf),
        PV_END};
    page_answer(rq, status, "second", values, authorize_form_action(rq, p->return_to));
    return true;
}

/* Without a sign-in in progress there is nothing to do here. */
static void begin_again(struct http_request *rq, const struct err *e)
{
    if (e->code == ERR_UNAUTHENTICATED)
        page_redirect(rq, STR("/login"));
    else
        page_error(rq, e);
}

void page_second_get(struct http_request *rq)
{
    struct pending_signin p;
    struct err e;
    if (!second_find(rq, &p, &e))
        begin_again(rq, &e);
    else if (!second_show(rq, 200, &p, NULL, &e))
        page_error(rq, &e);
}

void page_second_post(struct http_request *rq)
{
    struct pending_signin p;
    struct form form;
    struct str next, code;
    struct err e, why;
    if (!page_form_read(rq, &form, &e)) {
        page_error(rq, &e);
        return;
    }
    if (!second_find(rq, &p, &e)) {
        begin_again(rq, &e);
        return;
    }
    bool has_code = form_get(&form, STR("code"), &code) != FORM_ABSENT;
    bool is_proved = has_code ? second_prove_code(rq, &p, code, &why)
                              : second_prove_passkey(rq, &p, &form, &why);
    if (is_proved && second_finish(rq, &p, &next, &why))
        page_redirect(rq, next);
    else if (is_proved || !is_theirs(&why))
        page_error(rq, &why);
    else if (!second_show(rq, err_http(why.code), &p, &why, &e))
        page_error(rq, &e);
}

/* ---- by passkey alone ---- */

void page_passkey_post(struct http_request *rq)
{
    const struct passkey_ask nobody = {.purpose = "signin"};
    struct passkey_ask ask = nobody;
    struct signin who = {.method = "passkey"};
    struct form form;
    struct str next;
    struct err e;
    bool is_good = page_form_read(rq, &form, &e);
    if (is_good) {
        ask.browser = page_field(&form, "csrf_token");
        is_good =
            passkeys_prove(rq, &ask, &form, &who.user_id, &who.is_two_factor, &e) &&
            signin_complete(rq, &who, return_to_safe(page_field(&form, "return_to")), &next, &e);
    }
    if (is_good)
        page_redirect(rq, next);
    else
        page_error(rq, &e);
}

/* ---- options for scripts ---- */

/* Who asks, by what it is for. */
static bool ask_read(struct http_request *rq, const struct form *form, struct passkey_ask *ask,
                     struct err *e)
{
    struct str purpose = page_field(form, "purpose");
    struct pending_signin p;
    struct browser_session session;
    *ask = (struct passkey_ask){.purpose = "signin", .browser = page_field(form, "csrf_token")};
    if (str_eq(purpose, STR("signin")))
        return true;
    if (str_eq(purpose, STR("second"))) {
        ask->purpose = "second";
        if (!second_find(rq, &p, e))
            return false;
        ask->user_id = p.user_id;
        return true;
    }
    bool is_new = str_eq(purpose, STR("register"));
    if (!is_new && !str_eq(purpose, STR("again")))
        return err_set(e, ERR_INVALID, "purpose: expected signin, second, again or register");
    ask->purpose = is_new ? "register" : "again";
    if (!session_find(rq, &session, e))
        return false;
    ask->user_id = session.user_id;
    ask->email = session.email;
    ask->name = session.name;
    return !is_new || session_is_fresh(&session) ||
           err_set(e, ERR_FORBIDDEN, "prove first that it is you: reload the page");
}

/* Anybody may ask, and each answer is a row of the store. */
static bool rate_check(struct http_request *rq, struct err *e)
{
    const struct services *sv = rq->context;
    char peer[PEER_NAME_SIZE];
    int64_t retry_ms;
    peer_name(rq, peer);
    struct str meter = arena_printf(rq->arena, "passkeys %s", peer);
    if (!peer[0] || str_is_absent(meter) ||
        rates_pass(sv->rates, meter, LIMIT_PASSKEY_ASKS, clock_mono_ms(), &retry_ms))
        return true;
    call_limits_say(rq, retry_ms);
    return err_set(e, ERR_RATE_LIMITED, "too many passkeys asked for: wait a minute");
}

void page_passkey_options(struct http_request *rq)
{
    struct passkey_ask ask;
    struct form form;
    struct buf out;
    struct jout j;
    struct err e;
    buf_init(&out, LIMIT_ANSWER_HELD);
    jout_init(&j, &out);
    http_set_header(rq, STR("Cache-Control"), STR("no-store"));
    if (page_form_read(rq, &form, &e) && rate_check(rq, &e) && ask_read(rq, &form, &ask, &e) &&
        passkeys_options(rq, &ask, &j, &e))
        answer_json(rq, 200, &out);
    else
        answer_error(rq, &e);
    buf_end(&out);
}
