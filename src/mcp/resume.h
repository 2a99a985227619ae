/* Clients that come back with Last-Event-ID (MCP 2025-11-25, Streamable HTTP, Resumability and
 * Redelivery): the event streams of sessions over what mcp/replay.h keeps. */
#pragma once

#include "base/buf.h"
#include "io/http.h"
#include "mcp/replay.h"

struct proxied;

/*
 * A GET of a session: if its Last-Event-ID names the answer to a call, that answer goes on here:
 * what was missed, then what is still to come, to its end. Waits for that. connection_id: the
 * stream ends when the caller may not use it any more; absent: an aggregate's.
 * True with *is_done false: it names no such stream. ERR_BAD_REQUEST: the stream, or what was
 * missed, is not kept any more.
 */
bool resume_call(struct http_request *rq, struct str session_key, struct str connection_id,
                 bool *is_done, struct err *e) must_use;

/* The session's own stream, which has just begun on rq: writes what its client missed, if
 * Last-Event-ID says so. Held; NULL: its events have no ids. May wait. */
struct replay *resume_get(struct http_request *rq, struct str session_key);
/* True when rq goes on with the session's own stream. */
bool resume_is_get(struct http_request *rq, struct str session_key, struct replay **out);
/* The next event of such a stream; after it was written, replay_add. r may be NULL. */
void resume_write(struct buf *out, const struct replay *r, struct str message);

/* The answer to p, an event stream that has just begun: from now on its events have ids and its
 * client's leaving does not cancel it. Nothing for clients without a session. */
bool resume_begin(struct proxied *p, struct err *e) must_use;
/* One event of it, given an id and kept; written unless the client has left or reads elsewhere. */
bool resume_event(struct proxied *p, struct str message, struct err *e) must_use;
/* There is no more. */
void resume_end(struct proxied *p);
