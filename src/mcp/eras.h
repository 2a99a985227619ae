/* The protocol revisions and what each has. "Session" revisions begin with initialize; the
 * stateless one carries all in _meta. */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"

#define MCP_SESSION_LATEST   "2025-11-25"
#define MCP_STATELESS_LATEST "2026-07-28"

enum era { ERA_UNKNOWN, ERA_SESSION, ERA_STATELESS };

/* The era a protocol version belongs to; ERA_UNKNOWN for a version that nobody published. */
enum era era_of_version(struct str version);
/* How eras are stored and shown: "session", "stateless", absent for unknown. */
struct str era_name(enum era era);
enum era era_parse(struct str name);
/* The version an initialize asking for `wanted` is answered with: itself when known, else the
 * latest session revision. */
struct str era_negotiate(struct str wanted);
/* {"supported":[...],"requested":"..."}: the data of an unsupported-version error, for one era's
 * versions. */
void era_write_supported(struct buf *out, enum era era, struct str requested);
/* True when the revision knows JSON-RPC batches (2025-03-26 only). */
bool era_has_batches(struct str version);
