/*
 * Downstream sessions for requests that bring none: bare and stateless requests of a principal, and
 * Tulle's own look-ups. One for each (connection, credential, principal, capabilities) in the
 * process, opened at first use with single flight, ended when idle. Its lock is held for map
 * operations only.
 */
#pragma once

#include "mcp/upstream_era.h"

struct session_pool;
struct session_pool *session_pool_new(void) must_use;
void session_pool_free(struct session_pool *p);

/* Whose session. */
struct pool_who {
    struct str principal;
    struct str capabilities; /* JSON object declared in initialize; absent: none */
};

/* A session of this principal at this server; opens one when there is none. Strings are copied into
 * the arena. Waits. When opening fails, everyone who waited for it fails with it. */
bool session_pool_get(struct services *sv, struct arena *a, struct registry_entry *entry,
                      const struct credential *cred, const struct pool_who *who,
                      struct upstream_session *out, struct err *e) must_use;
/* The server does not know it any more (404): the next get opens another. Only if it still is this
 * one. */
void session_pool_drop(struct services *sv, struct arena *a, struct registry_entry *entry,
                       const struct credential *cred, const struct pool_who *who,
                       struct str session_id);
/* What the session is kept under: the same as long as address, credential, principal and
 * capabilities are. STR_NONE: out of memory. */
struct str session_pool_key(struct arena *a, const struct registry_entry *entry,
                            const struct credential *cred, const struct pool_who *who) must_use;
/* A pinned session is neither idle nor given up for another (streams, calls that wait). Pins count;
 * nothing when there is no such session. */
void session_pool_pin(struct session_pool *p, struct str key);
void session_pool_unpin(struct session_pool *p, struct str key);

/* Sessions idle since before now - LIMIT_SESSION_IDLE_MS leave the pool; all of one connection when
 * connection_id is given. */
struct pooled_ref {
    struct str org_id, connection_id, user_id;
    struct upstream_session session;
};
size_t session_pool_take(struct services *sv, struct arena *a, struct str connection_id,
                         int64_t now, struct pooled_ref *out, size_t max);
