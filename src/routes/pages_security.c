#include "routes/pages_security.h"

#include "auth/factors/codes.h"
#include "auth/factors/passkeys.h"
#include "auth/login/login_audit.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/qr.h"
#include "base/text.h"
#include "routes/page_tools.h"
#include "routes/pages_second.h"

#define HERE STR("/account/security")

static bool no_memory(struct err *e)
{
    return err_set(e, ERR_UNAVAILABLE, "out of memory");
}

static const struct browser_session *session_of(const struct http_request *rq)
{
    return &page_person(rq)->session;
}

static struct codes_enrolment enrolment_of(const struct http_request *rq)
{
    return (struct codes_enrolment){session_of(rq)->user_id, session_of(rq)->id};
}

/* ---- what is dangerous ---- */

/* False: answered already. */
static bool is_proved(struct http_request *rq)
{
    struct err e;
    if (page_proof_is_fresh(rq, &e))
        return true;
    if (e.code == ERR_PROOF_OLD)
        page_redirect(rq, page_again_path(rq, HERE));
    else
        page_error(rq, &e);
    return false;
}

/* A form that changes how somebody signs in. False: answered already. */
static bool form_of_proved(struct http_request *rq, struct form *form)
{
    struct err e;
    if (!page_form_read(rq, form, &e)) {
        page_error(rq, &e);
        return false;
    }
    return is_proved(rq);
}

static bool record(struct http_request *rq, const char *method, struct str name, struct err *e)
{
    const struct login_event event = {
        .method = method, .user_id = session_of(rq)->user_id, .name = name, .outcome = "ok"};
    return login_audit(rq->context, rq, &event, e);
}

/* ---- the page ---- */

static bool passkeys_read(struct http_request *rq, struct page_row **rows, size_t *n_rows,
                          struct err *e)
{
    struct services *sv = rq->context;
    struct passkey *keys;
    if (!passkeys_list(sv->db, rq->arena, session_of(rq)->user_id, &keys, n_rows, e))
        return false;
    *rows = arena_alloc(rq->arena, (*n_rows + 1) * sizeof(**rows));
    for (size_t i = 0; *rows && i < *n_rows; i++) {
        char since[CLOCK_RFC3339_SIZE], used[CLOCK_RFC3339_SIZE];
        clock_rfc3339(keys[i].created_at, since);
        clock_rfc3339(keys[i].last_used_at, used);
        const struct page_value values[] = {
            PV("passkey_id", keys[i].id),
            PV("passkey_name", keys[i].name),
            PV("passkey_since", arena_printf(rq->arena, "%.10s", since)),
            PV("passkey_used",
               keys[i].last_used_at ? arena_printf(rq->arena, "%.10s", used) : STR_NONE),
            PV_FLAG("is_synced", keys[i].is_backed_up),
            PV_END};
        struct page_value *copy = arena_alloc(rq->arena, sizeof(values));
        if (!copy)
            return no_memory(e);
        memcpy(copy, values, sizeof(values));
        (*rows)[i].values = copy;
    }
    return *rows || no_memory(e);
}

static struct str notice_of(struct http_request *rq)
{
    static const struct {
        struct str name, text;
    } known[] = {
        {STR("needed"), STR("Your organization asks for two factors: add a passkey or an "
                            "authenticator app, then go back to what you wanted.")},
        {STR("app-removed"), STR("The authenticator app is removed.")},
        {STR("passkey"), STR("The passkey is yours now.")},
        {STR("renamed"), STR("Saved.")},
        {STR("removed"), STR("The passkey is removed. Delete it in your device, too.")},
    };
    struct str done = page_query(rq, "done");
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (str_eq(done, known[i].name))
            return known[i].text;
    return STR_NONE;
}

static bool security_show(struct http_request *rq, int status, const struct err *why, struct err *e)
{
    struct services *sv = rq->context;
    const struct browser_session *s = session_of(rq);
    struct factors_row has;
    struct page_row *rows;
    size_t n;
    if (!factors_get(sv->db, rq->arena, s->user_id, &has, e) || !passkeys_read(rq, &rows, &n, e))
        return false;
    bool is_on = has.has_totp || has.n_passkeys > 0;
    const struct page_value values[] = {
        PV("notice", why ? STR_NONE : notice_of(rq)),
        PV("error", why ? str_c(why->msg) : STR_NONE),
        PV_FLAG("is_on", is_on),
        PV_FLAG("has_app", has.has_totp),
        PV_FLAG("has_codes", has.n_recovery_codes > 0),
        PV("n_codes", arena_printf(rq->arena, "%lld", (long long)has.n_recovery_codes)),
        PV_ROWS("passkeys", rows, n),
        PV_FLAG("has_passkeys", n > 0),
        PV_FLAG("can_passkey", passkeys_are_possible(rq) && n < LIMIT_PASSKEYS),
        PV("csrf_token", s->csrf_token),
        PV_END};
    page_answer(rq, status, "security", values, STR_NONE);
    return true;
}

