/* Puts a caller together from the store's rows. */
#pragma once

#include "base/arena.h"
#include "core/caller.h"
#include "core/services.h"
#include "store/api_keys.h"

/*
 * The caller that a member is, narrowed by a key (key NULL: not narrowed). Everything is allocated
 * in `keep`, which the caller's owner ends. Waits (store). ERR_NOT_FOUND: no such member, or the
 * user is disabled.
 */
bool caller_build(struct services *sv, struct arena *keep, struct str org_id, struct str user_id,
                  const struct api_key *key, struct caller *out, struct err *e) must_use;
/* Is this person an owner of the organization, by themselves or by a group? Who is no member, or a
 * deactivated one, is not. Waits (store). */
bool caller_is_owner(struct services *sv, struct arena *a, struct str org_id, struct str user_id,
                     bool *out, struct err *e) must_use;
/* Narrows a caller to a scope: what it may do, and the connections that conn:... words name.
 * `scope` lives as long as `keep`. ERR_INSUFFICIENT_SCOPE: nothing in it says anything. */
bool caller_scope_apply(struct arena *keep, struct str scope, struct caller *out,
                        struct err *e) must_use;
