/*
 * Who does how much: requests a minute and requests at once, of whoever has a name. One table for
 * the process, shared by its workers; each node counts for itself (spec/decisions). Any thread.
 */
#pragma once

#include "base/str.h"

struct rates;
struct rates *rates_new(void) must_use;
void rates_free(struct rates *r);

/*
 * One more request of `name`, of which per_minute (> 0) are allowed in any minute, all of them at
 * once if need be. False: it is one too many and was not counted; *retry_ms: wait so long. Without
 * memory nothing is refused. now: clock_mono_ms.
 */
bool rates_pass(struct rates *r, struct str name, int64_t per_minute, int64_t now,
                int64_t *retry_ms) must_use;
/* The same question without counting. */
bool rates_would_pass(struct rates *r, struct str name, int64_t per_minute, int64_t now,
                      int64_t *retry_ms) must_use;

/* One more that runs, of at most `max`; true: it was counted, end with rates_leave. False: too
 * many, or no memory. */
bool rates_enter(struct rates *r, struct str name, int64_t max, int64_t now) must_use;
void rates_leave(struct rates *r, struct str name);
/* How many run; for tests. */
int64_t rates_running(struct rates *r, struct str name);
