/*
 * Reads one message of a client: which era it belongs to, and whether its headers agree with its
 * body. Source: MCP 2026-07-28 transports (header rules, error codes); 2025-x Streamable HTTP;
 * spec/mcp.md "Classification".
 */
#pragma once

#include "base/err.h"
#include "io/http.h"
#include "mcp/eras.h"
#include "mcp/jsonrpc.h"

struct inbound {
    struct rpc_message msg;
    enum era era;       /* of this message: ERA_SESSION or ERA_STATELESS */
    struct str version; /* the header's or _meta's; absent: bare request, served as 2025-03-26 */
    struct str session_handle; /* Mcp-Session-Id of session clients; absent otherwise */
    bool is_bare;              /* a session-era request without session and without initialize */
    bool accepts_json, accepts_sse;
    enum era offered; /* set when the era is what failed: the versions of this era go into the
                         error's data */
};

/* Fills *in from rq. Errors, with the status they are to be answered with (err_http):
   ERR_UNSUPPORTED_MEDIA, ERR_NOT_ACCEPTABLE, ERR_PARSE, ERR_BAD_REQUEST, ERR_INVALID,
   ERR_HEADER_MISMATCH, ERR_UNSUPPORTED_VERSION. in->msg.id is set as soon as it is known. */
bool inbound_read(struct http_request *rq, struct inbound *in, struct err *e) must_use;

/* Its first step, alone: Content-Type and Accept. */
bool inbound_media_check(struct http_request *rq, struct inbound *in, struct err *e) must_use;

/* What Mcp-Name says for a message (unescaped); absent where the method has no such header. */
struct str inbound_header_name(struct arena *a, const struct rpc_message *m);

/* The =?base64?...?= form of Mcp-Name and Mcp-Param-*; anything else is itself. False: ill-formed
 * within, or no memory (MCP 2026-07-28, header encoding). */
bool inbound_header_decode(struct arena *a, struct str value, struct str *out) must_use;

/* Answers a JSON-RPC error. status 0: the code's own HTTP status; else that one (200 for failures
 * of a call). */
void inbound_fail(struct http_request *rq, const struct inbound *in, int status,
                  const struct err *e);
/* Answers 202 without a body: notifications and responses. */
void inbound_accepted(struct http_request *rq);
