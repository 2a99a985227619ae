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

/* What holds a value. */
struct row {
    struct arena *keep; /* all that the value points to; ends with it */
    bool may_keep;      /* false: it is for this request only; set by whoever makes it */
    void *value;        /* private */
    int refs;           /* private: the cache's, and one of each arena that holds it */
};
/* Makes the value of a question in row->keep, or NULL and the error. Waits (store). */
typedef void *row_load_fn(struct services *sv, struct row *row, void *arg, struct err *e);
struct row_ask {
    struct str kind, key; /* together the name of the value; kind absent: the key alone */
    row_load_fn *load;
    void *arg;
};
/*
 * The value, known or made; the same for all who ask until something changes. Valid until the arena
 * ends. NULL: the errors of `load`, which are not remembered; ERR_UNAVAILABLE: out of memory.
 * c NULL: nothing is kept (command line).
 */
void *row_cache_get(struct row_cache *c, struct services *sv, struct arena *a,
                    const struct row_ask *ask, struct err *e) must_use;
/* Forgets one that was asked for by its key alone; who holds it has it still. */
void row_cache_drop(struct row_cache *c, struct str key);
/* Keeps a value until another arena ends, too. False: out of memory. */
bool row_hold(struct arena *a, struct row *row) must_use;
