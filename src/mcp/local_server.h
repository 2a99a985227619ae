/*
 * Serves a tool_source (the management tools) as an MCP server of every era, without sessions:
 * initialize is answered and forgotten, so session clients, stateless clients and bare requests all
 * work.
 */
#pragma once

#include "io/http.h"

/* POST /mcp. rq->context: services; rq->user: the caller. */
void local_server_post(struct http_request *rq);
