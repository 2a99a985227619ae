#include "core/row_cache.h"

#include <stdlib.h>

#include "base/limits.h"
#include "base/map.h"
#include "store/db.h"

enum { ROW_ARENA_BYTES = 16 * 1024 * 1024 };

struct row_cache {
    struct map *rows;
    uint64_t epoch;
};

/* The row stands in what it holds. */
static void row_release(void *arg)
{
    struct row *row = arg;
    if (--row->refs == 0)
        arena_end(row->keep);
}

struct row_cache *row_cache_new(void)
{
    struct row_cache *c = calloc(1, sizeof(*c));
    if (c)
        c->rows = map_new();
    if (c && c->rows)
        return c;
    free(c);
    return NULL;
}

void row_cache_free(struct row_cache *c)
{
    if (!c)
        return;
    map_free(c->rows, row_release);
    free(c);
}

static bool release_each(struct str key unused_arg, void *value, void *arg unused_arg)
{
    row_release(value);
    return true;
}

static void cache_refresh(struct row_cache *c, uint64_t epoch)
{
    if (c->epoch == epoch && map_count(c->rows) < LIMIT_CACHE_ENTRIES)
        return;
    map_each(c->rows, release_each, NULL);
    c->epoch = epoch;
}

static struct row *row_new(struct services *sv, const struct row_ask *ask, struct err *e)
{
    struct arena *keep = arena_new(ROW_ARENA_BYTES);
    struct row *row = keep ? arena_alloc(keep, sizeof(*row)) : NULL;
    if (!row) {
        arena_end(keep);
        err_set(e, ERR_UNAVAILABLE, "out of memory");
        return NULL;
    }
    *row = (struct row){.keep = keep, .may_keep = true, .refs = 1};
    row->value = ask->load(sv, row, ask->arg, e);
    if (row->value)
        return row;
    row_release(row);
    return NULL;
}

/* Known, or made and, if nothing changed while it was read, known from now on. The caller of this
 * function holds it. */
static struct row *row_find(struct row_cache *c, struct services *sv, const struct row_ask *ask,
                            struct str name, struct err *e)
{
    const struct db_store *store = db_store_of(sv->db);
    uint64_t epoch = db_epoch(store);
    if (c)
        cache_refresh(c, epoch);
    struct row *row = c ? map_get(c->rows, name) : NULL;
    if (row) {
        row->refs++;
        return row;
    }
    row = row_new(sv, ask, e);
    void *old = NULL;
    if (row && c && row->may_keep && c->epoch == epoch && epoch == db_epoch(store) &&
        map_set(c->rows, name, row, &old)) {
        row->refs++;
        if (old)
            row_release(old);
    }
    return row;
}

void *row_cache_get(struct row_cache *c, struct services *sv, struct arena *a,
                    const struct row_ask *ask, struct err *e)
{
    struct str name =
        str_is_absent(ask->kind) ? ask->key : ARENA_JOIN(a, ask->kind, STR(" "), ask->key);
    struct row *row = str_is_absent(name) ? NULL : row_find(c, sv, ask, name, e);
    if (row && arena_on_end(a, row_release, row))
        return row->value;
    if (row)
        row_release(row);
    if (row || str_is_absent(name))
        err_set(e, ERR_UNAVAILABLE, "out of memory");
    return NULL;
}

void row_cache_drop(struct row_cache *c, struct str key)
{
    struct row *row = map_take(c->rows, key);
    if (row)
        row_release(row);
}

bool row_hold(struct arena *a, struct row *row)
{
    if (!arena_on_end(a, row_release, row))
        return false;
    row->refs++;
    return true;
}
