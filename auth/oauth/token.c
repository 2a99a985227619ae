#include "auth/oauth/token.h"

#include "auth/caller_build.h"
#include "auth/login/signin_policy.h"
#include "auth/oauth/client_auth.h"
#include "auth/oauth/client_policy.h"
#include "auth/oauth/failures.h"
#include "auth/oauth/id_token.h"
#include "auth/oauth/pkce.h"
#include "auth/oauth/redirect_uri.h"
#include "auth/oauth/resource_find.h"
#include "auth/secret_text.h"
#include "base/clock.h"
#include "core/row_cache.h"
#include "io/fiber.h"

static bool bad_code(struct err *e, const char *why)
{
    return err_set(e, ERR_INVALID_GRANT, "the authorization code %s", why);
}

struct person {
    struct arena *a;
    struct str org_id, user_id;
};

static void *person_load(struct services *sv, struct row *row, void *arg, struct err *e)
{
    const struct person *p = arg;
    struct caller caller;
    if (!caller_build(sv, p->a, p->org_id, p->user_id, NULL, &caller, e))
        return NULL;
    bool *is_member = arena_alloc(row->keep, sizeof(*is_member));
    if (!is_member)
        err_set(e, ERR_UNAVAILABLE, "out of memory");
    return is_member; /* that it is there says all */
}

/* ERR_NOT_FOUND: no member, or one who is disabled. */
static bool person_find(const struct token_call *c, struct str org_id, struct str user_id,
                        struct err *e)
{
    struct person person = {c->a, org_id, user_id};
    struct str name = ARENA_JOIN(c->a, org_id, STR(" "), user_id);
    const struct row_ask ask = {STR("member"), name, person_load, &person};
    if (str_is_absent(name))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    return row_cache_get(c->sv->rows, c->sv, c->a, &ask, e) != NULL;
}

bool token_person_check(const struct token_call *c, struct str org_id, struct str user_id,
                        const struct proof *proof, struct err *e)
{
    enum client_policy client;
    if (!client_policy_of(c->sv, c->a, org_id, c->client, &client, e))
        return false;
    if (client == CLIENT_REFUSED)
        return err_set(e, ERR_INVALID_GRANT, "the organization does not allow this client");
    if (!person_find(c, org_id, user_id, e))
        return e->code == ERR_NOT_FOUND
                   ? err_set(e, ERR_INVALID_GRANT, "who granted this may not any more")
                   : false;
    if (!proof || signin_policy_check(c->sv, c->a, org_id, user_id, proof, e))
        return true;
    const struct err why = *e;
    return why.code == ERR_FORBIDDEN ? err_set(e, ERR_INVALID_GRANT, "%s", why.msg) : false;
}

static bool event(const struct token_call *c, const char *method, const struct oauth_code *code,
                  const char *outcome, const char *why, struct err *e)
{
    struct wire_event event = {.method = method,
                               .org_id = code->org_id,
                               .user_id = code->user_id,
                               .client_id = c->client->id,
                               .name = code->grant_id,
                               .outcome = outcome,
                               .error = why};
    return wire_audit(c->rq, &event, e);
}

/* A used code comes again: whoever holds it, one of two is not the client. The family ends
 * (OAuth 2.1 4.1.3). */
static bool replayed(const struct token_call *c, const struct oauth_code *code, struct err *e)
{
    if (!oauth_grants_end(c->sv->db, c->a, code->grant_id, c->now, e) ||
        !event(c, "oauth_code_replay", code, "denied", "a used code came again: grant revoked", e))
        return false;
    return bad_code(e, "was used already");
}

static bool burn(const struct token_call *c, const struct oauth_code *code, const char *why,
                 struct err *e)
{
    if (!oauth_codes_burn(c->sv->db, c->a, code->hash, c->now, e))
        return false;
    return bad_code(e, why);
}

