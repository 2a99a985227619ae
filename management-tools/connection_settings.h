/* A server's own settings (CONNECTION_CONFIGURE): sealed beside the credentials, under an owner
 * that is nobody. They are forgotten with the credentials when the server's address changes. */
#pragma once

#include "management-tools/registry.h"
#include "store/connections.h"

/* Seals and stores a JSON object. ERR_INVALID: larger than LIMIT_CREDENTIAL. Waits. */
bool connection_settings_put(struct tool_call *c, const struct connection *conn,
                             const struct jvalue *values, struct err *e) must_use;
