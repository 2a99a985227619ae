/*
 * Stateless clients at session servers: the state that the client no longer has is kept here.
 * Calls that may be asked something run in a fiber of their own (the keeper), which outlives the
 * client's HTTP request while the client looks for an answer. Source: reference "M·L"; spec/mcp.md
 * "Modern clients at session servers".
 */
#pragma once

#include "core/services.h"
#include "mcp/jsonrpc.h"

struct proxied;
struct m2s_table; /* of the process */

struct m2s_table *m2s_table_new(void) must_use;
void m2s_table_free(struct m2s_table *t);

/*
 * Takes one request of a stateless client at a session server. *is_answered false: it is a plain
 * one, to be sent on p's pooled session and answered by proxied_answer, which asks the two
 * functions below.
 */
bool m2s_request(struct proxied *p, bool *is_answered, struct err *e) must_use;
/* A response with the client's id in the words of the stateless revision, in place. Sets
 * p->answer_status when the error was another. */
bool m2s_respond(struct proxied *p, struct str *response, struct err *e) must_use;
/* Is this notification for the client whose request is in flight? */
bool m2s_is_for_client(const struct proxied *p, const struct rpc_message *m);
/* A tool that runs as a task only: the client has no such tasks. entry: validated definition. */
bool m2s_needs_task(struct str entry);
/*
 * What a client of an aggregate subscribes to at a session server (mcp/client_sessions.h, "parts of
 * a session"): (re)joins the session that its calls use with the URIs that the branch has now, and
 * hears of them until it lets go. uri (may be absent): fails with ERR_INVALID when the server
 * refuses it; others that it refuses leave the branch. ERR_METHOD_NOT_FOUND: the server offers no
 * such thing, or has no stream for it.
 */
struct client_session;
bool m2s_hear(struct services *sv, struct arena *a, struct client_session *branch,
              struct str connection_id, struct str capabilities, struct str uri,
              struct err *e) must_use;

/* Ends what waited too long for its client (monotonic time). Any worker. */
void m2s_reap(struct m2s_table *t, int64_t now);
/* Cancels the fibers that belong to this worker and ends what it hears: at shutdown, on its thread.
 */
void m2s_stop(struct services *sv);