/* Everything that can be wrong with it before it is used up. */
static bool code_check(const struct token_call *c, const struct oauth_code *code, struct err *e)
{
    struct str redirect = wire_param(c->form, "redirect_uri");
    struct str verifier = wire_param(c->form, "code_verifier");
    struct str resource;
    if (!str_eq(code->client_id, c->client->id))
        return bad_code(e, "was issued to another client");
    if (code->used_at)
        return replayed(c, code, e);
    if (code->expires_at <= c->now)
        return bad_code(e, "has expired");
    if (!str_is_absent(redirect) && !str_eq(redirect, code->redirect_uri))
        return burn(c, code, "was issued for another redirect_uri", e);
    if (!pkce_verify(code->challenge, verifier))
        return burn(c, code, "does not belong to this code_verifier", e);
    return wire_resource(c->form, &resource, e) &&
           resource_agrees(c->sv, c->a, code->org_id, resource, code->resource, e) &&
           token_person_check(c, code->org_id, code->user_id, &code->proof, e);
}

static bool redeem(const struct token_call *c, struct issued *out, struct err *e)
{
    struct oauth_code code;
    struct oauth_pair pair;
    struct str given = wire_param(c->form, "code");
    if (str_is_absent(given))
        return err_set(e, ERR_BAD_REQUEST, "code is missing");
    struct str hash = secret_text_hash(c->a, given);
    if (str_is_absent(hash))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    if (!oauth_codes_get(c->sv->db, c->a, hash, &code, e)) {
        if (e->code != ERR_NOT_FOUND)
            return false;
        bad_code(e, "is not known");
        return failures_count(c->rq, c->client->id, e);
    }
    if (!code_check(c, &code, e))
        return false;
    struct str host = redirect_uri_host(c->a, code.redirect_uri);
    if (str_is_absent(host))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    if (!issue_pair(c->a, code.scope, c->now, c->now, &pair, out, e))
        return false;
    const struct id_claims claims = {code.org_id, code.user_id, code.nonce, out->access,
                                     code.auth_time};
    if (str_list_has(code.scope, STR("openid")) && !id_token_make(c, &claims, &out->id_token, e))
        return false;
    /* Lost against a redemption at the same time: a retry of one client, not a replay. */
    if (!oauth_tokens_redeem(c->sv->db, c->a, &code, host, &pair, e))
        return e->code == ERR_NOT_FOUND ? bad_code(e, "was used already") : false;
    return event(c, "oauth_grant", &code, "ok", NULL, e);
}

typedef bool grant_fn(const struct token_call *c, struct issued *out, struct err *e);

static const struct {
    struct str type;
    grant_fn *run;
} grants[] = {
    {STR("authorization_code"), redeem},
    {STR("refresh_token"), token_refresh},
    {STR("client_credentials"), token_client_credentials},
    {STR("urn:ietf:params:oauth:grant-type:device_code"), token_device},
    {STR("urn:ietf:params:oauth:grant-type:jwt-bearer"), token_identity_assertion},
};

static bool answer(struct http_request *rq, const struct form *form, struct err *e)
{
    struct oauth_client client;
    struct issued tokens = {0};
    struct token_call c = {.rq = rq,
                           .sv = rq->context,
                           .a = rq->arena,
                           .form = form,
                           .client = &client,
                           .now = clock_wall_ms()};
    struct str type = wire_param(form, "grant_type");
    grant_fn *run = NULL;
    if (str_is_absent(type))
        return err_set(e, ERR_BAD_REQUEST, "grant_type is missing");
    for (size_t i = 0; i < ARRAY_LEN(grants); i++)
        if (str_eq(type, grants[i].type))
            run = grants[i].run;
    if (!run)
        return err_set(e, ERR_GRANT_TYPE, "this grant_type is not supported");
    if (!client_authenticate(rq, form, &client, e))
        return false;
    /* What has been used up must be answered, or told: a client that leaves now does not stop it
     * half-way. */
    fiber_shield(true);
    bool is_good = run(&c, &tokens, e);
    fiber_shield(false);
    if (is_good)
        issue_answer(rq, &tokens, c.now);
    return is_good;
}

void token_post(struct http_request *rq)
{
    struct form form = {0};
    struct err e = {.code = ERR_NONE};
    if (wire_form_read(rq, &form, &e) && answer(rq, &form, &e))
        return;
    wire_answer_error(rq, &e);
}
