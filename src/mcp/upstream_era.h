/* Finds out which era a server speaks, and opens sessions for Tulle's own use. */
#pragma once

#include "mcp/credential.h"
#include "mcp/registry_cache.h"
#include "mcp/upstream_reply.h"

/*
 * The era of a server: remembered, or probed once with server/discover (MCP 2026-07-28, "Backward
 * compatibility"): a result or one of the stateless errors means stateless, any other 4xx means
 * session. ERR_UPSTREAM_AUTH, ERR_UPSTREAM (5xx, no answer), ERR_TIMEOUT, ERR_EGRESS are no
 * evidence and are passed on. discover (may be NULL): the raw result when a probe was made now.
 */
bool upstream_era_find(struct services *sv, struct arena *a, struct registry_entry *entry,
                       const struct credential *cred, enum era *out, struct str *discover,
                       struct err *e) must_use;
/* True, with ERR_UNSUPPORTED_VERSION, for what a server answers to a request in a session that it
 * does not understand at all: the era may have changed. */
bool upstream_era_is_refused(const struct http_answer_head *head, struct err *e);
/* May a refusal of a stateless request with this JSON-RPC error (raw; absent: none) come from a
 * server of the other era? */
bool upstream_era_is_doubtful(struct str error);
/* What was remembered proved wrong: the next look-up probes. */
void upstream_era_forget(struct registry_entry *entry);
/* False for a moment after that: a server that refuses everything is not probed for each call. */
bool upstream_era_may_doubt(const struct registry_entry *entry);
/* initialize worked. A server that is known to be stateless stays so: it speaks both eras. */
void upstream_era_note_session(struct services *sv, struct registry_entry *entry);
/* What a call taught us: kept in the entry, and in the registry when it is news. */
void upstream_era_learn(struct services *sv, struct registry_entry *entry, enum era era);

/* The question that any server answers and that opens no session: server/discover. id: raw JSON.
 * *out ends with the arena; body absent: out of memory. */
struct upstream_message;
void upstream_discover_message(struct arena *a, struct registry_entry *entry,
                               const struct credential *cred, struct str id, int64_t limit_ms,
                               struct upstream_message *out);

struct upstream_session {
    struct str id;         /* absent: the server keeps no sessions */
    struct str version;    /* negotiated */
    struct str initialize; /* the raw result of initialize */
};
/* initialize + notifications/initialized with no client capabilities. */
bool upstream_session_start(struct services *sv, struct arena *a, struct registry_entry *entry,
                            const struct credential *cred, struct upstream_session *out,
                            struct err *e) must_use;
/* The same (ERR_UNSUPPORTED_VERSION: refused with 400, 404 or 405) declaring capabilities (a JSON
 * object; absent: none). */
bool upstream_session_start_as(struct services *sv, struct arena *a, struct registry_entry *entry,
                               const struct credential *cred, struct str capabilities,
                               struct upstream_session *out, struct err *e) must_use;
/* DELETE; failures are ignored: the server may not allow it. */
void upstream_session_end(struct services *sv, struct arena *a, struct registry_entry *entry,
                          const struct credential *cred, struct str id, struct str version);

/* The _meta members that every stateless request of Tulle's own carries, as a JSON object. */
#define UPSTREAM_META                                                                              \
    "{\"io.modelcontextprotocol/protocolVersion\":\"" MCP_STATELESS_LATEST "\","                   \
    "\"io.modelcontextprotocol/clientCapabilities\":{},"                                           \
    "\"io.modelcontextprotocol/clientInfo\":{\"name\":\"tulle\",\"version\":\"" TULLE_VERSION      \
    "\"}}"