/* Changes begin here, so the proof is asked for before anything is filled in. */
void page_security_get(struct http_request *rq)
{
    struct err e;
    if (is_proved(rq) && !security_show(rq, 200, NULL, &e))
        page_error(rq, &e);
}

static void finish(struct http_request *rq, bool is_good, const char *done, const struct err *why)
{
    struct err e;
    if (is_good) {
        struct str to = arena_printf(rq->arena, "/account/security?done=%s", done);
        page_redirect(rq, str_is_absent(to) ? HERE : to);
        return;
    }
    bool is_theirs = why->code == ERR_UNAUTHENTICATED || why->code == ERR_BAD_REQUEST ||
                     why->code == ERR_CONFLICT || why->code == ERR_NOT_FOUND ||
                     why->code == ERR_INVALID || why->code == ERR_FORBIDDEN;
    if (!is_theirs || !security_show(rq, err_http(why->code), why, &e))
        page_error(rq, is_theirs ? &e : why);
}

/* ---- recovery codes ---- */

static bool codes_show(struct http_request *rq, struct err *e)
{
    struct str codes[LIMIT_RECOVERY_CODES];
    struct page_value values[LIMIT_RECOVERY_CODES][2];
    struct page_row rows[LIMIT_RECOVERY_CODES];
    if (!codes_recovery_make(rq, session_of(rq)->user_id, codes, e) ||
        !record(rq, "recovery_codes", STR_NONE, e))
        return false;
    for (size_t i = 0; i < LIMIT_RECOVERY_CODES; i++) {
        values[i][0] = (struct page_value)PV("code", codes[i]);
        values[i][1] = (struct page_value)PV_END;
        rows[i].values = values[i];
    }
    const struct page_value page[] = {PV_ROWS("codes", rows, LIMIT_RECOVERY_CODES), PV_END};
    page_answer(rq, 200, "recovery", page, STR_NONE);
    return true;
}

void page_security_codes_post(struct http_request *rq)
{
    struct services *sv = rq->context;
    struct factors_row has;
    struct form form;
    struct err e;
    if (!form_of_proved(rq, &form))
        return;
    bool is_good = page_proof_check(rq, &e) &&
                   factors_get(sv->db, rq->arena, session_of(rq)->user_id, &has, &e) &&
                   (has.has_totp || has.n_passkeys > 0 ||
                    err_set(&e, ERR_CONFLICT, "add an authenticator app or a passkey first")) &&
                   codes_show(rq, &e);
    if (!is_good)
        finish(rq, false, NULL, &e);
}

/* A first factor brings recovery codes with it. True: this request is answered with them, or
 * *is_shown is false. */
static bool codes_show_first(struct http_request *rq, bool *is_shown, struct err *e)
{
    struct services *sv = rq->context;
    struct factors_row has;
    *is_shown = false;
    if (!factors_get(sv->db, rq->arena, session_of(rq)->user_id, &has, e))
        return false;
    *is_shown = has.n_recovery_codes == 0;
    return !*is_shown || codes_show(rq, e);
}

/* Without a factor there is nothing to recover from. */
static bool codes_end_last(struct http_request *rq, struct err *e)
{
    struct services *sv = rq->context;
    struct str user_id = session_of(rq)->user_id;
    struct factors_row has;
    if (!factors_get(sv->db, rq->arena, user_id, &has, e))
        return false;
    return has.has_totp || has.n_passkeys > 0 ||
           recovery_codes_delete(sv->db, rq->arena, user_id, e);
}

/* ---- the app ---- */

/* Whom an organization's provider proved may add what its policy asks for, where there is nothing
 * yet; not a second way beside a passkey. */
static bool app_check(struct http_request *rq, struct err *e)
{
    struct services *sv = rq->context;
    struct factors_row has;
    return factors_get(sv->db, rq->arena, session_of(rq)->user_id, &has, e) &&
           (has.n_passkeys == 0 || page_proof_check(rq, e));
}

void page_security_app_post(struct http_request *rq)
{
    const struct codes_enrolment who = enrolment_of(rq);
    struct form form;
    struct str seed;
    struct err e;
    if (!form_of_proved(rq, &form))
        return;
    if (app_check(rq, &e) && codes_app_start(rq, &who, &seed, &e))
        page_redirect(rq, STR("/account/security/app"));
    else
        finish(rq, false, NULL, &e);
}

