/* Introspection (RFC 7662): what a token is, told to the client that it was issued to. */
#include "auth/oauth/client_auth.h"
#include "auth/oauth/failures.h"
#include "auth/oauth/issue.h"
#include "auth/oauth/resource_find.h"
#include "auth/oauth/revoke.h"
#include "auth/oauth/token.h"
#include "auth/secret_text.h"
#include "auth/token_check.h"
#include "base/clock.h"
#include "base/limits.h"
#include "core/row_cache.h"
#include "json/jout.h"

/* What is told of a token that is active: of itself, and of its grant. */
struct told {
    bool is_active;
    const char *type;
    struct str scope;
    int64_t created_at, expires_at;
    struct oauth_grant grant;
};

/* A token, and who asks. */
struct question {
    const struct oauth_client *client;
    struct str token, hash;
};

static void *access_load(struct services *sv, struct row *row, void *arg, struct err *e)
{
    struct arena *keep = row->keep;
    const struct question *q = arg;
    struct oauth_access t;
    struct told *told = arena_alloc(keep, sizeof(*told));
    if (!told) {
        err_set(e, ERR_UNAVAILABLE, "out of memory");
        return NULL;
    }
    if (!oauth_tokens_access_get(sv->db, keep, q->hash, clock_wall_ms(), &t, e) ||
        !oauth_grants_get(sv->db, keep, t.grant_id, &told->grant, e))
        return NULL;
    told->is_active = row->may_keep = str_eq(told->grant.client_id, q->client->id);
    told->type = "Bearer";
    told->scope = t.scope;
    told->created_at = t.created_at;
    told->expires_at = t.expires_at;
    return told;
}

/* Servers ask about one token with each of its requests: what is told of it is kept until
 * authorization data changes. It is active as long as this server itself takes it. */
static bool access_tell(struct services *sv, struct arena *a, struct question *q, struct told *out,
                        struct err *e)
{
    struct str name = ARENA_JOIN(a, q->client->id, STR(" "), q->hash);
    const struct row_ask ask = {STR("introspected"), name, access_load, q};
    if (str_is_absent(name))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    const struct told *told = row_cache_get(sv->rows, sv, a, &ask, e);
    if (!told)
        return e->code == ERR_NOT_FOUND;
    *out = *told;
    if (!told->is_active)
        return true;
    const struct caller *caller;
    out->is_active = token_check(sv, a, q->token, clock_wall_ms(), &caller, e);
    return out->is_active || e->code == ERR_UNAUTHENTICATED;
}

static bool refresh_tell(struct services *sv, struct arena *a, struct str hash, struct told *out,
                         struct err *e)
{
    struct oauth_refresh t;
    if (!oauth_tokens_refresh_get(sv->db, a, hash, &t, e) ||
        !oauth_grants_get(sv->db, a, t.grant_id, &out->grant, e))
        return e->code == ERR_NOT_FOUND;
    out->is_active = !out->grant.revoked_at && !t.used_at && t.expires_at > clock_wall_ms();
    out->type = "refresh_token";
    out->scope = out->grant.scope;
    out->created_at = t.created_at;
    out->expires_at = t.expires_at;
    return true;
}

/* A refresh token is active as long as the token endpoint would take it. */
static bool refresh_judge(struct http_request *rq, const struct form *form,
                          const struct oauth_client *client, struct told *t, struct err *e)
{
    const struct token_call call = {.rq = rq,
                                    .sv = rq->context,
                                    .a = rq->arena,
                                    .form = form,
                                    .client = client,
                                    .now = clock_wall_ms()};
    t->is_active = t->is_active && str_eq(t->grant.client_id, client->id);
    if (!t->is_active ||
        token_person_check(&call, t->grant.org_id, t->grant.user_id, &t->grant.proof, e))
        return true;
    t->is_active = false;
    return e->code == ERR_INVALID_GRANT;
}

static void answer(struct http_request *rq, const struct oauth_client *client, const struct told *t)
{
    const struct services *sv = rq->context;
    struct buf out;
    struct jout j;
    buf_init(&out, 4 * LIMIT_BODY_SMALL);
    jout_init(&j, &out);
    jout_object(&j);
    jout_kbool(&j, "active", t->is_active);
    if (t->is_active) {
        jout_kstr(&j, "scope", t->scope);
        jout_kstr(&j, "client_id", client->id);
        jout_kstr(&j, "username", t->grant.user_email);
        jout_kstr(&j, "token_type", str_c(t->type));
        jout_ki64(&j, "exp", t->expires_at / 1000);
        jout_ki64(&j, "iat", t->created_at / 1000);
        jout_kstr(&j, "sub", t->grant.user_id);
        jout_kstr(&j, "aud", resource_url(sv, rq->arena, t->grant.resource));
        jout_kstr(&j, "iss", str_c(sv->config->origin));
        jout_kstr(&j, "org_id", t->grant.org_id);
    }
    jout_object_end(&j);
    wire_answer(rq, 200, &out);
    buf_end(&out);
}

static bool introspect(struct http_request *rq, const struct form *form, struct err *e)
{
    struct services *sv = rq->context;
    struct oauth_client client;
    struct told told = {0};
    struct str token = wire_param(form, "token");
    if (!client_authenticate(rq, form, &client, e))
        return false;
    if (str_eq(client.auth_method, STR("none")))
        return err_set(e, ERR_INVALID_CLIENT, "a client without a secret may not ask this");
    if (str_is_absent(token))
        return err_set(e, ERR_BAD_REQUEST, "token is missing");
    struct str hash = secret_text_hash(rq->arena, token);
    if (str_is_absent(hash))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    bool is_told = true;
    if (str_starts(token, STR(ACCESS_PREFIX)))
        is_told = access_tell(sv, rq->arena, &(struct question){&client, token, hash}, &told, e);
    else if (str_starts(token, STR(REFRESH_PREFIX)))
        is_told = refresh_tell(sv, rq->arena, hash, &told, e) &&
                  refresh_judge(rq, form, &client, &told, e);
    if (!is_told)
        return false;
    told.is_active = told.is_active && str_eq(told.grant.client_id, client.id);
    /* Somebody who guesses is not told so for long; nothing is lost but the answer. */
    if (!told.is_active && !failures_count(rq, client.id, e) && e->code == ERR_RATE_LIMITED)
        return false;
    answer(rq, &client, &told);
    return true;
}

void introspect_post(struct http_request *rq)
{
    struct form form = {0};
    struct err e = {.code = ERR_NONE};
    if (wire_form_read(rq, &form, &e) && introspect(rq, &form, &e))
        return;
    wire_answer_error(rq, &e);
}
