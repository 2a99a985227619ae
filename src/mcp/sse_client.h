/*
 * Clients of the HTTP+SSE transport of 2024-11-05: a GET opens an event stream whose first event
 * names the address to post to; each posted message is answered 202, and what it brings comes on
 * the stream. Such a client is served as a session client of Streamable HTTP: its messages become
 * inner requests (io/http_inner.h) to the same address, so every kind of server and every
 * translator works. The session lives as long as its stream. One table for the process: the
 * messages may arrive at any worker.
 */
#pragma once

#include "crypto/keyring.h"
#include "io/http.h"

struct sse_clients;
struct sse_clients *sse_clients_new(const struct keyring *keys) must_use;
void sse_clients_free(struct sse_clients *t);

/* The address behind it: Streamable HTTP. */
struct sse_door {
    /* May this caller come in here at all? *version is not looked at. */
    bool (*admit)(struct http_request *rq, struct str *version, struct err *e);
    void (*post)(struct http_request *rq);
    void (*get)(struct http_request *rq);            /* NULL: there is no stream */
    void (*delete_session)(struct http_request *rq); /* NULL: there are no sessions */
};

/*
 * Serves rq if it is one of such a client's, and says so: a POST with sessionId in its query, or a
 * GET for text/event-stream with neither Mcp-Session-Id nor an MCP-Protocol-Version after
 * 2024-11-05. (Clients of later revisions name one of the two on every GET.) Waits, a GET for as
 * long as the stream is open.
 */
bool sse_client_serve(struct http_request *rq, const struct sse_door *door) must_use;
