/*
 * Tulle as a client of one downstream server: finds its era, opens and keeps sessions, injects the
 * credential. Used by the proxy and by the tools that look at a server (CONNECTION_TEST,
 * _TOOLS_LIST, _TOOL_CALL).
 */
#pragma once

#include "core/caller.h"
#include "core/services.h"
#include "io/http_client.h"
#include "store/connections.h"

#include "mcp/eras.h"

/* One JSON-RPC request of Tulle's own to a server, on the listing session (or statelessly). Waits
 * for the whole answer. */
struct upstream_ask {
    const struct connection *conn;
    const struct caller
        *caller;        /* whose credential, when it is per user; NULL: the organization's */
    struct str method;  /* "tools/list" */
    struct str name;    /* what params name (tool, prompt, URI), for the stateless era's headers;
                           absent: nothing */
    struct str params;  /* JSON object text without _meta, or absent */
    int64_t timeout_ms; /* 0: LIMIT_CALL_MS */
};
struct upstream_reply {
    struct str result; /* raw JSON, or absent */
    struct str error;  /* raw JSON-RPC error object, or absent */
};
/* False: ERR_UPSTREAM, ERR_UPSTREAM_AUTH, ERR_EGRESS, ERR_TIMEOUT, ERR_CANCELLED, ERR_UNPROCESSABLE
 * (no credential set). */
bool upstream_ask(struct services *sv, struct arena *a, const struct upstream_ask *ask,
                  struct upstream_reply *out, struct err *e) must_use;

/* What the server says it can do (initialize, or server/discover), a raw object. Errors as above.
 */
bool upstream_capabilities(struct services *sv, struct arena *a, const struct connection *conn,
                           const struct caller *caller, struct str *out, struct err *e) must_use;

/* All pages of tools/list, raw definitions as a JSON array; records hashes
 * (store/connection_tools.h), tool count and status. */
bool upstream_tools(struct services *sv, struct arena *a, const struct connection *conn,
                    const struct caller *caller, struct str *tools_json, struct err *e) must_use;

/* CONNECTION_TEST: appends {"ok","status","era","latency_ms","tool_count","steps":[{name, ok, ms,
 * detail}]}; never fails for the server's faults. */
bool upstream_test(struct services *sv, struct arena *a, const struct connection *conn,
                   const struct caller *caller, struct buf *out, struct err *e) must_use;

/* Ends this worker's own sessions of a connection that was changed, disabled or is about to be
 * deleted. Waits. */
void upstream_forget(struct services *sv, struct str org_id, struct str connection_id);
/* DELETE for sessions taken out of the pool (mcp/upstream_pool.h). Waits. */
struct registry_entry;
struct pooled_ref;
void upstream_end_sessions(struct services *sv, struct arena *a, struct registry_entry *entry,
                           const struct pooled_ref *refs, size_t n);
/* The same for one that gave way to another, in a fiber of its own: its server may take its time.
 * Copies ref. */
void upstream_end_later(struct services *sv, const struct pooled_ref *ref);