static bool app_show(struct http_request *rq, int status, const struct err *why, struct err *e)
{
    const struct browser_session *s = session_of(rq);
    const struct codes_enrolment who = enrolment_of(rq);
    struct str seed, uri;
    struct buf path;
    int size = 0;
    if (!codes_app_pending(rq, &who, &seed, e) || !codes_app_uri(rq, s->email, seed, &uri, e))
        return false;
    buf_init(&path, LIMIT_PAGE_BYTES);
    bool is_drawn = qr_path(uri, &path, &size);
    const struct page_value values[] = {PV("error", why ? str_c(why->msg) : STR_NONE),
                                        PV("qr_path", is_drawn ? buf_str(&path) : STR_NONE),
                                        PV("qr_size", arena_printf(rq->arena, "%d", size)),
                                        PV("seed", seed),
                                        PV("uri", uri),
                                        PV("csrf_token", s->csrf_token),
                                        PV_END};
    page_answer(rq, status, "security_app", values, STR_NONE);
    buf_end(&path);
    return true;
}

void page_security_app_get(struct http_request *rq)
{
    struct err e;
    if (!is_proved(rq) || app_show(rq, 200, NULL, &e))
        return;
    if (e.code == ERR_NOT_FOUND)
        page_redirect(rq, HERE);
    else
        page_error(rq, &e);
}

void page_security_app_confirm(struct http_request *rq)
{
    const struct codes_enrolment who = enrolment_of(rq);
    struct form form;
    struct err e, why;
    bool is_shown;
    if (!form_of_proved(rq, &form))
        return;
    if (app_check(rq, &why) && codes_app_confirm(rq, &who, page_field(&form, "code"), &why)) {
        bool is_good = record(rq, "factor_add", STR("app"), &e) &&
                       session_prove(rq, session_of(rq), true, &e) &&
                       codes_show_first(rq, &is_shown, &e);
        if (!is_good)
            page_error(rq, &e);
        else if (!is_shown)
            page_redirect(rq, HERE);
        return;
    }
    bool is_theirs = why.code == ERR_UNAUTHENTICATED || why.code == ERR_RATE_LIMITED;
    if (is_theirs && app_show(rq, err_http(why.code), &why, &e))
        return;
    page_error(rq, is_theirs ? &e : &why);
}

void page_security_app_remove(struct http_request *rq)
{
    struct services *sv = rq->context;
    struct form form;
    struct err e;
    if (!form_of_proved(rq, &form))
        return;
    bool is_good = page_proof_check(rq, &e) &&
                   totp_delete(sv->db, rq->arena, session_of(rq)->user_id, &e) &&
                   codes_end_last(rq, &e) && record(rq, "factor_remove", STR("app"), &e);
    finish(rq, is_good, "app-removed", &e);
}

/* ---- passkeys ---- */

/* As given, or the day. */
static bool name_of(struct http_request *rq, const struct form *form, struct str *name,
                    struct err *e)
{
    char today[CLOCK_RFC3339_SIZE];
    clock_rfc3339(clock_wall_ms(), today);
    *name = str_trim(page_field(form, "name"));
    if (name->n == 0)
        *name = arena_printf(rq->arena, "Passkey of %.10s", today);
    if (str_is_absent(*name))
        return no_memory(e);
    return (name->n <= LIMIT_NAME && !text_has_control(*name)) ||
           err_set(e, ERR_INVALID, "name: at most %d characters, on one line", LIMIT_NAME);
}

void page_security_passkey_post(struct http_request *rq)
{
    const struct browser_session *s = session_of(rq);
    struct form form;
    struct str name;
    struct err e;
    bool is_shown = false;
    if (!form_of_proved(rq, &form))
        return;
    const struct passkey_ask ask = {
        .purpose = "register", .user_id = s->user_id, .browser = page_field(&form, "csrf_token")};
    bool is_good = page_proof_check(rq, &e) && name_of(rq, &form, &name, &e) &&
                   passkeys_register(rq, &ask, &form, name, &e) &&
                   record(rq, "factor_add", STR("passkey"), &e) && session_prove(rq, s, true, &e) &&
                   codes_show_first(rq, &is_shown, &e);
    if (!is_good || !is_shown)
        finish(rq, is_good, "passkey", &e);
}

void page_security_passkey_rename(struct http_request *rq)
{
    struct services *sv = rq->context;
    struct form form;
    struct str name;
    struct err e;
    bool is_good = page_form_read(rq, &form, &e) && name_of(rq, &form, &name, &e) &&
                   passkeys_rename(sv->db, rq->arena, session_of(rq)->user_id,
                                   page_field(&form, "passkey_id"), name, &e);
    finish(rq, is_good, "renamed", &e);
}

void page_security_passkey_remove(struct http_request *rq)
{
    struct services *sv = rq->context;
    struct form form;
    struct err e;
    if (!form_of_proved(rq, &form))
        return;
    bool is_good = page_proof_check(rq, &e) &&
                   passkeys_delete(sv->db, rq->arena, session_of(rq)->user_id,
                                   page_field(&form, "passkey_id"), &e) &&
                   codes_end_last(rq, &e) && record(rq, "factor_remove", STR("passkey"), &e);
    finish(rq, is_good, "removed", &e);
}
