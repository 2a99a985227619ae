/* The program's side of the device flow: asking (RFC 8628 section 3.1) and polling (3.4). */
#include "auth/oauth/client_auth.h"
#include "auth/oauth/device.h"
#include "auth/oauth/device_code.h"
#include "auth/oauth/failures.h"
#include "auth/oauth/id_token.h"
#include "auth/oauth/resource.h"
#include "auth/oauth/scope.h"
#include "auth/secret_text.h"
#include "base/clock.h"
#include "base/ids.h"
#include "base/limits.h"
#include "base/secret.h"
#include "json/jout.h"
#include "store/oauth_devices.h"

enum { LIFE_S = 600, INTERVAL_S = 5, TRIES = 5 };

/* ---- asking ---- */

static void asked_answer(struct http_request *rq, const char *device_code, const char *user_code)
{
    const struct services *sv = rq->context;
    struct str page = arena_printf(rq->arena, "%s/device", sv->config->origin);
    struct buf out;
    struct jout j;
    buf_init(&out, LIMIT_BODY_SMALL);
    jout_init(&j, &out);
    jout_object(&j);
    jout_kstr(&j, "device_code", str_c(device_code));
    jout_kstr(&j, "user_code", str_c(user_code));
    jout_kstr(&j, "verification_uri", page);
    jout_kstr(&j, "verification_uri_complete",
              arena_printf(rq->arena, "%.*s?user_code=%s", STR_FMT(page), user_code));
    jout_ki64(&j, "expires_in", LIFE_S);
    jout_ki64(&j, "interval", INTERVAL_S);
    jout_object_end(&j);
    wire_answer(rq, 200, &out);
    buf_end(&out);
}

static bool device_insert(struct http_request *rq, struct oauth_device *d,
                          char user_code[DEVICE_CODE_SIZE], struct err *e)
{
    const struct services *sv = rq->context;
    for (int i = 0; i < TRIES; i++) {
        device_code_make(user_code);
        d->user_code_hash = device_code_hash(rq->arena, str_c(user_code));
        if (str_is_absent(d->user_code_hash))
            return err_set(e, ERR_UNAVAILABLE, "out of memory");
        if (oauth_devices_insert(sv->db, rq->arena, d, e))
            return true;
        if (e->code != ERR_CONFLICT)
            return false;
    }
    return false;
}

static bool ask(struct http_request *rq, const struct form *form, struct err *e)
{
    const struct services *sv = rq->context;
    struct oauth_client client;
    struct resource_ref ref;
    struct secret_text code;
    struct str scope = wire_param(form, "scope");
    char user_code[DEVICE_CODE_SIZE];
    int64_t now = clock_wall_ms();
    struct id grant = id_new("gnt");
    struct oauth_device d = {.peer = str_c(rq->peer),
                             .interval_ms = INTERVAL_S * 1000,
                             .created_at = now,
                             .expires_at = now + LIFE_S * 1000,
                             .grant_id = id_str(&grant)};
    if (!client_authenticate(rq, form, &client, e) ||
        !scope_at_authorize(rq->arena, str_is_absent(scope) ? STR("") : scope, &d.scope, e) ||
        !wire_resource(form, &d.asked_resource, e) ||
        !resource_parse(sv->config, d.asked_resource, &ref, e))
        return false;
    secret_text_make(&code, "tulle_dc_");
    d.hash = str_c(code.hash_hex);
    d.client_id = client.id;
    bool is_good = device_insert(rq, &d, user_code, e);
    if (is_good)
        asked_answer(rq, code.text, user_code);
    secret_wipe(&code, sizeof(code));
    return is_good;
}

void device_authorize(struct http_request *rq)
{
    struct form form = {0};
    struct err e = {.code = ERR_NONE};
    if (!wire_form_read(rq, &form, &e) || !ask(rq, &form, &e))
        wire_answer_error(rq, &e);
}

/* ---- polling ---- */

static bool bad_code(struct err *e, const char *why)
{
    return err_set(e, ERR_INVALID_GRANT, "the device code %s", why);
}

/* Nobody has answered yet: how often it may ask. */
static bool pending(const struct token_call *c, const struct oauth_device *d, struct err *e)
{
    bool is_early = c->now - d->polled_at < d->interval_ms;
    int64_t interval = d->interval_ms + (is_early ? INTERVAL_S * 1000 : 0);
    if (!oauth_devices_polled(c->sv->db, c->a, d->hash, interval, c->now, e))
        return false;
    return is_early ? err_set(e, ERR_SLOW_DOWN, "wait %lld seconds between two requests",
                              (long long)interval / 1000)
                    : err_set(e, ERR_PENDING, "the person has not answered yet");
}

static bool device_check(const struct token_call *c, const struct oauth_device *d, struct err *e)
{
    if (!str_eq(d->client_id, c->client->id))
        return bad_code(e, "was issued to another client");
    if (d->used_at)
        return bad_code(e, "was used already");
    if (d->expires_at <= c->now)
        return err_set(e, ERR_DEVICE_EXPIRED, "the device code has expired");
    if (str_is_absent(d->decision))
        return pending(c, d, e);
    if (!str_eq(d->decision, STR("allowed")))
        return err_set(e, ERR_DEVICE_DENIED, "the person said no");
    return token_person_check(c, d->org_id, d->user_id, &d->proof, e);
}

bool token_device(const struct token_call *c, struct issued *out, struct err *e)
{
    struct oauth_device d;
    struct oauth_pair pair;
    struct str given = wire_param(c->form, "device_code");
    struct str hash = str_is_absent(given) ? STR_NONE : secret_text_hash(c->a, given);
    if (str_is_absent(hash))
        return err_set(e, ERR_BAD_REQUEST, "device_code is missing");
    if (!oauth_devices_get(c->sv->db, c->a, hash, &d, e)) {
        if (e->code != ERR_NOT_FOUND)
            return false;
        bad_code(e, "is not known");
        return failures_count(c->rq, c->client->id, e);
    }
    if (!device_check(c, &d, e) ||
        !issue_pair(c->a, d.granted_scope, c->now, c->now, &pair, out, e))
        return false;
    const struct id_claims claims = {d.org_id, d.user_id, STR_NONE, out->access, d.auth_time};
    if (str_list_has(d.granted_scope, STR("openid")) &&
        !id_token_make(c, &claims, &out->id_token, e))
        return false;
    if (!oauth_devices_redeem(c->sv->db, c->a, &d, &pair, e))
        return e->code == ERR_NOT_FOUND ? bad_code(e, "was used already") : false;
    const struct wire_event event = {.method = "oauth_grant",
                                     .org_id = d.org_id,
                                     .user_id = d.user_id,
                                     .client_id = d.client_id,
                                     .name = d.grant_id,
                                     .outcome = "ok"};
    return wire_audit(c->rq, &event, e);
}
