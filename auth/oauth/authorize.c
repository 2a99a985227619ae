#include "auth/oauth/authorize.h"

#include "auth/oauth/client_document.h"
#include "auth/oauth/client_policy.h"
#include "auth/oauth/pkce.h"
#include "auth/oauth/redirect_uri.h"
#include "auth/oauth/resource.h"
#include "auth/oauth/scope.h"
#include "auth/oauth/wire.h"
#include "auth/pages.h"
#include "auth/secret_text.h"
#include "auth/session/return_to.h"
#include "base/clock.h"
#include "base/ids.h"
#include "base/limits.h"
#include "base/text.h"
#include "store/oauth_grants.h"

/* A sign-in this fresh counts as one made for this request: people need time to type. */
enum { FRESH_MS = 60 * 1000 };

/* ---- back to the client ---- */

static void param_add(struct buf *out, const char *name, struct str value)
{
    if (str_is_absent(value))
        return;
    buf_add_char(out, '&');
    buf_add(out, str_c(name));
    buf_add_char(out, '=');
    text_percent_encode(out, value);
}

static void redirect(const struct authorization *z, const struct buf *params)
{
    struct str sep = str_find_char(z->redirect_uri, '?') == SIZE_MAX ? STR("?") : STR("&");
    struct str location = arena_printf(z->a, "%.*s%.*s%.*s", STR_FMT(z->redirect_uri), STR_FMT(sep),
                                       STR_FMT(str_slice(buf_str(params), 1, SIZE_MAX)));
    struct err e;
    if (buf_ok(params) && !str_is_absent(location)) {
        page_redirect(z->rq, location);
        return;
    }
    err_set(&e, ERR_UNAVAILABLE, "out of memory");
    page_error(z->rq, &e);
}

void authorize_fail(const struct authorization *z, const struct err *e)
{
    struct buf params;
    http_note_failure(z->rq, e);
    buf_init(&params, LIMIT_BODY_FORM);
    param_add(&params, "error", str_c(err_oauth(e->code)));
    param_add(&params, "error_description", wire_description(z->a, str_c(e->msg)));
    param_add(&params, "state", z->state);
    param_add(&params, "iss", str_c(z->sv->config->origin));
    redirect(z, &params);
    buf_end(&params);
}

bool consent_grant(const struct authorization *z, const struct browser_session *session,
                   const struct target *target, struct err *e)
{
    struct secret_text code;
    struct id grant = id_new("gnt");
    struct buf params;
    int64_t now = clock_wall_ms();
    struct str host = redirect_uri_host(z->a, z->redirect_uri);
    struct str scope = scope_for_resource(z->a, z->scope, target->resource);
    if (str_is_absent(host) || str_is_absent(scope))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    secret_text_make(&code, "tulle_ac_");
    struct oauth_code row = {.hash = str_c(code.hash_hex),
                             .request_id = z->id,
                             .org_id = target->org_id,
                             .user_id = session->user_id,
                             .client_id = z->client.id,
                             .grant_id = id_str(&grant),
                             .redirect_uri = z->redirect_uri,
                             .challenge = z->challenge,
                             .resource = target->resource,
                             .scope = scope,
                             .nonce = z->nonce,
                             .auth_time = session->proved_at,
                             .proof = session_proves(session),
                             .created_at = now,
                             .expires_at = now + 60 * 1000};
    struct wire_event event = {.method =
                                   z->is_approved ? "oauth_consent_approved" : "oauth_consent",
                               .org_id = target->org_id,
                               .user_id = session->user_id,
                               .client_id = z->client.id,
                               .name = target->resource,
                               .outcome = "ok"};
    if (!oauth_codes_insert(z->sv->db, z->a, &row, z->is_approved ? STR_NONE : host, e) ||
        !wire_audit(z->rq, &event, e))
        return false;
    buf_init(&params, LIMIT_BODY_FORM);
    param_add(&params, "code", str_c(code.text));
    param_add(&params, "state", z->state);
    param_add(&params, "iss", str_c(z->sv->config->origin));
    redirect(z, &params);
    buf_end(&params);
    return true;
}

