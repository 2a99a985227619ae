/*
 * How often and how much at once somebody may call through the gateway: a person, a key or grant, a
 * connection, an organization. Lists, handshakes and discovery are no calls: who reconnects is
 * never refused. spec/tenancy.md "Limits".
 */
#pragma once

#include "core/caller.h"
#include "core/services.h"
#include "store/connections.h"

/* What a running call holds. Its strings are those of the caller and the connection. */
struct call_limits {
    struct rates *rates;
    struct str held[4];
    size_t n;
};
/*
 * Counts one more call. ERR_RATE_LIMITED: it is one too many of whom the message names; *retry_ms:
 * wait so long. What the store suffers. Waits where the organization's policy is not known. End
 * with call_limits_leave in any case.
 */
bool call_limits_enter(struct services *sv, struct arena *a, const struct caller *c,
                       const struct connection *conn, struct call_limits *held, int64_t *retry_ms,
                       struct err *e) must_use;
void call_limits_leave(struct call_limits *held); /* again is fine */

/* One more request of this person that runs, of whatever kind. False: there are
 * LIMIT_REQUESTS_USER. */
bool request_limits_enter(struct services *sv, struct str user_id) must_use;
void request_limits_leave(struct services *sv, struct str user_id);

/* Retry-After (RFC 9110 section 10.2.3), at least a second. */
struct http_request;
void call_limits_say(struct http_request *rq, int64_t retry_ms);
