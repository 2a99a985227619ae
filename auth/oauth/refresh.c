/* grant_type=refresh_token: rotation, the same answer again, and what happens to a family that is
 * used twice. */
#include "auth/oauth/failures.h"
#include "auth/oauth/resource_find.h"
#include "auth/oauth/scope.h"
#include "auth/oauth/token.h"
#include "auth/secret_text.h"

static bool bad_token(struct err *e, const char *why)
{
    return err_set(e, ERR_INVALID_GRANT, "the refresh token %s", why);
}

struct refresh {
    const struct token_call *call;
    struct str token; /* as given */
    struct oauth_refresh row;
    struct oauth_grant grant;
    struct str scope;   /* of the access token to be */
    struct str request; /* scope and resource as given */
};

static bool unknown(const struct refresh *r, struct err *e)
{
    bad_token(e, "is not known");
    return failures_count(r->call->rq, r->call->client->id, e);
}

static bool load(struct refresh *r, struct err *e)
{
    const struct token_call *c = r->call;
    struct str hash = secret_text_hash(c->a, r->token);
    if (str_is_absent(hash))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    if (!str_starts(r->token, STR(REFRESH_PREFIX)))
        return unknown(r, e);
    if (!oauth_tokens_refresh_get(c->sv->db, c->a, hash, &r->row, e) ||
        !oauth_grants_get(c->sv->db, c->a, r->row.grant_id, &r->grant, e))
        return e->code == ERR_NOT_FOUND ? unknown(r, e) : false;
    return true;
}

static bool scope_read(struct refresh *r, struct err *e)
{
    struct str asked = wire_param(r->call->form, "scope"), checked;
    r->scope = r->grant.scope;
    if (str_is_absent(asked))
        return true;
    if (!scope_is_within(asked, r->grant.scope))
        return err_set(e, ERR_INVALID_SCOPE, "scope is wider than what was granted");
    /* Narrowed to nothing of ours would mean "everything" further on. */
    if (!scope_at_authorize(r->call->a, asked, &checked, e))
        return false;
    if (!scope_is_within(checked, r->grant.scope))
        return err_set(e, ERR_INVALID_SCOPE, "scope leaves nothing to use");
    /* Not naming the connections again must not widen to all. */
    r->scope = scope_keep_narrow(r->call->a, checked, r->grant.scope);
    return !str_is_absent(r->scope) || err_set(e, ERR_UNAVAILABLE, "out of memory");
}

static bool check(struct refresh *r, struct err *e)
{
    const struct token_call *c = r->call;
    struct str resource;
    if (!str_eq(r->grant.client_id, c->client->id))
        return bad_token(e, "was issued to another client");
    if (r->grant.revoked_at)
        return bad_token(e, "was revoked");
    if (r->row.expires_at <= c->now)
        return bad_token(e, "has expired");
    if (!wire_resource(c->form, &resource, e) ||
        !resource_agrees(c->sv, c->a, r->grant.org_id, resource, r->grant.resource, e) ||
        !scope_read(r, e))
        return false;
    r->request =
        arena_printf(c->a, "%.*s|%.*s", STR_FMT(wire_param(c->form, "scope")), STR_FMT(resource));
    if (str_is_absent(r->request) || str_find_char(r->request, '\n') != SIZE_MAX)
        return err_set(e, ERR_BAD_REQUEST, "scope or resource is ill-formed");
    return token_person_check(c, r->grant.org_id, r->grant.user_id, &r->grant.proof, e);
}

static bool reused(const struct refresh *r, struct err *e)
{
    const struct token_call *c = r->call;
    struct wire_event event = {.method = "oauth_refresh_reuse",
                               .org_id = r->grant.org_id,
                               .user_id = r->grant.user_id,
                               .client_id = c->client->id,
                               .name = r->grant.id,
                               .outcome = "denied",
                               .error = "a used refresh token came again: grant revoked"};
    if (!oauth_grants_end(c->sv->db, c->a, r->grant.id, c->now, e) || !wire_audit(c->rq, &event, e))
        return false;
    return bad_token(e, "was used already");
}

/* A used token: the same answer, as long as the client may not have heard it. */
static bool repeat(const struct refresh *r, struct issued *out, struct err *e)
{
    const struct token_call *c = r->call;
    struct oauth_pair pair;
    struct issued fresh;
    if (!issue_may_repeat(&r->row, c->now))
        return reused(r, e);
    if (!issue_open(c->a, r->token, r->row.answer, out, e))
        return false;
    if (!str_eq(out->request, r->request))
        return bad_token(e, "was used already, for another request");
    if (out->access_expires_at > c->now)
        return true;
    /* The laptop slept longer than an access token lives: the same successor, an access token that
     * works. */
    if (!issue_pair(c->a, out->scope, r->grant.created_at, c->now, &pair, &fresh, e))
        return false;
    if (!oauth_tokens_add_access(c->sv->db, c->a, r->grant.org_id, r->grant.id, &pair, e))
        return e->code == ERR_NOT_FOUND ? bad_token(e, "was revoked") : false;
    out->access = fresh.access;
    out->access_expires_at = fresh.access_expires_at;
    return true;
}

static bool rotate(struct refresh *r, struct issued *out, struct err *e)
{
    const struct token_call *c = r->call;
    struct oauth_pair pair;
    struct str sealed;
    if (!issue_pair(c->a, r->scope, r->grant.created_at, c->now, &pair, out, e))
        return false;
    out->request = r->request;
    if (!issue_seal(c->a, r->token, out, &sealed, e))
        return false;
    if (oauth_tokens_rotate(c->sv->db, c->a, &r->row, &pair, sealed, e))
        return true;
    if (e->code != ERR_NOT_FOUND)
        return false;
    /* Another request with the same token was faster: it gets what that one got. */
    if (!oauth_tokens_refresh_get(c->sv->db, c->a, r->row.hash, &r->row, e))
        return e->code == ERR_NOT_FOUND ? bad_token(e, "is not known") : false;
    return r->row.used_at ? repeat(r, out, e) : bad_token(e, "was revoked");
}

bool token_refresh(const struct token_call *c, struct issued *out, struct err *e)
{
    struct refresh r = {.call = c, .token = wire_param(c->form, "refresh_token")};
    if (str_is_absent(r.token))
        return err_set(e, ERR_BAD_REQUEST, "refresh_token is missing");
    if (!load(&r, e) || !check(&r, e))
        return false;
    return r.row.used_at ? repeat(&r, out, e) : rotate(&r, out, e);
}
