/*
 * Serves a tool_source (the management tools) as an MCP server of every era, without sessions:
 * initialize is answered and forgotten, so session clients, stateless clients and bare requests all
 * work.
 */
#pragma once

#include "io/http.h"

/* POST /mcp. rq->context: services; rq->user: the caller. */
void local_server_post(struct http_request *rq);
/* GET /mcp: for clients of 2024-11-05 only (mcp/sse_client.h); 405 for the others. */
void local_server_get(struct http_request *rq);
/* Everybody who passed the guard. */
bool local_server_admit(struct http_request *rq, struct str *version, struct err *e) must_use;
