/* Memory with one end: everything that belongs to one request is allocated here and freed together.
 */
#pragma once

#include "base/str.h"

struct arena;

/* A new arena that refuses to grow beyond max_bytes. NULL only when out of memory. First chunks are
 * pooled per thread. */
struct arena *arena_new(size_t max_bytes) must_use;
/* Runs the end hooks, newest first, then frees the memory. NULL is fine. */
void arena_end(struct arena *a);
/* Zeroed, 16-aligned. NULL past max_bytes or out of memory. */
void *arena_alloc(struct arena *a, size_t n) must_use;
/* Copies; the copy is followed by a NUL (not counted). Absent stays absent; STR_NONE with *ok unset
 * when out of memory. */
struct str arena_dup(struct arena *a, struct str s) must_use;
/* The n parts, one after another, NUL-ended; STR_NONE when out of memory. What every call makes is
 * joined: printf is several times slower. */
struct str arena_join(struct arena *a, const struct str *parts, size_t n) must_use;
#define ARENA_JOIN(a, ...)                                                                         \
    arena_join(a, (const struct str[]){__VA_ARGS__},                                               \
               sizeof((const struct str[]){__VA_ARGS__}) / sizeof(struct str))
/* printf into the arena, NUL-ended; STR_NONE when out of memory. */
struct str arena_printf(struct arena *a, const char *fmt, ...) printf_like(2, 3) must_use;
/* NUL-ended copy for C libraries; NULL when out of memory or when s holds a NUL. */
char *arena_cstr(struct arena *a, struct str s) must_use;
/* fn(arg) will run in arena_end: for what is not memory. False when out of memory (fn not run). */
bool arena_on_end(struct arena *a, void (*fn)(void *), void *arg) must_use;
/* Bytes handed out so far. */
size_t arena_used(const struct arena *a);
/* For auto_free(arena_endp). */
void arena_endp(struct arena **a);
