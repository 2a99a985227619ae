/* How a use of a management tool is recorded: every act that changes something, and every refusal.
 */
#pragma once

#include "management-tools/registry.h"

/* Takes a place in the audit queue. ERR_UNAVAILABLE: full, and nothing has been done yet. */
bool registry_audit_open(struct tool_call *c, struct err *e) must_use;
/*
 * Fills the place: outcome ok, or failed/cancelled with *e, or gives it back when the function
 * recorded itself. With AUDIT_SYNC it waits, cancelled or not. False: the record could not be made
 * durable, *e says so.
 */
bool registry_audit_close(struct tool_call *c, bool is_good, int64_t started_us,
                          struct err *e) must_use;
/* One row with outcome denied. `why` is for the record, not for the caller. ERR_UNAVAILABLE: no
 * place. */
bool registry_audit_denial(struct tool_call *c, struct str why, struct err *e) must_use;
