/*
 * Is what a sign-in proved enough for an organization? Asked wherever a browser sign-in, or a grant
 * that was made with one, is to count in an organization: management by cookie, consent, redeeming,
 * refreshing, using tokens. A provider of one organization proves nothing in another.
 */
#pragma once

#include "base/arena.h"
#include "core/caller.h"
#include "core/services.h"

enum signin_need {
    SIGNIN_ENOUGH,
    SIGNIN_OTHER_ORG, /* another organization's provider proved it */
    SIGNIN_PROVIDER,  /* the organization requires its own provider */
    SIGNIN_NO_LINK,   /* it takes no links by mail */
    SIGNIN_SECOND,    /* it requires two factors */
    SIGNIN_OWNERS,    /* an administrator configured that provider, and this is an owner */
};
/*
 * What is missing. user_id: who proved it; absent: nobody whom the store knows. An administrator
 * who decides what a provider says must not become an owner by it. A proof without `by` is no
 * browser sign-in (keys, service accounts): enough. Waits (store) when the policy is not in the
 * worker's memory. ERR_UNAVAILABLE and the store's.
 */
bool signin_policy_judge(struct services *sv, struct arena *a, struct str org_id,
                         struct str user_id, const struct proof *p, enum signin_need *need,
                         struct err *e) must_use;
/* The same as an error: ERR_FORBIDDEN says what to do. */
bool signin_policy_check(struct services *sv, struct arena *a, struct str org_id,
                         struct str user_id, const struct proof *p, struct err *e) must_use;
/* May an API key that was made with this proof (org_id present) still be an owner's? ERR_FORBIDDEN:
 * its provider vouches for owners no more, or never did. Waits (store). */
bool signin_policy_owner_check(struct services *sv, struct arena *a, struct str user_id,
                               const struct proof *p, struct err *e) must_use;
/* One sentence for a person. */
const char *signin_policy_text(enum signin_need need);
/* Where to prove what is missing and come back to return_to: a path of this server. The
 * organization's provider, else the sign-in page. Waits (store). */
bool signin_policy_path(struct services *sv, struct arena *a, struct str org_id,
                        enum signin_need need, struct str return_to, struct str *path,
                        struct err *e) must_use;
