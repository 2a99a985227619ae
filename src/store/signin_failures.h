/* Failed sign-ins in a row, and how long the next attempt must wait. */
#pragma once

#include "store/db.h"

struct signin_rule {
    int64_t free;      /* attempts before the first wait */
    int64_t window_ms; /* silence after which the count starts again */
};
/*
 * Counts one attempt under `name` before it is judged, so that parallel ones cannot slip through
 * together. *wait_until 0: go on; otherwise (ms) the attempt was not counted and may not be judged.
 * From the free-th attempt on each starts a wait for the next one: 1, 2, 4, 8, then 15 minutes.
 */
bool signin_failures_count(struct db *db, struct arena *a, struct str name,
                           const struct signin_rule *rule, int64_t now, int64_t *wait_until,
                           struct err *e) must_use;
/* The attempt was no failure after all: forgets the name, or takes one attempt back. */
bool signin_failures_forget(struct db *db, struct arena *a, struct str name,
                            struct err *e) must_use;
bool signin_failures_refund(struct db *db, struct arena *a, struct str name,
                            struct err *e) must_use;
