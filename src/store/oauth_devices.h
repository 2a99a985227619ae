/* The device flow's requests (RFC 8628). */
#pragma once

#include "store/oauth_tokens.h"

struct oauth_device {
    struct str hash;           /* of the device code, hex SHA-256 */
    struct str user_code_hash; /* of the code that the person types */
    struct str client_id;
    struct str scope;          /* as asked */
    struct str asked_resource; /* as given; absent: none */
    struct str peer;           /* where the device asked from */
    int64_t interval_ms, polled_at;
    int64_t created_at, expires_at;
    struct str decision; /* absent: none yet; allowed, denied */
    struct str org_id, user_id, resource, granted_scope;
    int64_t auth_time;
    struct proof proof; /* of who decided */
    int64_t used_at;    /* 0: not yet */
    struct str grant_id;
};
/* ERR_CONFLICT: the user code is taken; make another. */
bool oauth_devices_insert(struct db *db, struct arena *a, const struct oauth_device *d,
                          struct err *e) must_use;
bool oauth_devices_get(struct db *db, struct arena *a, struct str hash, struct oauth_device *out,
                       struct err *e) must_use;
/* Undecided and not expired. ERR_NOT_FOUND. */
bool oauth_devices_by_user_code(struct db *db, struct arena *a, struct str user_code_hash,
                                int64_t now, struct oauth_device *out, struct err *e) must_use;
bool oauth_devices_polled(struct db *db, struct arena *a, struct str hash, int64_t interval_ms,
                          int64_t now, struct err *e) must_use;
/* Writes decision, org_id, user_id, resource, granted_scope, auth_time, proof, once. ERR_NOT_FOUND:
 * it was decided already, or has expired. ERR_CONFLICT: the person is no member any more. */
bool oauth_devices_decide(struct db *db, struct arena *a, const struct oauth_device *d, int64_t now,
                          struct err *e) must_use;
/* Uses it up and makes the grant and its first pair. ERR_NOT_FOUND: another was faster. */
bool oauth_devices_redeem(struct db *db, struct arena *a, const struct oauth_device *d,
                          const struct oauth_pair *p, struct err *e) must_use;
