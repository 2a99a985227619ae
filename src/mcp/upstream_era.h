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
/* What a call taught us: kept in the entry, and in the registry when it is news. */
void upstream_era_learn(struct services *sv, struct registry_entry *entry, enum era era);

struct upstream_session {
    struct str id;         /* absent: the server keeps no sessions */
    struct str version;    /* negotiated */
    struct str initialize; /* the raw result of initialize */
};
/* initialize + notifications/initialized with no client capabilities. */
bool upstream_session_start(struct services *sv, struct arena *a, struct registry_entry *entry,
                            const struct credential *cred, struct upstream_session *out,
                            struct err *e) must_use;
/* DELETE; failures are ignored: the server may not allow it. */
void upstream_session_end(struct services *sv, struct arena *a, struct registry_entry *entry,
                          const struct credential *cred, struct str id, struct str version);

/* The _meta members that every stateless request of Tulle's own carries, as a JSON object. */
#define UPSTREAM_META                                                                              \
    "{\"io.modelcontextprotocol/protocolVersion\":\"" MCP_STATELESS_LATEST "\","                   \
    "\"io.modelcontextprotocol/clientCapabilities\":{},"                                           \
    "\"io.modelcontextprotocol/clientInfo\":{\"name\":\"tulle\",\"version\":\"" TULLE_VERSION      \
    "\"}}"
