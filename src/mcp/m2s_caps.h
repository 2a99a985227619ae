/* What a stateless client declares with each request, as a session server hears it in initialize.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "mcp/jsonrpc.h"

/* The parts that can be asked for. */
enum m2s_cap {
    M2S_ROOTS = 1,
    M2S_SAMPLING = 2,
    M2S_SAMPLING_TOOLS = 4,
    M2S_SAMPLING_CONTEXT = 8,
    M2S_FORM = 16,
    M2S_URL = 32,
};

/* Reads clientCapabilities (a validated JSON object): a set of enum m2s_cap. `elicitation: {}` is
 * form only. */
int m2s_caps_read(struct str capabilities);
/* The capabilities for initialize at revision 2025-11-25: roots without listChanged, sampling,
 * elicitation, and extensions and experimental as they are. The same text for the same meaning of
 * the known parts. STR_NONE: out of memory. */
struct str m2s_caps_project(struct arena *a, struct str capabilities) must_use;
/* May the client be asked this request of a server's? False with ERR_METHOD_NOT_FOUND (never) or
 * ERR_MISSING_CAPABILITY (not declared). */
bool m2s_caps_allow(int caps, const struct rpc_message *question, struct err *e) must_use;
