/* A sign-in provider as the tools answer it. */
#pragma once

#include "management-tools/tool_io.h"
#include "store/sso_providers.h"

/* The provider of arguments.provider_id. ERR_NOT_FOUND. Waits. */
bool sso_item_find(struct tool_call *c, struct sso_provider *out, struct err *e) must_use;
/* Writes one provider as a value; problem: why it cannot be used as it is, absent: nothing known.
 * Waits. */
bool sso_item_write(struct tool_call *c, const struct sso_provider *p, struct str problem,
                    struct jout *j, struct err *e) must_use;
/* {"item": ...} of one of the organization's. Waits. */
bool sso_item_answer(struct tool_call *c, struct str id, struct str problem,
                     struct err *e) must_use;
