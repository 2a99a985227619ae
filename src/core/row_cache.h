/*
 * What one worker remembers of the store until authorization data changes (db_epoch): values made
 * of rows, each in memory of its own, which the requests that use it hold. One thread.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "core/services.h"

struct row_cache;
struct row_cache *row_cache_new(void) must_use;
void row_cache_free(struct row_cache *c);

/* Makes the value of a question, or NULL and the error; what it points to lives in `keep`. Waits
 * (store). *may_keep false: it is for this request only. */
typedef void *row_load_fn(struct services *sv, struct arena *keep, void *arg, bool *may_keep,
                          struct err *e);
struct row_ask {
    struct str kind, key; /* together the name of the value */
    row_load_fn *load;
    void *arg;
};
/*
 * The value, known or made; the same for all who ask until something changes. Valid until the arena
 * ends. NULL: the errors of `load`, which are not remembered; ERR_UNAVAILABLE: out of memory.
 * Nothing is kept where sv->rows is NULL (command line).
 */
void *row_cache_get(struct services *sv, struct arena *a, const struct row_ask *ask,
                    struct err *e) must_use;
