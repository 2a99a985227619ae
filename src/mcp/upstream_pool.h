/*
 * Downstream sessions for requests that bring none: bare requests of a principal, and Tulle's own
 * look-ups. One for each (connection, principal) and worker, opened at first use with single
 * flight, ended when idle.
 */
#pragma once

#include "mcp/upstream_era.h"

struct session_pool;
struct session_pool *session_pool_new(void) must_use;
void session_pool_free(struct session_pool *p);

/* A session of this principal at this server; opens one when there is none. Strings are copied into
 * the arena. Waits. */
bool session_pool_get(struct services *sv, struct arena *a, struct registry_entry *entry,
                      const struct credential *cred, struct str principal,
                      struct upstream_session *out, struct err *e) must_use;
/* The server does not know it any more (404): the next get opens another. Only if it still is this
 * one. */
void session_pool_drop(struct services *sv, struct arena *a, struct registry_entry *entry,
                       const struct credential *cred, struct str principal, struct str session_id);
/* Sessions idle since before now - LIMIT_SESSION_IDLE_MS leave the pool; all of one connection when
 * connection_id is given. */
struct pooled_ref {
    struct str org_id, connection_id, user_id;
    struct upstream_session session;
};
size_t session_pool_take(struct services *sv, struct arena *a, struct str connection_id,
                         int64_t now, struct pooled_ref *out, size_t max);
