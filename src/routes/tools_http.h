/* Management tools over plain HTTP, and the address of a connection by two slugs. */
#pragma once

#include "io/http.h"

/*
 * Runs a management tool for the person or key of this request: its structured result, in the
 * arena. *is_unknown: there is no such tool, or not for this caller.
 */
bool tools_http_run(struct http_request *rq, struct str tool, struct str arguments,
                    struct str *structured, bool *is_unknown, struct err *e) must_use;
/* POST /api/tools/:NAME: body = arguments, answer = the structured result or the error envelope. */
void tools_http_call(struct http_request *rq);
/* /mcp/:org/:connection: the organization must be the caller's own; then `next` runs with params[0]
 * = the connection. */
void tools_http_connection_by_slugs(struct http_request *rq, void (*next)(struct http_request *rq));
