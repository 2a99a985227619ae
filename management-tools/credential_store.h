/* Sealing and forgetting downstream credentials. The only place of the tools that touches their
 * plain text. */
#pragma once

#include "management-tools/registry.h"
#include "store/connections.h"
#include "store/credentials.h"

/* Fills row->sealed, bound to the row's connection and owner. */
bool credential_store_seal_text(struct tool_call *c, struct credential_row *row, struct str plain,
                                struct err *e) must_use;
/* Reads the one form in `form` and seals it for a row that is yet to be stored. ERR_INVALID as
 * core/credential_rules.h. */
bool credential_store_seal(struct tool_call *c, const struct connection *conn, struct str user_id,
                           const struct jvalue *form, struct credential_row *row,
                           struct err *e) must_use;
/*
 * Reads the one form in `form`, seals it and stores it for user_id ("": the organization's). Ends
 * this worker's sessions of the connection. ERR_INVALID as core/credential_rules.h; the store's
 * errors.
 */
bool credential_store_put(struct tool_call *c, const struct connection *conn, struct str user_id,
                          const struct jvalue *form, struct str *kind, struct err *e) must_use;
/* Forgets every credential of a connection, the organization's and each person's. */
bool credential_store_clear(struct tool_call *c, const struct connection *conn,
                            struct err *e) must_use;
/* Whose credential the caller's calls of this connection use: "" or the caller. */
struct str credential_store_owner(const struct tool_call *c, const struct connection *conn);
bool credential_store_has(struct tool_call *c, const struct connection *conn, bool *out,
                          struct err *e) must_use;
