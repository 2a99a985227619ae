/*
 * Access tokens of other authorization servers that an organization trusts (ORGANIZATION_ISSUER_*),
 * at the addresses of its connections only: never at the management server, never passed on to a
 * server. spec/oauth.md "Tokens of other servers"; RFC 9068 section 4, RFC 7662.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "core/caller.h"
#include "core/services.h"

struct foreign_shown {
    struct str token;   /* the bearer */
    struct str path;    /* where it is shown */
    struct str address; /* who shows it; absent: many may have this address */
};
/* Could this be a token of somebody else's? Ours are told by their beginning. */
bool foreign_looks_so(struct str token);
/*
 * The caller that a token makes, in `keep`, and until when (ms) this may be believed without asking
 * again. Waits (store, other server). ERR_UNAUTHENTICATED for everything that is wrong with it, the
 * other server's silence included: nobody without a good token learns what is at an address.
 * ERR_INSUFFICIENT_SCOPE; ERR_RATE_LIMITED: too many bad ones.
 */
bool foreign_check(struct services *sv, struct arena *keep, const struct foreign_shown *shown,
                   int64_t now, struct caller *out, int64_t *good_until, struct err *e) must_use;
