/* What a person signed in by browser may do: the caller of their session. */
#pragma once

#include "auth/session/session.h"
#include "core/caller.h"

/* Set as rq->user by the guards of pages: the caller first, so that whoever knows only callers
 * finds it. */
struct session_person {
    struct caller caller;
    struct browser_session session;
};
/*
 * The caller in the organization that the session chose last; without one, when they left it, or
 * when what the session proved is not enough for it (auth/login/signin_policy.h), the person alone.
 * Never bound to that organization (caller_is_bound), never for connections: those take no cookie.
 * Waits (store). ERR_UNAVAILABLE and the store's.
 */
bool session_caller(struct services *sv, struct arena *a, const struct browser_session *session,
                    struct caller *out, struct err *e) must_use;
