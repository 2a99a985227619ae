/* Client assertions that were used. */
#pragma once

#include "store/db.h"

/* Remembers one until it has expired (ms). ERR_CONFLICT: it was used before. */
bool oauth_assertions_use(struct db *db, struct arena *a, struct str hash, int64_t expires_at,
                          int64_t now, struct err *e) must_use;