/* ---- reading: what must be right before anybody is redirected ---- */

static bool redirect_uri_choose(struct authorization *z, struct str given, struct err *e)
{
    z->redirect_uri = given;
    if (given.n == 0) {
        z->redirect_uri = z->client.redirect_uris;
        return str_find_char(z->client.redirect_uris, ' ') == SIZE_MAX ||
               err_set(e, ERR_BAD_REQUEST,
                       "The program did not say where to send you back "
                       "(redirect_uri is missing).");
    }
    return redirect_uri_is_listed(z->client.redirect_uris, given) ||
           err_set(e, ERR_BAD_REQUEST,
                   "The address to send you back to is not one that this program has registered.");
}

/* Nothing that a stranger's server says decides the status: the request names a bad client. */
static bool document_refused(struct err *e)
{
    bool is_ours =
        e->code == ERR_RATE_LIMITED || e->code == ERR_UNAVAILABLE || e->code == ERR_CANCELLED;
    struct err why = *e;
    if (is_ours)
        return false;
    err_set(e, ERR_BAD_REQUEST, "The program that asks cannot be identified: %.300s", why.msg);
    return false;
}

static bool client_find(struct authorization *z, const struct form *form, struct err *e)
{
    struct str id, uri;
    if (form_get(form, STR("client_id"), &id) != FORM_ONCE || id.n == 0)
        return err_set(e, ERR_BAD_REQUEST,
                       "The request does not say which program asks (client_id).");
    if (form_get(form, STR("redirect_uri"), &uri) == FORM_REPEATED)
        return err_set(e, ERR_BAD_REQUEST, "The parameter redirect_uri occurs twice.");
    if (client_document_is_id(id)) {
        if (client_document_get(z->rq, id, &z->client, e))
            return redirect_uri_choose(z, uri, e);
        return document_refused(e);
    }
    if (!id_is(id, "cli") || !oauth_clients_get(z->sv->db, z->a, id, &z->client, e)) {
        if (id_is(id, "cli") && e->code != ERR_NOT_FOUND)
            return false;
        return err_set(e, ERR_BAD_REQUEST,
                       "This program is not registered here (any more). Remove this server from "
                       "the program and add it again.");
    }
    return redirect_uri_choose(z, uri, e);
}

/* ---- reading: what the client is told ---- */

static bool flow_check(struct authorization *z, const struct form *form, struct err *e)
{
    struct str type = wire_param(form, "response_type"), mode = wire_param(form, "response_mode");
    struct str method = wire_param(form, "code_challenge_method");
    z->challenge = wire_param(form, "code_challenge");
    if (!str_is_absent(wire_param(form, "request")))
        return err_set(e, ERR_REQUEST_PARAMETER, "request objects are not supported");
    if (!str_is_absent(wire_param(form, "request_uri")))
        return err_set(e, ERR_REQUEST_URI, "request_uri is not supported");
    if (str_is_absent(type))
        return err_set(e, ERR_BAD_REQUEST, "response_type is missing");
    if (!str_eq(type, STR("code")))
        return err_set(e, ERR_RESPONSE_TYPE, "response_type must be code");
    if (!str_is_absent(mode) && !str_eq(mode, STR("query")))
        return err_set(e, ERR_BAD_REQUEST, "response_mode must be query");
    if (!str_eq(method, STR("S256")))
        return err_set(e, ERR_BAD_REQUEST, "code_challenge_method must be S256");
    return pkce_challenge_is_good(z->challenge) ||
           err_set(e, ERR_BAD_REQUEST, "code_challenge must be 43 characters of base64url");
}

