/* String-keyed map from bytes to a pointer, thin over uthash. Keys are copied. Not thread-safe. */
#pragma once

#include "base/str.h"

struct map;
struct map *map_new(void) must_use;
void map_free(struct map *m, void (*free_value)(void *)); /* free_value may be NULL */
void *map_get(const struct map *m, struct str key);       /* NULL when absent */
/* Replaces; *old receives the value that was there (may be NULL pointer when not wanted). False
 * when out of memory. */
bool map_set(struct map *m, struct str key, void *value, void **old) must_use;
void *map_take(struct map *m, struct str key); /* removes and returns, or NULL */
size_t map_count(const struct map *m);
/* Calls fn for each entry; fn returns true to remove it (it then owns the value). */
void map_each(struct map *m, bool (*fn)(struct str key, void *value, void *arg), void *arg);
