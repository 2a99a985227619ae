/* How a connection looks in answers: everything but its secrets. */
#pragma once

#include "json/jout.h"
#include "management-tools/registry.h"
#include "store/connections.h"

/* One object. Waits (store: is a credential set?). */
bool connection_item_write(struct tool_call *c, struct jout *j, const struct connection *conn,
                           struct err *e) must_use;
/* {"item": ...} of the connection as it is stored now. */
bool connection_item_answer(struct tool_call *c, struct str id, struct err *e) must_use;
