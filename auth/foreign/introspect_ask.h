/* Asks the authorization server that made an opaque token what it is (RFC 7662). */
#pragma once

#include "core/services.h"
#include "json/jread.h"
#include "store/org_issuers.h"

/* *out: the answer of an active token; lives as long as the arena. ERR_UNAUTHENTICATED: it is not
 * active; ERR_UPSTREAM, ERR_EGRESS, ERR_TIMEOUT: its server does not say. Waits. */
bool introspect_ask(struct services *sv, struct arena *a, const struct org_issuer *issuer,
                    struct str token, const struct jvalue **out, struct err *e) must_use;
