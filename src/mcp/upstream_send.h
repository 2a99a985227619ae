/* One message to a downstream MCP server, over HTTP (address, headers rebuilt from the message,
 * credential, trace) or a channel. */
#pragma once

#include "mcp/credential.h"
#include "mcp/exchange.h"
#include "mcp/registry_cache.h"

struct upstream_message {
    struct registry_entry *entry;
    const struct credential *credential;
    struct str principal;   /* whose process a stateless message goes to (transport stdio); absent:
                               the    organization's */
    struct str http_method; /* POST GET DELETE */
    struct str body;        /* absent for GET and DELETE */
    enum era era;           /* how the headers are written */
    struct str version;     /* MCP-Protocol-Version; absent: not sent */
    struct str session_id;  /* the server's; absent: none */
    struct str last_event_id; /* of a GET that resumes a stream; absent: none */
    struct str method, name;  /* stateless era: for Mcp-Method and Mcp-Name (unescaped) */
    const struct http_request
        *rq; /* whose trace it continues and whose Mcp-Param-* headers go along; may be NULL */
    const struct http_header *params; /* Mcp-Param-* headers instead of those of rq; NULL: none */
    size_t n_params;
    bool is_repeatable; /* does no harm when it arrives twice */
    int64_t first_byte_ms, idle_ms,
        total_ms; /* 0: the defaults of http_client; idle -1: may be silent */
};
/* A name or value as Mcp-Name and Mcp-Param-* carry it: itself, or =?base64?...?=. Absent: too
 * long. */
struct str upstream_header_encode(struct arena *a, struct str name) must_use;
/* Sends and waits for the answer's head. Errors as http_open. */
struct exchange *upstream_send(struct services *sv, struct arena *a,
                               const struct upstream_message *m, struct http_answer_head *head,
                               struct err *e) must_use;
/*
 * Did an answer refuse the proof of possession of a message, not its token? Then it may be built
 * and sent once more; the nonce of the answer is kept either way. False without such a credential.
 */
bool upstream_proof_refused(struct arena *a, const struct upstream_message *m, struct str url,
                            const struct http_answer_head *head) must_use;
/* The HTTP call that a message makes at an address, credential included: for those who send it
 * themselves. It lives in the arena. */
bool upstream_call_build(struct arena *a, const struct upstream_message *m, struct str url,
                         struct http_call *out, struct err *e) must_use;