static bool prompt_read(struct authorization *z, const struct form *form, struct err *e)
{
    struct str rest = wire_param(form, "prompt"), word, age = wire_param(form, "max_age");
    size_t n = 0;
    int64_t seconds;
    z->max_age_ms = -1;
    while (!str_is_absent(rest) && str_next(&rest, ' ', &word)) {
        n += word.n > 0;
        z->is_silent = z->is_silent || str_eq(word, STR("none"));
        z->must_ask = z->must_ask || str_eq(word, STR("consent"));
        if (str_eq(word, STR("login")))
            z->max_age_ms = FRESH_MS;
    }
    if (z->is_silent && n > 1)
        return err_set(e, ERR_BAD_REQUEST, "prompt=none stands alone");
    if (str_is_absent(age))
        return true;
    if (!str_to_i64(age, 0, INT32_MAX, &seconds))
        return err_set(e, ERR_BAD_REQUEST, "max_age must be a number of seconds");
    int64_t ms = seconds * 1000 > FRESH_MS ? seconds * 1000 : FRESH_MS;
    if (z->max_age_ms < 0 || ms < z->max_age_ms)
        z->max_age_ms = ms;
    return true;
}

static bool request_check(struct authorization *z, const struct form *form, struct str text,
                          struct err *e)
{
    struct form once;
    struct resource_ref ref;
    struct str scope = wire_param(form, "scope");
    /* State first: every answer carries it. */
    z->state = wire_param(form, "state");
    if (z->state.n > LIMIT_STATE) {
        z->state = STR_NONE;
        return err_set(e, ERR_BAD_REQUEST, "state is longer than %d bytes", LIMIT_STATE);
    }
    z->nonce = wire_param(form, "nonce");
    if (z->nonce.n > LIMIT_NAME || text_has_control(z->nonce))
        return err_set(e, ERR_BAD_REQUEST, "nonce must be at most %d printable bytes", LIMIT_NAME);
    if (!wire_params_read(z->a, text, &once, e) || !flow_check(z, form, e) ||
        !scope_at_authorize(z->a, str_is_absent(scope) ? STR("") : scope, &z->scope, e) ||
        !wire_resource(form, &z->resource, e) ||
        !resource_parse(z->sv->config, z->resource, &ref, e))
        return false;
    return prompt_read(z, form, e);
}

/* ---- the person ---- */

/* To sign-in and back to this very request. */
static bool login_send(const struct authorization *z, struct str text, struct err *e)
{
    struct str here = arena_printf(z->a, "/oauth/authorize?%.*s", STR_FMT(text));
    if (z->is_silent)
        return err_set(e, ERR_LOGIN_REQUIRED, "nobody is signed in");
    if (here.n > LIMIT_RETURN_TO)
        return err_set(e, ERR_BAD_REQUEST, "the request is longer than %d bytes", LIMIT_RETURN_TO);
    struct str login = str_is_absent(here) ? STR_NONE : return_to_login(z->a, here);
    if (str_is_absent(login))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    page_redirect(z->rq, login);
    return true;
}

/* They are signed in, in a way that none of their organizations takes. */
static bool elsewhere_send(const struct authorization *z, const struct browser_session *session,
                           const struct targets *targets, struct err *e)
{
    return z->is_silent ? err_set(e, ERR_LOGIN_REQUIRED, "another sign-in is required")
                        : consent_elsewhere_show(z, session, targets, e);
}

/* Has the person consented to this before, for a place that only its owner answers? */
static bool is_remembered(struct authorization *z, const struct browser_session *session,
                          const struct targets *targets, bool *out, struct err *e)
{
    const struct target *t = &targets->items[0];
    struct str consented;
    *out = false;
    if (z->must_ask || targets->n != 1 || !redirect_uri_is_remote(z->redirect_uri))
        return true;
    struct oauth_consent key = {.org_id = t->org_id,
                                .user_id = session->user_id,
                                .client_id = z->client.id,
                                .resource = t->resource,
                                .redirect_host = redirect_uri_host(z->a, z->redirect_uri)};
    if (!oauth_consents_get(z->sv->db, z->a, &key, &consented, e))
        return e->code == ERR_NOT_FOUND;
    struct str asked = scope_for_resource(z->a, z->scope, t->resource);
    if (str_is_absent(asked))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    *out = scope_is_within(asked, consented);
    /* The servers that the person left to it then are left to it now. */
    if (*out)
        z->scope = scope_keep_narrow(z->a, asked, consented);
    return !str_is_absent(z->scope) || err_set(e, ERR_UNAVAILABLE, "out of memory");
}

/* Has the organization approved this very document, for a place on the web, to use tools? Then its
 * people need not be asked; managing is never given unasked. */
