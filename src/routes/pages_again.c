/* Proving again who one is, before a dangerous act. */
#include "auth/factors/codes.h"
#include "auth/factors/passkeys.h"
#include "auth/login/login_audit.h"
#include "auth/login/password_signin.h"
#include "auth/login/second.h"
#include "auth/saml/flow.h"
#include "auth/session/return_to.h"
#include "auth/sso/oidc.h"
#include "base/ids.h"
#include "base/limits.h"
#include "base/text.h"
#include "routes/page_tools.h"
#include "routes/pages_saml.h"
#include "routes/pages_second.h"
#include "store/passwords.h"
#include "store/sso_providers.h"

struct str page_again_path(struct http_request *rq, struct str return_to)
{
    struct str login = return_to_login(rq->arena, return_to);
    struct str path = str_is_absent(login) ? STR_NONE
                                           : arena_printf(rq->arena, "/login/again%.*s",
                                                          STR_FMT(str_slice(login, 6, SIZE_MAX)));
    return str_is_absent(path) ? STR("/login/again") : path;
}

bool page_proof_is_fresh(struct http_request *rq, struct err *e)
{
    const struct browser_session *s = &page_person(rq)->session;
    bool needs_second = false;
    if (!s->is_two_factor && !second_is_needed(rq, s->user_id, &needs_second, e))
        return false;
    return (session_is_fresh(s) && !needs_second) ||
           err_set(e, ERR_PROOF_OLD, "prove first that it is you, at /login/again");
}

bool page_proof_check(struct http_request *rq, struct err *e)
{
    const struct browser_session *s = &page_person(rq)->session;
    return page_proof_is_fresh(rq, e) &&
           (str_is_absent(s->proof_org_id) ||
            err_set(e, ERR_FORBIDDEN,
                    "an organization's sign-in provider brought you here: sign out, and in again "
                    "without it, to change how you sign in to all your organizations"));
}

/* The provider that proved the session, when it is there still. ERR_NOT_FOUND. */
static bool provider_find(struct http_request *rq, struct sso_provider *out, struct err *e)
{
    struct services *sv = rq->context;
    struct str id = page_person(rq)->session.proof;
    if (!id_is(id, "idp"))
        return err_set(e, ERR_NOT_FOUND, "no provider signed you in");
    return sso_providers_get(sv->db, rq->arena, id, out, e) &&
           (out->is_enabled || err_set(e, ERR_NOT_FOUND, "that provider is switched off"));
}

static struct str return_to_of(struct str given)
{
    struct str path = return_to_safe(given);
    return str_eq(path, STR("/")) ? STR("/account") : path;
}

/* Within a query. */
static struct str escaped(struct arena *a, struct str path)
{
    struct buf out;
    buf_init(&out, 3 * LIMIT_RETURN_TO);
    text_percent_encode(&out, path);
    struct str text = buf_ok(&out) ? arena_dup(a, buf_str(&out)) : STR_NONE;
    buf_end(&out);
    return text;
}

/* A password does not stand for the second factor of somebody who can show one: whoever stole both
 * the browser's cookie and the password is not them. */
static bool has_usable_factor(const struct http_request *rq, const struct factors_row *has)
{
    return has->has_totp || has->n_recovery_codes > 0 ||
           (has->n_passkeys > 0 && passkeys_are_possible(rq));
}

static bool again_show(struct http_request *rq, int status, struct str return_to,
                       const struct err *why, struct err *e)
{
    struct services *sv = rq->context;
    const struct browser_session *s = &page_person(rq)->session;
    struct sso_provider provider = {0};
    struct factors_row has;
    struct str hash;
    bool has_provider = provider_find(rq, &provider, e);
    if (!has_provider && e->code != ERR_NOT_FOUND)
        return false;
    bool has_password = passwords_get(sv->db, rq->arena, s->user_id, &hash, e);
    if ((!has_password && e->code != ERR_NOT_FOUND) ||
        !factors_get(sv->db, rq->arena, s->user_id, &has, e))
        return false;
    bool has_passkey = has.n_passkeys > 0 && passkeys_are_possible(rq);
    has_password = has_password && !has_usable_factor(rq, &has);
    bool has_codes = has.has_totp || has.n_recovery_codes > 0;
    const struct page_value values[] = {
        PV("error", why ? str_c(why->msg) : STR_NONE),
        PV("email", s->email),
        PV_FLAG("has_password", has_password),
        PV_FLAG("has_app", has.has_totp),
        PV_FLAG("has_codes", has_codes),
        PV_FLAG("has_passkey", has_passkey),
        PV("provider", has_provider ? provider.name : STR_NONE),
        PV_FLAG("has_none", !has_password && !has_codes && !has_passkey && !has_provider),
        PV("action", STR("/login/again")),
        PV("purpose", STR("again")),
        PV("return_to", return_to),
        PV("return_to_query", escaped(rq->arena, return_to)),
        PV("csrf_token", s->csrf_token),
        PV_END};
    page_answer(rq, status, "again", values, STR_NONE);
    return true;
}

