/* requestState: what a stateless client carries from one round of a call to the next, sealed. */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "crypto/keyring.h"
#include "mcp/jsonrpc.h"

/* What a state is good for: it opens nowhere else. */
struct m2s_binding {
    struct str principal, connection_id;
    const struct rpc_message
        *message; /* method, name or uri, and arguments whatever their spelling */
};

/* A JSON text as one of its spellings: members sorted by name, no spaces, strings with as few
 * escapes as may be. STR_NONE: out of memory. */
struct str m2s_canonical(struct arena *a, struct str json) must_use;

/* Appends a raw JSON string. False: out of memory. */
bool m2s_state_seal(const struct keyring *keys, struct arena *a, const struct m2s_binding *b,
                    struct str handle, int round, int64_t expires_at, struct buf *out) must_use;
/* ERR_INVALID: forged, expired, or of another principal, connection or request. */
bool m2s_state_open(const struct keyring *keys, struct arena *a, const struct m2s_binding *b,
                    struct str raw, int64_t now, struct str *handle, int *round,
                    struct err *e) must_use;
