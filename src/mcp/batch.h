/*
 * JSON-RPC batches (MCP 2025-03-26, Streamable HTTP; no other revision has them): an array of
 * messages in one POST. Each runs like a message of its own, one after the other; the answers come
 * back as an array, or on one event stream when one of them streams.
 */
#pragma once

#include "base/err.h"
#include "io/http.h"

/* The revision that the sender of rq has negotiated; absent: none. False: it may not send here. */
typedef bool batch_version_fn(struct http_request *rq, struct str *version, struct err *e);

/* Answers rq, whose body is an array (rpc_is_batch). one: handles one message. Waits. */
void batch_post(struct http_request *rq, batch_version_fn *version_of,
                void (*one)(struct http_request *rq));
/* The messages of a body that begins like an array (rpc_is_batch), raw; what is no message is among
 * them. ERR_PARSE; ERR_BAD_REQUEST: none, more than LIMIT_BATCH, or one that may not stand in a
 * batch. */
bool batch_messages(struct arena *a, struct str body, struct str **messages, size_t *n,
                    struct err *e) must_use;
