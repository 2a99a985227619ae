/* The person's side of the device flow (RFC 8628 section 3.3): the code, who asks and what for, the
 * answer. Nothing happens by a link alone. */
#include "auth/oauth/consent_access.h"
#include "auth/oauth/consent_parts.h"
#include "auth/oauth/device.h"
#include "auth/oauth/device_code.h"
#include "auth/oauth/scope.h"
#include "auth/oauth/wire.h"
#include "auth/session/session_caller.h"
#include "base/clock.h"
#include "base/limits.h"
#include "crypto/hash.h"
#include "crypto/keyring.h"
#include "store/oauth_devices.h"
#include "store/signin_failures.h"

#define PURPOSE STR("oauth-device")

static const struct signin_rule wrong_codes = {.free = 5, .window_ms = 10 * 60 * 1000};

static bool no_memory(struct err *e)
{
    return err_set(e, ERR_UNAVAILABLE, "out of memory");
}

static const struct browser_session *session_of(const struct http_request *rq)
{
    return &((const struct session_person *)rq->user)->session;
}

/* ---- the first page ---- */

static void ask_show(struct http_request *rq, int status, struct str user_code, struct str error)
{
    const struct browser_session *s = session_of(rq);
    const struct page_value values[] = {{.name = "error", .text = error},
                                        {.name = "user_code", .text = user_code},
                                        {.name = "email", .text = s->email},
                                        {.name = "csrf_token", .text = s->csrf_token},
                                        {.name = NULL}};
    page_answer(rq, status, "device", values, STR_NONE);
}

static void end_show(struct http_request *rq, bool is_allowed)
{
    const struct page_value values[] = {
        {.name = "is_allowed", .text = is_allowed ? STR("1") : STR_NONE}, {.name = NULL}};
    page_answer(rq, 200, "device_done", values, STR_NONE);
}

void device_page(struct http_request *rq)
{
    struct form form = {0};
    struct err ignored;
    struct str query = str_is_absent(rq->query) ? STR("") : rq->query, code = STR("");
    if (form_parse(rq->arena, query, &form, &ignored) &&
        !str_is_absent(wire_param(&form, "user_code")))
        code = str_slice(wire_param(&form, "user_code"), 0, LIMIT_NAME);
    ask_show(rq, 200, code, STR_NONE);
}

/* ---- the second page ---- */

static bool authorization_make(struct http_request *rq, const struct oauth_device *d,
                               struct authorization *z, struct err *e)
{
    *z = (struct authorization){.rq = rq,
                                .sv = rq->context,
                                .a = rq->arena,
                                .scope = d->scope,
                                .resource = d->asked_resource,
                                .here = STR("/device")};
    return oauth_clients_get(z->sv->db, z->a, d->client_id, &z->client, e);
}

static bool device_seal(const struct authorization *z, const struct oauth_device *d,
                        struct str *out, struct err *e)
{
    struct buf sealed;
    buf_init(&sealed, LIMIT_BODY_SMALL);
    bool is_good = keyring_seal(z->sv->keys, PURPOSE, session_of(z->rq)->id, d->hash, &sealed);
    *out = is_good ? arena_dup(z->a, buf_str(&sealed)) : STR_NONE;
    buf_end(&sealed);
    return !str_is_absent(*out) || no_memory(e);
}

static bool confirm_show(const struct authorization *z, const struct oauth_device *d,
                         struct str typed, struct err *e)
{
    const struct browser_session *s = session_of(z->rq);
    struct targets targets;
    struct page_row scopes[CONSENT_SCOPES_MAX], *servers, *rows;
    size_t n_servers;
    struct str sealed;
    if (!authorize_targets(z, s, &targets, e))
        return e->code == ERR_FORBIDDEN ? consent_elsewhere_show(z, s, &targets, e) : false;
    if (!consent_access_rows(z, &targets, &servers, &n_servers, e) ||
        !device_seal(z, d, &sealed, e))
        return false;
    const struct target *first = &targets.items[targets.preferred];
    bool is_choice = targets.n > 1;
    struct str name = z->client.name;
    rows = consent_target_rows(z, &targets);
    struct page_row *elsewhere = consent_elsewhere_rows(z, &targets);
    if (!rows || !elsewhere)
        return no_memory(e);
    const struct page_value values[] = {
        {.name = "client_name",
         .text = str_is_absent(name) ? STR("A program without a name") : name},
        {.name = "client_host", .text = consent_document_host(z->client.id)},
        {.name = "user_code", .text = typed},
        {.name = "peer", .text = d->peer},
        {.name = "email", .text = s->email},
        {.name = "org_name", .text = is_choice ? STR_NONE : first->org_name},
        {.name = "resource_name", .text = first->name},
        {.name = "scopes", .rows = scopes, .n_rows = consent_scope_rows(z, z->scope, scopes)},
        {.name = "is_choice", .text = is_choice ? STR("1") : STR_NONE},
        {.name = "targets", .rows = rows, .n_rows = is_choice ? targets.n : 0},
        {.name = "elsewhere", .rows = elsewhere, .n_rows = targets.n_elsewhere},
        {.name = "has_access", .text = consent_may_narrow(z, &targets) ? STR("1") : STR_NONE},
        {.name = "has_servers", .text = n_servers > 1 ? STR("1") : STR_NONE},
        {.name = "servers", .rows = servers, .n_rows = n_servers > 1 ? n_servers : 0},
        {.name = "request", .text = sealed},
        {.name = "csrf_token", .text = s->csrf_token},
        {.name = NULL}};
    page_answer(z->rq, 200, "device_confirm", values, STR_NONE);
    return true;
}

