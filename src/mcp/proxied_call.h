/* The handlers of /mcp/:connection. rq->context is the worker's services, rq->user the caller
 * (routes/guards.h). */
#pragma once

#include "core/services.h"
#include "io/http.h"

void proxied_post(struct http_request *rq);
void proxied_get(struct http_request *rq);
void proxied_delete(struct http_request *rq);
/* May the caller use this connection, and the session that rq names? *version: that session's;
 * absent: rq names none. As a refused call answers, with its challenge set. */
bool proxied_admit(struct http_request *rq, struct str *version, struct err *e) must_use;
/* Ends idle downstream sessions of this worker (its pool) and, for worker 0, of the process;
 * started once per worker. */
/* Ends streams whose credential was revoked, within a second; started once per worker. */
bool proxied_relay_watch_start(struct services *sv, struct err *e) must_use;
bool proxied_reaper_start(struct services *sv, struct err *e) must_use;
