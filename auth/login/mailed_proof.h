/*
 * What only a mail carries: an invitation's link is shown to whoever invites, too, so following it
 * proves nothing about the address. The mailed form has a proof beside the token.
 */
#pragma once

#include "base/arena.h"
#include "core/services.h"

/* Hex. STR_NONE: out of memory. */
struct str mailed_proof_of(const struct services *sv, struct arena *a, struct str token) must_use;
bool mailed_proof_check(const struct services *sv, struct arena *a, struct str token,
                        struct str given) must_use;
