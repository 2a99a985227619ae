#include "base/map.h"

#include <limits.h>
#include <stdlib.h>

/* Out of memory leaves the table as it was and says so here, instead of ending the process. */
#define HASH_NONFATAL_OOM           1
#define uthash_nonfatal_oom(failed) ((failed)->was_added = false)
#include <uthash.h>

#include "base/rand.h"

enum {
    PRIME_BITS = 61,
    POINT_BITS = 60, /* so that sums below need not be reduced */
    STEP = 7,        /* bytes */
};
static const uint64_t PRIME = (UINT64_C(1) << PRIME_BITS) - 1;
static const uint64_t STEP_MASK = (UINT64_C(1) << 8 * STEP) - 1;

struct entry {
    UT_hash_handle hh;
    void *value;
    bool was_added;
    char key[];
};

/* What uthash expands to is not ours to simplify, and the analyzer loses track in it. */
/* NOLINTBEGIN(readability-function-cognitive-complexity,clang-analyzer-*) */
struct map {
    struct entry *entries;
    uint64_t point; /* random */
};

struct map *map_new(void)
{
    struct map *m = calloc(1, sizeof(struct map));
    if (m)
        m->point = rand_u64() >> (64 - POINT_BITS);
    return m;
}

/* a * b modulo 2^61 - 1, but for a multiple of that: less than 2^61 + a / 2. */
static uint64_t multiply(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return ((uint64_t)product & PRIME) + (uint64_t)(product >> PRIME_BITS);
}

/*
 * Clients choose keys (ids, names, session ids): who does not know the map's point must not be able
 * to list keys that collide. The key's length and its bytes, seven at a time, are the coefficients
 * of a polynomial, and the hash is its value at that point: any two given keys of up to n bytes
 * agree at n/7 + 1 of the 2^60 points at most, and in the lower bits as seldom as chance has it
 * (Carter and Wegman, 1979).
 */
static unsigned hash_of(const struct map *m, struct str key)
{
    uint64_t hash = key.n, bytes;
    size_t i = 0;
    for (; key.n - i >= sizeof bytes; i += STEP) {
        memcpy(&bytes, key.p + i, sizeof bytes);
        hash = multiply(hash + (bytes & STEP_MASK), m->point);
    }
    bytes = 0;
    if (key.n > 0)
        memcpy(&bytes, key.p + i, key.n - i);
    return (unsigned)multiply(hash + bytes, m->point);
}

static struct entry *find(const struct map *m, struct str key, unsigned hash)
{
    struct entry *found = NULL;
    HASH_FIND_BYHASHVALUE(hh, m->entries, key.p ? key.p : "", (unsigned)key.n, hash, found);
    return found;
}

static struct entry *look_up(const struct map *m, struct str key)
{
    if (!m->entries || key.n > UINT_MAX)
        return NULL;
    return find(m, key, hash_of(m, key));
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
    struct entry *entry = look_up(m, key);
    return entry ? entry->value : NULL;
}

static bool entry_add(struct map *m, struct str key, unsigned hash, void *value)
{
    size_t size;
    if (__builtin_add_overflow(sizeof(struct entry), key.n, &size))
        return false;
    struct entry *entry = calloc(1, size);
    if (!entry)
        return false;
    entry->value = value;
    entry->was_added = true;
    if (key.n > 0)
        memcpy(entry->key, key.p, key.n);
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, m->entries, entry->key, (unsigned)key.n, hash, entry);
    if (!entry->was_added) {
        free(entry);
        return false;
    }
    return true;
}

bool map_set(struct map *m, struct str key, void *value, void **old)
{
    if (key.n > UINT_MAX)
        return false;
    unsigned hash = hash_of(m, key);
    struct entry *entry = find(m, key, hash);
    if (!entry) {
        if (!entry_add(m, key, hash, value))
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
    struct entry *entry = look_up(m, key);
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
        if (fn((struct str){entry->key, entry->hh.keylen}, entry->value, arg))
            (void)entry_remove(m, entry);
    }
}
/* NOLINTEND(readability-function-cognitive-complexity,clang-analyzer-*) */
