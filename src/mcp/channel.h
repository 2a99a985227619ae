/*
 * Servers that are reached over a duplex channel: a process's stdin and stdout (transport stdio),
 * or an event stream with an address to post to (HTTP+SSE of 2024-11-05). A channel presents itself
 * as a Streamable HTTP server, so that what is above upstream_send() need not know:
 *
 *   POST initialize         opens a channel; the answer carries an Mcp-Session-Id of ours
 *   POST with that id       the message is written; a request's answer is an event stream of what
 *                           belongs to it, then the response
 *   GET with that id        the messages that belong to no request; some are kept for it
 *   DELETE with that id     ends the channel
 *   POST of the stateless era, without id: one process for each (connection, principal)
 *   an id that is unknown, or whose channel has ended: 404
 *
 * A channel belongs to the worker that opened it; other workers reach it through its lock and
 * wake-ups. JSON-RPC ids and progress tokens are its own on the wire and restored on the way back.
 */
#pragma once

#include "mcp/exchange.h"
#include "mcp/upstream_send.h"

struct channel_table; /* one for the process */
struct channel_table *channel_table_new(void) must_use;
void channel_table_free(struct channel_table *t);

/* True when messages to this server go over a channel, as far as this worker knows. */
bool channel_is_used(const struct registry_entry *entry);
/* The same for one message: a session may be a channel's, though only another worker has found out
 * that an `auto` server is an old one. */
bool channel_carries(const struct upstream_message *m);

/*
 * As upstream_send. ERR_UNPROCESSABLE: stdio is not allowed on this installation. ERR_UNAVAILABLE:
 * too many processes, or it does not read. ERR_UPSTREAM: it cannot be started, keeps ending. What
 * happens later is told by the exchange.
 */
struct exchange *channel_send(struct services *sv, struct arena *a,
                              const struct upstream_message *m, struct http_answer_head *head,
                              struct err *e) must_use;

/* Ends all channels to one connection, of every worker. Does not wait. */
void channels_forget(struct services *sv, struct str connection_id);
/* Shutdown: asks this worker's channels to end; channels_count says when they have. */
void channels_stop(struct services *sv);
int channels_count(const struct channel_table *t);
/* Lets go of what has not ended; its guard ends it. Before the worker's loop is freed. */
void channels_abandon(struct services *sv);
/* Ends what nobody has used for long; called now and then on each worker. */
void channels_reap(struct services *sv);
