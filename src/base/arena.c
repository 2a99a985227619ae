/*
 * A list of chunks. The first chunk holds the arena itself. It and the second one come from short
 * free lists of their thread, so that an ordinary request costs no malloc. Under AddressSanitizer
 * every byte that was not handed out is poisoned.
 */
#include "base/arena.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_ASAN 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define ARENA_ASAN 1
#endif
#ifdef ARENA_ASAN
#include <sanitizer/asan_interface.h>
#define poison(p, n)   ASAN_POISON_MEMORY_REGION((p), (n))
#define unpoison(p, n) ASAN_UNPOISON_MEMORY_REGION((p), (n))
#else
#define poison(p, n)   ((void)(p), (void)(n))
#define unpoison(p, n) ((void)(p), (void)(n))
#endif

enum {
    ALIGN = 16,              /* bytes; every allocation starts at a multiple */
    FIRST_CHUNK = 4 * 1024,  /* bytes of an arena's first chunk */
    LAST_CHUNK = 256 * 1024, /* bytes at which chunks stop doubling */
    POOLS = 2,
};

struct chunk {
    struct chunk *next;
    size_t size; /* bytes after this header */
};

struct hook {
    struct hook *next;
    void (*fn)(void *);
    void *arg;
};

struct arena {
    struct chunk *chunks; /* newest first; the last one holds this struct */
    struct hook *hooks;   /* newest first */
    char *at, *end;       /* what is free in the newest chunk */
    size_t used, max;     /* bytes, in multiples of ALIGN */
};

_Static_assert(sizeof(struct chunk) % ALIGN == 0, "the bytes after a chunk's header are aligned");

/* Idle chunks of one size. */
struct pool {
    struct chunk *first;
    size_t n;
};

static _Thread_local struct pool pools[POOLS];
static const size_t pool_sizes[POOLS] = {FIRST_CHUNK - sizeof(struct chunk),
                                         2 * (FIRST_CHUNK - sizeof(struct chunk))};
static const size_t pool_max[POOLS] = {256, 64}; /* kept per thread: 1.5 MiB */
static pthread_key_t pool_key;
static pthread_once_t pool_once = PTHREAD_ONCE_INIT;

static void pools_free(void *unused)
{
    (void)unused;
    for (size_t i = 0; i < POOLS; i++) {
        while (pools[i].first) {
            struct chunk *c = pools[i].first;
            pools[i].first = c->next;
            free(c);
        }
        pools[i].n = 0;
    }
}

static void pool_key_make(void)
{
    ensure(pthread_key_create(&pool_key, pools_free) == 0);
}

static struct chunk *chunk_new(size_t size)
{
    for (size_t i = 0; i < POOLS; i++) {
        struct chunk *idle = pools[i].first;
        if (size != pool_sizes[i] || !idle)
            continue;
        pools[i].first = idle->next;
        pools[i].n--;
        return idle;
    }
    struct chunk *c = malloc(sizeof(*c) + size);
    if (!c)
        return NULL;
    c->size = size;
    poison(c + 1, size);
    return c;
}

static void chunk_end(struct chunk *c)
{
    for (size_t i = 0; i < POOLS; i++) {
        if (c->size != pool_sizes[i] || pools[i].n >= pool_max[i])
            continue;
        if (!pools[i].first) {
            /* A value that is not NULL makes the thread's end run pools_free. */
            pthread_once(&pool_once, pool_key_make);
            pthread_setspecific(pool_key, &pool_key);
        }
        poison(c + 1, c->size);
        c->next = pools[i].first;
        pools[i].first = c;
        pools[i].n++;
        return;
    }
    unpoison(c + 1, c->size);
    free(c);
}

static size_t rounded(size_t n)
{
    return (n + ALIGN - 1) / ALIGN * ALIGN;
}

