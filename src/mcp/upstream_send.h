/* One HTTP call to a downstream MCP server: address, headers rebuilt from the message, credential,
 * trace. */
#pragma once

#include "io/http_client.h"
#include "mcp/credential.h"
#include "mcp/registry_cache.h"

struct upstream_message {
    struct registry_entry *entry;
    const struct credential *credential;
    struct str http_method;  /* POST GET DELETE */
    struct str body;         /* absent for GET and DELETE */
    enum era era;            /* how the headers are written */
    struct str version;      /* MCP-Protocol-Version; absent: not sent */
    struct str session_id;   /* the server's; absent: none */
    struct str method, name; /* stateless era: for Mcp-Method and Mcp-Name (unescaped) */
    const struct http_request
        *rq; /* whose trace it continues and whose Mcp-Param-* headers go along; may be NULL */
    int64_t first_byte_ms, idle_ms,
        total_ms; /* 0: the defaults of http_client; idle -1: may be silent */
};
/* Sends and waits for the answer's head. Errors as http_open. */
struct http_exchange *upstream_send(struct services *sv, struct arena *a,
                                    const struct upstream_message *m, struct http_answer_head *head,
                                    struct err *e) must_use;
