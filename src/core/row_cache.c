#include "core/row_cache.h"

#include <stdlib.h>

#include "base/limits.h"
#include "base/map.h"
#include "store/db.h"

enum { ENTRY_ARENA_BYTES = 1024 * 1024 };

struct entry {
    struct arena *keep;
    void *value;
    int refs; /* the map's, and one of each request that uses it */
};

struct row_cache {
    struct map *entries;
    uint64_t epoch;
};

static void entry_release(void *arg)
{
    struct entry *entry = arg;
    if (--entry->refs == 0) {
        arena_end(entry->keep);
        free(entry);
    }
}

struct row_cache *row_cache_new(void)
{
    struct row_cache *c = calloc(1, sizeof(*c));
    if (c)
        c->entries = map_new();
    if (c && c->entries)
        return c;
    free(c);
    return NULL;
}

void row_cache_free(struct row_cache *c)
{
    if (!c)
        return;
    map_free(c->entries, entry_release);
    free(c);
}

static bool release_each(struct str key unused_arg, void *value, void *arg unused_arg)
{
    entry_release(value);
    return true;
}

static void cache_refresh(struct row_cache *c, uint64_t epoch)
{
    if (c->epoch == epoch && map_count(c->entries) < LIMIT_CACHE_ENTRIES)
        return;
    map_each(c->entries, release_each, NULL);
    c->epoch = epoch;
}

static struct entry *entry_new(struct services *sv, const struct row_ask *ask, bool *may_keep,
                               struct err *e)
{
    struct entry *entry = calloc(1, sizeof(*entry));
    struct arena *keep = arena_new(ENTRY_ARENA_BYTES);
    if (!entry || !keep) {
        free(entry);
        arena_end(keep);
        err_set(e, ERR_UNAVAILABLE, "out of memory");
        return NULL;
    }
    *entry = (struct entry){.keep = keep, .refs = 1};
    entry->value = ask->load(sv, keep, ask->arg, may_keep, e);
    if (entry->value)
        return entry;
    entry_release(entry);
    return NULL;
}

/* Known, or made and, if nothing changed while it was read, known from now on. The caller of this
 * function holds it. */
static struct entry *entry_find(struct services *sv, const struct row_ask *ask, struct str name,
                                struct err *e)
{
    struct row_cache *c = sv->rows;
    const struct db_store *store = db_store_of(sv->db);
    bool may_keep = true;
    uint64_t epoch = db_epoch(store);
    if (c)
        cache_refresh(c, epoch);
    struct entry *entry = c ? map_get(c->entries, name) : NULL;
    if (entry) {
        entry->refs++;
        return entry;
    }
    entry = entry_new(sv, ask, &may_keep, e);
    void *old = NULL;
    if (entry && c && may_keep && c->epoch == epoch && epoch == db_epoch(store) &&
        map_set(c->entries, name, entry, &old)) {
        entry->refs++;
        if (old)
            entry_release(old);
    }
    return entry;
}

void *row_cache_get(struct services *sv, struct arena *a, const struct row_ask *ask, struct err *e)
{
    struct str name = ARENA_JOIN(a, ask->kind, STR(" "), ask->key);
    struct entry *entry = str_is_absent(name) ? NULL : entry_find(sv, ask, name, e);
    if (entry && arena_on_end(a, entry_release, entry))
        return entry->value;
    if (entry)
        entry_release(entry);
    if (entry || str_is_absent(name))
        err_set(e, ERR_UNAVAILABLE, "out of memory");
    return NULL;
}