/* Asked for a second factor by somebody who has none: it is made first. */
static bool must_enrol(struct http_request *rq, bool *out, struct err *e)
{
    struct services *sv = rq->context;
    struct factors_row has;
    *out = false;
    if (!str_eq(page_query(rq, "second"), STR("1")))
        return true;
    if (!factors_get(sv->db, rq->arena, page_person(rq)->session.user_id, &has, e))
        return false;
    *out = !has.has_totp && has.n_passkeys == 0;
    return true;
}

void page_again_get(struct http_request *rq)
{
    bool is_new;
    struct err e;
    bool is_good = must_enrol(rq, &is_new, &e);
    if (is_good && is_new)
        page_redirect(rq, STR("/account/security?done=needed"));
    else if (!is_good || !again_show(rq, 200, return_to_of(page_query(rq, "return_to")), NULL, &e))
        page_error(rq, &e);
}

static bool provider_begin(struct http_request *rq, struct str return_to, struct err *e)
{
    struct str user_id = page_person(rq)->session.user_id, url;
    struct sso_provider p = {0};
    if (!provider_find(rq, &p, e))
        return false;
    if (str_eq(p.kind, STR("saml"))) {
        struct saml_departure there;
        const struct saml_errand errand = {
            .purpose = "reauth", .return_to = return_to, .user_id = user_id};
        if (!saml_begin(rq, p.id, &errand, &there, e))
            return false;
        page_saml_depart(rq, &there);
        return true;
    }
    const struct oidc_errand errand = {
        .purpose = "reauth", .return_to = return_to, .user_id = user_id};
    if (!oidc_begin(rq, p.id, &errand, &url, e))
        return false;
    page_redirect(rq, url);
    return true;
}

void page_again_provider(struct http_request *rq)
{
    struct err e;
    if (!provider_begin(rq, return_to_of(page_query(rq, "return_to")), &e))
        page_error(rq, &e);
}

static bool password_again(struct http_request *rq, struct str password, struct err *e)
{
    const struct services *sv = rq->context;
    const struct browser_session *s = &page_person(rq)->session;
    struct factors_row has;
    struct str user_id;
    if (!factors_get(sv->db, rq->arena, s->user_id, &has, e))
        return false;
    if (has_usable_factor(rq, &has))
        return err_set(e, ERR_UNAUTHENTICATED,
                       "You have a second factor: a password alone is not enough.");
    if (!password_prove(rq, s->email, password, &user_id, e)) {
        if (e->code == ERR_UNAUTHENTICATED)
            err_set(e, ERR_UNAUTHENTICATED, "The password is wrong.");
        return false;
    }
    return str_eq(user_id, s->user_id) || err_set(e, ERR_FORBIDDEN, "sign in again first");
}

/* *is_second: by something that is no password, so that with the session's own proof there are
 * two factors. */
static bool prove(struct http_request *rq, const struct form *form, const char **by,
                  bool *is_second, struct err *e)
{
    const struct browser_session *s = &page_person(rq)->session;
    struct passkey_ask ask = {.purpose = "again", .user_id = s->user_id};
    struct str given, who;
    bool ignored;
    *is_second = true;
    if (form_get(form, STR("password"), &given) != FORM_ABSENT) {
        *by = "password";
        *is_second = false;
        return password_again(rq, given, e);
    }
    if (form_get(form, STR("code"), &given) != FORM_ABSENT) {
        *by = "code";
        return codes_prove(rq, s->user_id, given, &ignored, e);
    }
    *by = "passkey";
    ask.browser = page_field(form, "csrf_token");
    return passkeys_prove(rq, &ask, form, &who, &ignored, e);
}

void page_again_post(struct http_request *rq)
{
    const struct browser_session *s = &page_person(rq)->session;
    struct form form;
    const char *by = NULL;
    bool is_second;
    struct err e, why;
    if (!page_form_read(rq, &form, &e)) {
        page_error(rq, &e);
        return;
    }
    struct str return_to = return_to_of(page_field(&form, "return_to"));
    struct login_event event = {.method = "reauthenticate", .user_id = s->user_id, .outcome = "ok"};
    if (prove(rq, &form, &by, &is_second, &why)) {
        event.name = str_c(by);
        if (login_audit(rq->context, rq, &event, &e) && session_prove(rq, s, is_second, &e))
            page_redirect(rq, return_to);
        else
            page_error(rq, &e);
        return;
    }
    bool is_theirs = why.code == ERR_UNAUTHENTICATED || why.code == ERR_RATE_LIMITED ||
                     why.code == ERR_BAD_REQUEST;
    if (!is_theirs || !again_show(rq, err_http(why.code), return_to, &why, &e))
        page_error(rq, is_theirs ? &e : &why);
}
