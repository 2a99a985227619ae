/* How often something was asked for, in windows of time; successes count, too. */
#pragma once

#include "store/db.h"

struct ask_rule {
    int64_t max; /* in one window */
    int64_t window_ms;
};
/* Counts one. *is_allowed false: the window is full. The name is a digest of what is counted. */
bool ask_counts_add(struct db *db, struct arena *a, struct str name, const struct ask_rule *rule,
                    int64_t now, bool *is_allowed, struct err *e) must_use;