static bool is_approved(struct authorization *z, const struct targets *targets, bool *out,
                        struct err *e)
{
    enum client_policy policy;
    *out = false;
    if (z->must_ask || targets->n != 1 || !str_eq(z->client.source, STR("document")) ||
        !redirect_uri_is_remote(z->redirect_uri) ||
        str_eq(targets->items[0].resource, STR("management")))
        return true;
    if (!client_policy_of(z->sv, z->a, targets->items[0].org_id, &z->client, &policy, e))
        return false;
    *out = policy == CLIENT_APPROVED;
    return true;
}

static bool proceed(struct authorization *z, struct str text, struct err *e)
{
    struct browser_session session;
    struct targets targets;
    bool is_consented;
    if (!session_find(z->rq, &session, e))
        return e->code == ERR_UNAUTHENTICATED ? login_send(z, text, e) : false;
    if (z->max_age_ms >= 0 && clock_wall_ms() - session.proved_at > z->max_age_ms) {
        if (!z->is_silent && !session_end(z->rq, e))
            return false;
        return login_send(z, text, e);
    }
    z->here = arena_printf(z->a, "/oauth/authorize?%.*s", STR_FMT(text));
    if (!authorize_targets(z, &session, &targets, e))
        return e->code == ERR_FORBIDDEN ? elsewhere_send(z, &session, &targets, e) : false;
    if (!is_remembered(z, &session, &targets, &is_consented, e))
        return false;
    if (!is_consented && !is_approved(z, &targets, &z->is_approved, e))
        return false;
    if (is_consented || z->is_approved)
        return consent_grant(z, &session, &targets.items[0], e);
    if (z->is_silent)
        return err_set(e, ERR_CONSENT_REQUIRED, "the person has to be asked");
    return consent_show(z, &session, &targets, e);
}

/* The parameters of the query, and of the body of a POST. */
static bool text_of(struct http_request *rq, struct str *out, struct err *e)
{
    struct str query = str_is_absent(rq->query) ? STR("") : rq->query;
    *out = query;
    if (rq->method != HTTP_POST)
        return true;
    *out = arena_printf(rq->arena, "%.*s%s%.*s", STR_FMT(query), query.n ? "&" : "",
                        STR_FMT(rq->body));
    return !str_is_absent(*out) || err_set(e, ERR_UNAVAILABLE, "out of memory");
}

void authorize_start(struct http_request *rq)
{
    struct err e = {.code = ERR_NONE};
    struct form form;
    struct str text;
    struct id id = id_new("req");
    struct authorization z = {.rq = rq,
                              .sv = rq->context,
                              .a = rq->arena,
                              .id = id_str(&id),
                              .started_at = clock_wall_ms()};
    if (!text_of(rq, &text, &e) || !form_parse(rq->arena, text, &form, &e) ||
        !client_find(&z, &form, &e)) {
        page_error(rq, &e);
        return;
    }
    if (!request_check(&z, &form, text, &e) || !proceed(&z, text, &e))
        authorize_fail(&z, &e);
}

struct str authorize_form_action(struct http_request *rq, struct str return_to)
{
    const struct services *sv = rq->context;
    struct form form;
    struct oauth_client client;
    struct err ignored;
    size_t at = str_find_char(return_to, '?');
    struct str path = str_slice(return_to, 0, at), uri;
    if (at == SIZE_MAX ||
        !(str_eq(path, STR("/oauth/authorize")) || str_eq(path, STR("/authorize"))) ||
        !form_parse(rq->arena, str_slice(return_to, at + 1, SIZE_MAX), &form, &ignored) ||
        !oauth_clients_get(sv->db, rq->arena, wire_param(&form, "client_id"), &client, &ignored))
        return STR_NONE;
    uri = wire_param(&form, "redirect_uri");
    if (str_is_absent(uri))
        uri = str_slice(client.redirect_uris, 0, str_find_char(client.redirect_uris, ' '));
    else if (!redirect_uri_is_listed(client.redirect_uris, uri))
        return STR_NONE;
    return redirect_uri_origin(rq->arena, uri);
}