struct arena *arena_new(size_t max_bytes)
{
    struct chunk *c = chunk_new(pool_sizes[0]);
    if (!c)
        return NULL;
    c->next = NULL;
    struct arena *a = (struct arena *)(void *)(c + 1);
    unpoison(a, sizeof(*a));
    *a = (struct arena){.chunks = c, .max = max_bytes};
    a->at = (char *)a + rounded(sizeof(*a));
    a->end = (char *)a + c->size;
    return a;
}

void arena_end(struct arena *a)
{
    if (!a)
        return;
    while (a->hooks) {
        struct hook *h = a->hooks;
        a->hooks = h->next;
        h->fn(h->arg);
    }
    struct chunk *c = a->chunks;
    while (c) { /* the last holds the arena */
        struct chunk *older = c->next;
        chunk_end(c);
        c = older;
    }
}

void arena_endp(struct arena **a)
{
    arena_end(*a);
    *a = NULL;
}

/* A chunk with room for n bytes becomes the newest. */
static bool chunk_add(struct arena *a, size_t n)
{
    size_t size = a->chunks->size * 2;
    if (size > LAST_CHUNK)
        size = LAST_CHUNK;
    if (size < n)
        size = n;
    struct chunk *c = chunk_new(size);
    if (!c)
        return false;
    c->next = a->chunks;
    a->chunks = c;
    a->at = (char *)(c + 1);
    a->end = a->at + size;
    return true;
}

/* n bytes that are not zeroed. */
static void *take(struct arena *a, size_t n)
{
    if (n > a->max)
        return NULL;
    size_t size = n == 0 ? ALIGN : rounded(n);
    if (size > a->max - a->used)
        return NULL;
    if (size > (size_t)(a->end - a->at) && !chunk_add(a, size))
        return NULL;
    char *p = a->at;
    a->at += size;
    a->used += size;
    unpoison(p, n);
    return p;
}

void *arena_alloc(struct arena *a, size_t n)
{
    void *p = take(a, n);
    if (p)
        memset(p, 0, n);
    return p;
}

struct str arena_dup(struct arena *a, struct str s)
{
    if (str_is_absent(s) || s.n == SIZE_MAX)
        return STR_NONE;
    char *p = take(a, s.n + 1);
    if (!p)
        return STR_NONE;
    memcpy(p, s.p, s.n);
    p[s.n] = '\0';
    return (struct str){p, s.n};
}

struct str arena_join(struct arena *a, const struct str *parts, size_t n)
{
    size_t total = 0;
    for (size_t i = 0; i < n; i++) {
        if (parts[i].n > SIZE_MAX - 1 - total)
            return STR_NONE;
        total += parts[i].n;
    }
    char *p = total < SIZE_MAX ? take(a, total + 1) : NULL;
    if (!p)
        return STR_NONE;
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        if (parts[i].n > 0)
            memcpy(p + at, parts[i].p, parts[i].n);
        at += parts[i].n;
    }
    p[at] = '\0';
    return (struct str){p, at};
}

struct str arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    char *p = n < 0 ? NULL : take(a, (size_t)n + 1);
    if (!p)
        return STR_NONE;
    va_start(args, fmt);
    vsnprintf(p, (size_t)n + 1, fmt, args);
    va_end(args);
    return (struct str){p, (size_t)n};
}

char *arena_cstr(struct arena *a, struct str s)
{
    if (str_find_char(s, '\0') != SIZE_MAX || s.n == SIZE_MAX)
        return NULL;
    char *p = take(a, s.n + 1);
    if (!p)
        return NULL;
    if (s.n > 0)
        memcpy(p, s.p, s.n);
    p[s.n] = '\0';
    return p;
}

bool arena_on_end(struct arena *a, void (*fn)(void *), void *arg)
{
    struct hook *h = take(a, sizeof(*h));
    if (!h)
        return false;
    *h = (struct hook){.next = a->hooks, .fn = fn, .arg = arg};
    a->hooks = h;
    return true;
}

size_t arena_used(const struct arena *a)
{
    return a->used;
}
