#include "auth/scim/scim_token.h"

#include "auth/caller_build.h"
#include "auth/secret_text.h"
#include "base/clock.h"
#include "base/limits.h"

enum { TOUCH_EVERY_MS = 60 * 1000 };

static bool refused(struct err *e)
{
    return err_set(e, ERR_UNAUTHENTICATED, "the SCIM token is not valid");
}

bool scim_token_check(struct http_request *rq, struct str bearer, struct scim_client **out,
                      struct err *e)
{
    struct services *sv = rq->context;
    int64_t now = clock_wall_ms();
    struct err ignored; /* the token works without the mark */
    if (!str_starts(bearer, STR(SCIM_TOKEN_PREFIX)) || bearer.n > LIMIT_TOKEN)
        return refused(e);
    struct scim_client *c = arena_alloc(rq->arena, sizeof(*c));
    struct str hash = secret_text_hash(rq->arena, bearer);
    if (!c || str_is_absent(hash))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    if (!scim_tokens_by_hash(sv->db, rq->arena, hash, now, &c->token, e))
        return e->code == ERR_NOT_FOUND ? refused(e) : false;
    /* Who made it must be an owner still: their power does not outlive them in a token. */
    if (c->token.is_owners && !caller_is_owner(sv, rq->arena, c->token.org_id, c->token.created_by,
                                               &c->token.is_owners, e))
        return false;
    if (now - c->token.last_used_at >= TOUCH_EVERY_MS)
        (void)!scim_tokens_touch(sv->db, rq->arena, c->token.org_id, c->token.id, now, &ignored);
    c->caller.org_id = c->token.org_id;
    c->caller.key_id = c->token.id;
    *out = c;
    return true;
}
