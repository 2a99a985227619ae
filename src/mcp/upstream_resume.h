/*
 * Streams of a session server that end before the answer has come: a server may close a stream on
 * purpose, to be asked again later, and a connection may break (MCP 2025-11-25, Streamable HTTP,
 * Resumability and Redelivery; SEP-1699).
 */
#pragma once

#include "mcp/upstream_send.h"

/*
 * Waits as long as the server wished (retry_ms of the stream, -1: it did not say) and asks for what
 * came after `last_id`. base: a message to the same session; its method and body do not matter.
 * The stream, to be closed by the caller. ERR_UPSTREAM: the server has none; the rest as
 * upstream_send.
 */
struct exchange *upstream_resume(struct services *sv, struct arena *a,
                                 const struct upstream_message *base, struct str last_id,
                                 int64_t retry_ms, struct err *e) must_use;