/* Each try counts until it was right: of each person five, then they wait longer and longer. */
static bool code_find(struct http_request *rq, struct str typed, struct oauth_device *out,
                      bool *is_found, struct err *e)
{
    const struct services *sv = rq->context;
    char name[65];
    int64_t wait_until, now = clock_wall_ms();
    struct str parts[] = {STR("device|"), session_of(rq)->user_id};
    struct sha256 digest = hash_sha256_of(parts, ARRAY_LEN(parts));
    hash_hex(&digest, name);
    *is_found = false;
    if (!signin_failures_count(sv->db, rq->arena, str_c(name), &wrong_codes, now, &wait_until, e))
        return false;
    if (wait_until) {
        struct str seconds =
            arena_printf(rq->arena, "%lld", (long long)(wait_until - now) / 1000 + 1);
        if (!str_is_absent(seconds))
            http_set_header(rq, STR("Retry-After"), seconds);
        return err_set(e, ERR_RATE_LIMITED, "Too many wrong codes. Wait a few minutes.");
    }
    struct str hash = device_code_hash(rq->arena, typed);
    if (str_is_absent(hash))
        return true;
    if (!oauth_devices_by_user_code(sv->db, rq->arena, hash, now, out, e))
        return e->code == ERR_NOT_FOUND;
    *is_found = true;
    return signin_failures_refund(sv->db, rq->arena, str_c(name), e);
}

static bool code_post(struct http_request *rq, const struct form *form, struct err *e)
{
    struct oauth_device d = {0};
    struct authorization z;
    bool is_found;
    struct str typed = wire_param(form, "user_code");
    if (!code_find(rq, str_is_absent(typed) ? STR("") : typed, &d, &is_found, e))
        return false;
    if (!is_found) {
        ask_show(rq, 422, STR(""), STR("There is no such code, or it has expired."));
        return true;
    }
    return authorization_make(rq, &d, &z, e) && confirm_show(&z, &d, typed, e);
}

/* ---- the answer ---- */

static bool device_open(struct http_request *rq, struct str sealed, struct oauth_device *d,
                        struct err *e)
{
    const struct services *sv = rq->context;
    struct buf hash;
    buf_init(&hash, LIMIT_BODY_SMALL);
    bool is_good = keyring_open(sv->keys, PURPOSE, session_of(rq)->id, sealed, &hash);
    struct str name = is_good ? arena_dup(rq->arena, buf_str(&hash)) : STR_NONE;
    buf_end(&hash);
    if (str_is_absent(name))
        return err_set(e, ERR_BAD_REQUEST,
                       "This page belongs to another sign-in. Type the code again.");
    if (oauth_devices_get(sv->db, rq->arena, name, d, e))
        return true;
    return e->code == ERR_NOT_FOUND ? err_set(e, ERR_BAD_REQUEST, "The code has expired.") : false;
}

static bool decide(struct authorization *z, struct oauth_device *d, const struct target *t,
                   struct err *e)
{
    const struct browser_session *s = session_of(z->rq);
    struct wire_event event = {.method = "oauth_consent",
                               .org_id = t ? t->org_id : s->org_id,
                               .user_id = s->user_id,
                               .client_id = d->client_id,
                               .name = t ? t->resource : STR_NONE,
                               .outcome = t ? "ok" : "denied"};
    d->decision = t ? STR("allowed") : STR("denied");
    if (t) {
        d->org_id = t->org_id;
        d->user_id = s->user_id;
        d->resource = t->resource;
        d->granted_scope = scope_for_resource(z->a, z->scope, t->resource);
        d->auth_time = s->proved_at;
        d->proof = session_proves(s);
        if (str_is_absent(d->granted_scope))
            return no_memory(e);
    }
    if (!oauth_devices_decide(z->sv->db, z->a, d, clock_wall_ms(), e))
        return e->code == ERR_NOT_FOUND || e->code == ERR_CONFLICT
                   ? err_set(e, ERR_BAD_REQUEST, "The code was answered already or has expired.")
                   : false;
    if (!wire_audit(z->rq, &event, e))
        return false;
    end_show(z->rq, t != NULL);
    return true;
}

static bool answer_post(struct http_request *rq, const struct form *form, struct err *e)
{
    struct oauth_device d = {0};
    struct authorization z;
    struct targets targets;
    struct str decision = wire_param(form, "decision");
    if (!device_open(rq, wire_param(form, "request"), &d, e) || !authorization_make(rq, &d, &z, e))
        return false;
    if (str_eq(decision, STR("deny")))
        return decide(&z, &d, NULL, e);
    if (!str_eq(decision, STR("allow")))
        return err_set(e, ERR_BAD_REQUEST, "The answer must be allow or deny.");
    if (!authorize_targets(&z, session_of(rq), &targets, e))
        return false;
    const struct target *target = consent_target_find(&targets, wire_param(form, "target"));
    if (!target)
        return err_set(e, ERR_BAD_REQUEST, "Choose what the program may use.");
    return consent_access_read(&z, &targets, target, form, e) && decide(&z, &d, target, e);
}

void device_post(struct http_request *rq)
{
    struct form form;
    struct err e = {.code = ERR_NONE};
    bool is_good = wire_form_read(rq, &form, &e) &&
                   csrf_check(rq, wire_param(&form, "csrf_token"), &e) &&
                   (str_is_absent(wire_param(&form, "request")) ? code_post(rq, &form, &e)
                                                                : answer_post(rq, &form, &e));
    if (!is_good)
        page_error(rq, &e);
}
