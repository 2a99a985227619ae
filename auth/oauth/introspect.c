/* Introspection (RFC 7662): what a token is, told to the client that it was issued to. */
#include "auth/oauth/client_auth.h"
#include "auth/oauth/failures.h"
#include "auth/oauth/issue.h"
#include "auth/oauth/resource_find.h"
#include "auth/oauth/revoke.h"
#include "base/clock.h"
#include "base/limits.h"
#include "json/jout.h"

/* What is told of a token that is active. */
struct told {
    bool is_active;
    const char *type;
    struct str scope, org_id, user_id, email, resource;
    int64_t created_at, expires_at;
};

static bool access_tell(struct services *sv, struct arena *a, const struct oauth_client *client,
                        struct str hash, struct told *out, struct err *e)
{
    struct oauth_access t;
    struct oauth_grant g;
    if (!oauth_tokens_access_get(sv->db, a, hash, clock_wall_ms(), &t, e) ||
        !oauth_grants_get(sv->db, a, t.grant_id, &g, e))
        return e->code == ERR_NOT_FOUND;
    *out = (struct told){.is_active = str_eq(t.client_id, client->id),
                         .type = "Bearer",
                         .scope = t.scope,
                         .org_id = t.org_id,
                         .user_id = t.user_id,
                         .email = g.user_email,
                         .resource = t.resource,
                         .created_at = t.created_at,
                         .expires_at = t.expires_at};
    return true;
}

static bool refresh_tell(struct services *sv, struct arena *a, const struct oauth_client *client,
                         struct str hash, struct told *out, struct err *e)
{
    struct oauth_refresh t;
    struct oauth_grant g;
    if (!oauth_tokens_refresh_get(sv->db, a, hash, &t, e) ||
        !oauth_grants_get(sv->db, a, t.grant_id, &g, e))
        return e->code == ERR_NOT_FOUND;
    *out = (struct told){.is_active = str_eq(g.client_id, client->id) && !g.revoked_at &&
                                      !t.used_at && t.expires_at > clock_wall_ms(),
                         .type = "refresh_token",
                         .scope = g.scope,
                         .org_id = g.org_id,
                         .user_id = g.user_id,
                         .email = g.user_email,
                         .resource = g.resource,
                         .created_at = t.created_at,
                         .expires_at = t.expires_at};
    return true;
}

static void answer(struct http_request *rq, const struct oauth_client *client, const struct told *t)
{
    const struct services *sv = rq->context;
    struct buf out;
    struct jout j;
    buf_init(&out, LIMIT_BODY_SMALL);
    jout_init(&j, &out);
    jout_object(&j);
    jout_kbool(&j, "active", t->is_active);
    if (t->is_active) {
        jout_kstr(&j, "scope", t->scope);
        jout_kstr(&j, "client_id", client->id);
        jout_kstr(&j, "username", t->email);
        jout_kstr(&j, "token_type", str_c(t->type));
        jout_ki64(&j, "exp", t->expires_at / 1000);
        jout_ki64(&j, "iat", t->created_at / 1000);
        jout_kstr(&j, "sub", t->user_id);
        jout_kstr(&j, "aud", resource_url(sv, rq->arena, t->resource));
        jout_kstr(&j, "iss", str_c(sv->config->origin));
        jout_kstr(&j, "org_id", t->org_id);
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
    if (str_is_absent(client.secret_hash))
        return err_set(e, ERR_INVALID_CLIENT, "a client without a secret may not ask this");
    if (str_is_absent(token))
        return err_set(e, ERR_BAD_REQUEST, "token is missing");
    struct str hash = wire_token_hash(rq->arena, token);
    if (str_is_absent(hash))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    bool is_told = true;
    if (str_starts(token, STR(ACCESS_PREFIX)))
        is_told = access_tell(sv, rq->arena, &client, hash, &told, e);
    else if (str_starts(token, STR(REFRESH_PREFIX)))
        is_told = refresh_tell(sv, rq->arena, &client, hash, &told, e);
    if (!is_told)
        return false;
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
