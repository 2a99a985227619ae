/* What a registered server may look like. Pure: the address guard and the store are asked
 * elsewhere. */
#pragma once

#include "base/err.h"
#include "store/connections.h"

/*
 * Fills in what follows from the rest (transport) and checks that the fields fit together: url for
 * network transports, command for stdio, auth and credential_scope known, sizes by base/limits.h.
 * ERR_INVALID names the argument; ERR_UNPROCESSABLE: stdio where it is not allowed.
 */
bool connection_rules_check(struct connection *c, bool is_stdio_allowed, struct err *e) must_use;
/* True when a credential given for `before` must not travel to `after`: another origin, transport
 * kind or program. */
bool connection_rules_moved(struct arena *a, const struct connection *before,
                            const struct connection *after);
/* A tool's new name: [A-Za-z0-9_./-], at most 128. */
bool connection_rules_tool_name(struct str name);
