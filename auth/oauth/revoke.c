#include "auth/oauth/revoke.h"

#include "auth/oauth/client_auth.h"
#include "auth/oauth/issue.h"
#include "auth/secret_text.h"
#include "base/clock.h"

struct revocation {
    struct http_request *rq;
    struct services *sv;
    const struct oauth_client *client;
    struct str token, hash;
};

static bool event(const struct revocation *r, struct str org_id, struct str user_id,
                  struct str grant_id, struct err *e)
{
    struct wire_event event = {.method = "oauth_revoke",
                               .org_id = org_id,
                               .user_id = user_id,
                               .client_id = r->client->id,
                               .name = grant_id,
                               .outcome = "ok"};
    return wire_audit(r->rq, &event, e);
}

/* Unknown is as good as revoked (RFC 7009 section 2.2). */
static bool missed(struct err *e)
{
    return e->code == ERR_NOT_FOUND;
}

static bool access_end(const struct revocation *r, struct err *e)
{
    struct oauth_access t;
    struct db *db = r->sv->db;
    if (!oauth_tokens_access_get(db, r->rq->arena, r->hash, clock_wall_ms(), &t, e))
        return missed(e);
    if (!str_eq(t.client_id, r->client->id))
        return true;
    return oauth_tokens_access_end(db, r->rq->arena, r->hash, e) &&
           event(r, t.org_id, t.user_id, t.grant_id, e);
}

static bool refresh_end(const struct revocation *r, struct err *e)
{
    struct oauth_refresh t;
    struct oauth_grant g;
    struct db *db = r->sv->db;
    if (!oauth_tokens_refresh_get(db, r->rq->arena, r->hash, &t, e) ||
        !oauth_grants_get(db, r->rq->arena, t.grant_id, &g, e))
        return missed(e);
    if (!str_eq(g.client_id, r->client->id) || g.revoked_at)
        return true;
    return oauth_grants_end(db, r->rq->arena, g.id, clock_wall_ms(), e) &&
           event(r, g.org_id, g.user_id, g.id, e);
}

static bool revoke(struct http_request *rq, const struct form *form, struct err *e)
{
    struct oauth_client client;
    struct revocation r = {
        .rq = rq, .sv = rq->context, .client = &client, .token = wire_param(form, "token")};
    if (!client_authenticate(rq, form, &client, e))
        return false;
    if (str_is_absent(r.token))
        return err_set(e, ERR_BAD_REQUEST, "token is missing");
    r.hash = secret_text_hash(rq->arena, r.token);
    if (str_is_absent(r.hash))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    if (str_starts(r.token, STR(ACCESS_PREFIX)))
        return access_end(&r, e);
    return !str_starts(r.token, STR(REFRESH_PREFIX)) || refresh_end(&r, e);
}

void revoke_post(struct http_request *rq)
{
    struct form form = {0};
    struct err e = {.code = ERR_NONE};
    if (!wire_form_read(rq, &form, &e) || !revoke(rq, &form, &e)) {
        wire_answer_error(rq, &e);
        return;
    }
    http_set_header(rq, STR("Cache-Control"), STR("no-store"));
    http_answer(rq, 200, STR_NONE, STR_NONE);
}
