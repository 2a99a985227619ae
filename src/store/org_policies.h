/* What organizations demand, as JSON text (core/org_policy.h knows what it says). */
#pragma once

#include "store/db.h"

/* ERR_NOT_FOUND: the organization has the defaults. */
bool org_policies_get(struct db *db, struct arena *a, struct str org_id, struct str *policy,
                      struct err *e) must_use;
/* Replaces `before` (absent: there was none). ERR_CONFLICT: it is another one by now. */
bool org_policies_put(struct db *db, struct arena *a, struct str org_id, struct str before,
                      struct str policy, int64_t now, struct err *e) must_use;
