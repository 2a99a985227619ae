/* Reads raw tool definitions out of tools/list results. */
#pragma once

#include "base/err.h"
#include "store/connection_tools.h"

/* Appends name, hash and definition of each tool of a validated JSON array at tools[*n].
   ERR_UPSTREAM: more than max, or one without a name. Definitions are spans of `array`. */
bool upstream_tools_read(struct arena *a, struct str array, struct connection_tool *tools,
                         size_t max, size_t *n, struct err *e) must_use;
