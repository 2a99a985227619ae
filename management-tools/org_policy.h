/* What other tools change of an organization's policy. */
#pragma once

#include "core/org_policy.h"
#include "management-tools/registry.h"

/* Requires this provider of everybody, or no longer. Waits (store). ERR_UNPROCESSABLE: nobody could
 * sign in any more. */
bool org_policy_enforce(struct tool_call *c, struct str provider_id, bool is_enforced,
                        struct err *e) must_use;
/* May this provider go, or be switched off? ERR_UNPROCESSABLE: the policy requires it. Waits
 * (store). */
bool org_policy_spares(struct tool_call *c, struct str provider_id, struct err *e) must_use;
