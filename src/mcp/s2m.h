/*
 * Session clients at stateless servers (spec/mcp.md "Session clients at modern servers"): Tulle
 * keeps the session, every request to the server stands alone. Private to the s2m_*.c files but for
 * the doors below.
 */
#pragma once

#include "mcp/client_sessions.h"
#include "mcp/proxied.h"

/* ---- doors, for proxied_*.c and the aggregates ---- */

/* initialize, answered from the server's server/discover; opens the session. */
bool s2m_initialize(struct proxied *p, struct err *e) must_use;
/* initialize at a server that a person must authorize Tulle at first: opens the session without the
 * server, whose tools are all that it has. why: for people and models. */
bool s2m_initialize_waiting(struct proxied *p, struct str why, struct err *e) must_use;
/* Opens the client's handle into p->client. ERR_SESSION_NOT_FOUND. */
bool s2m_bind(struct proxied *p, struct str handle, struct err *e) must_use;
/* A request of p->client's. Everything that sees the server goes through s2m_call. */
bool s2m_request(struct proxied *p, struct err *e) must_use;
/* Sends a request to the stateless server p->entry on behalf of p->client, asks the client what the
 * server wants to know, answers. Takes its place in mcp/inflight.h itself. */
bool s2m_call(struct proxied *p, struct err *e) must_use;
bool s2m_notification(struct proxied *p, struct err *e) must_use;
bool s2m_response(struct proxied *p, struct err *e) must_use;
/* GET and DELETE. */
bool s2m_stream(struct proxied *p, struct err *e) must_use;
bool s2m_end(struct proxied *p, struct err *e) must_use;

/* ---- s2m_body.c ---- */

/* What a round of questions brought, raw JSON; absent: nothing. */
struct s2m_round {
    struct str responses; /* an object */
    struct str state;     /* requestState as the server wrote it */
};
/* The request as the server wants it: _meta stamped, `task` left out, tool name and cursor put
 * back. */
bool s2m_body(struct proxied *p, const struct s2m_round *round, struct str *out,
              struct err *e) must_use;
/* The members of _meta that stand for the session, as a JSON object's inside (no braces). */
struct str s2m_stamp(struct arena *a, const struct client_session *s, bool can_ask) must_use;
/* What this client can be asked for (enum m2s_cap), by what it declared and its revision. */
int s2m_caps(const struct client_session *s);

/* ---- s2m_params.c ---- */

/* False: annotations that no client may follow; such a tool is not shown (MCP 2026-07-28,
 * "x-mcp-header"). */
bool s2m_tool_is_valid(struct arena *a, struct str definition);
/* Mcp-Param-* headers for the arguments of a call. ERR_INVALID: more than LIMIT_PARAM_HEADERS. */
bool s2m_params(struct arena *a, struct str definition, struct str arguments,
                struct http_header *headers, size_t *n, struct err *e) must_use;
/* Do a request's headers repeat the arguments as this tool wants it? For servers that see no
 * headers; headers of arguments that are not there are not judged. ERR_HEADER_MISMATCH. */
bool s2m_params_match(struct arena *a, struct str definition, struct str arguments,
                      const struct http_request *rq, struct err *e) must_use;

/* ---- s2m_project.c ---- */

/* A response as session clients know it. definition: the called tool's, or absent. */
bool s2m_project(struct proxied *p, struct str text, struct str *out, struct err *e) must_use;
/* The server's error as session clients know it: the whole response, with the hop's id. */
struct str s2m_error(struct proxied *p, struct str error) must_use;
/* A tool's result that says why it did not run. */
struct str s2m_failure(struct proxied *p, struct str message) must_use;

/* ---- s2m_ask.c ---- */

/*
 * Asks the client what an input_required result wants to know. True with *next filled; or with
 * *refusal: the call ends with these words. False: the call is over (cancelled, session ended).
 */
bool s2m_ask(struct proxied *p, struct str result, struct s2m_round *next, struct str *refusal,
             struct err *e) must_use;

/* ---- s2m_listen.c ---- */

/*
 * (Re)opens the session's subscriptions/listen with what it wants now, and waits for the server's
 * acknowledgement. uri (may be absent): fails with ERR_INVALID when the server does not honour it.
 * A server without such streams: ERR_METHOD_NOT_FOUND.
 */
bool s2m_listen(struct services *sv, struct arena *a, struct client_session *s,
                struct str connection_id, struct str uri, struct err *e) must_use;
/* At shutdown: ends this worker's. */
void s2m_listens_end(struct services *sv);
