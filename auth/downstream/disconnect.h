/* The end of authorizations: forgotten here, then revoked at their issuers (RFC 7009, best effort
 * and for a bounded time). */
#pragma once

#include "auth/downstream/grant.h"

/* One owner's of one connection. *was_there may be NULL. */
bool downstream_disconnect(struct services *sv, struct arena *a, const struct connection *conn,
                           struct str owner, bool *was_there, struct err *e) must_use;
/* Everybody's: the connection is deleted, or is another server from now on. */
bool downstream_disconnect_all(struct services *sv, struct arena *a, const struct connection *conn,
                               struct err *e) must_use;

/* For a person who leaves: read before their rows go, revoked after. */
struct downstream_grants {
    struct downstream_grant *items;
    size_t n;
};
bool downstream_grants_of(struct services *sv, struct arena *a, struct str org_id,
                          struct str user_id, struct downstream_grants *out,
                          struct err *e) must_use;
void downstream_grants_revoke(struct services *sv, struct arena *a,
                              const struct downstream_grants *grants);
