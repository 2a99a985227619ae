#include "base/map.h"

#include <limits.h>
#include <stdlib.h>

/* Out of memory leaves the table as it was and says so here, instead of ending the process. */
#define HASH_NONFATAL_OOM           1
#define uthash_nonfatal_oom(failed) ((failed)->was_added = false)
#include <uthash.h>

struct entry {
    UT_hash_handle hh;
    void *value;
    size_t n;
    bool was_added;
    char key[];
};

/* What uthash expands to is not ours to simplify, and the analyzer loses track in it. */
/* NOLINTBEGIN(readability-function-cognitive-complexity,clang-analyzer-*) */
struct map {
    struct entry *entries;
};

struct map *map_new(void)
{
    return calloc(1, sizeof(struct map));
}

static struct entry *find(const struct map *m, struct str key)
{
    struct entry *found = NULL;
    if (key.n <= UINT_MAX)
        HASH_FIND(hh, m->entries, key.p ? key.p : "", (unsigned)key.n, found);
    return found;
}

static void *entry_remove(struct map *m, struct entry *entry)
{
    void *value = entry->value;
    HASH_DEL(m->entries, entry);
    free(entry);
    return value;
}

void map_free(struct map *m, void (*free_value)(void *))
{
    if (!m)
        return;
    while (m->entries) {
        void *value = entry_remove(m, m->entries);
        if (free_value)
            free_value(value);
    }
    free(m);
}

void *map_get(const struct map *m, struct str key)
{
    struct entry *entry = find(m, key);
    return entry ? entry->value : NULL;
}

static bool entry_add(struct map *m, struct str key, void *value)
{
    size_t size;
    if (key.n > UINT_MAX || __builtin_add_overflow(sizeof(struct entry), key.n, &size))
        return false;
    struct entry *entry = calloc(1, size);
    if (!entry)
        return false;
    entry->value = value;
    entry->n = key.n;
    entry->was_added = true;
    if (key.n > 0)
        memcpy(entry->key, key.p, key.n);
    HASH_ADD_KEYPTR(hh, m->entries, entry->key, (unsigned)key.n, entry);
    if (!entry->was_added) {
        free(entry);
        return false;
    }
    return true;
}

bool map_set(struct map *m, struct str key, void *value, void **old)
{
    struct entry *entry = find(m, key);
    if (!entry) {
        if (!entry_add(m, key, value))
            return false;
        if (old)
            *old = NULL;
        return true;
    }
    if (old)
        *old = entry->value;
    entry->value = value;
    return true;
}

void *map_take(struct map *m, struct str key)
{
    struct entry *entry = find(m, key);
    return entry ? entry_remove(m, entry) : NULL;
}

size_t map_count(const struct map *m)
{
    return HASH_COUNT(m->entries);
}

void map_each(struct map *m, bool (*fn)(struct str key, void *value, void *arg), void *arg)
{
    struct entry *next;
    for (struct entry *entry = m->entries; entry; entry = next) {
        next = entry->hh.next;
        if (fn((struct str){entry->key, entry->n}, entry->value, arg))
            (void)entry_remove(m, entry);
    }
}
/* NOLINTEND(readability-function-cognitive-complexity,clang-analyzer-*) */
