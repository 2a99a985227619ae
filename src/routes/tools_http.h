/* Management tools over plain HTTP, and the address of a connection by two slugs. */
#pragma once

#include "io/http.h"

/* POST /api/tools/:NAME: body = arguments, answer = the structured result or the error envelope. */
void tools_http_call(struct http_request *rq);
/* /mcp/:org/:connection: the organization must be the caller's own; then `next` runs with params[0]
 * = the connection. */
void tools_http_connection_by_slugs(struct http_request *rq, void (*next)(struct http_request *rq));
