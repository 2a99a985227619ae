/* Stacks of fibers. An idle stack holds its link in its own topmost bytes, so the pool allocates
 * nothing. */
#include "io/fiber_stack.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/err.h"
#include "base/limits.h"
#include "log/metrics.h"

#ifdef FIBER_ASAN
#include <sanitizer/asan_interface.h>
#endif
#if defined(TULLE_DEBUG) && defined(__has_include)
#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#define FIBER_VALGRIND 1
#endif
#endif

enum {
    KEPT_WARM = LIMIT_FIBER_POOL / 2, /* idle stacks that keep their memory */
    KEPT_TOP_PAGES = 2, /* pages that stay with the others: every fiber touches them */
#ifdef FIBER_ASAN
    STACK_BYTES = 2 * LIMIT_FIBER_STACK,
#else
    STACK_BYTES = LIMIT_FIBER_STACK,
#endif
};

/* The topmost bytes of every stack, out of the fiber's reach. */
struct tail {
    struct tail *next; /* while idle */
    unsigned valgrind_id;
};
enum { TAIL_BYTES = 64 };
static_assert(sizeof(struct tail) <= TAIL_BYTES, "the tail fits its place");
static_assert(2 * (LIMIT_WORKERS * LIMIT_FIBER_POOL + LIMIT_FIBERS) < 62000,
              "guards and stacks of all threads fit into Linux's vm.max_map_count");

struct idle {
    struct tail *first;
    int count;
};
struct pool {
    struct idle warm, cold; /* with all of their memory; without */
    bool has_end;           /* pool_end is registered for this thread */
};

static _Thread_local struct pool pool;
static pthread_key_t pool_key;
static pthread_once_t pool_once = PTHREAD_ONCE_INIT;

size_t fiber_stack_bytes(void)
{
    return STACK_BYTES - TAIL_BYTES;
}

static size_t page_bytes(void)
{
    static _Atomic size_t bytes;
    size_t n = atomic_load_explicit(&bytes, memory_order_relaxed);
    if (!n) {
        n = (size_t)sysconf(_SC_PAGESIZE);
        atomic_store_explicit(&bytes, n, memory_order_relaxed);
    }
    return n;
}

static struct tail *tail_of(char *low)
{
    return (void *)(low + STACK_BYTES - TAIL_BYTES);
}

static char *low_of(struct tail *tail)
{
    return (char *)tail + TAIL_BYTES - STACK_BYTES;
}

static char *stack_map(void)
{
    size_t guard = page_bytes();
    char *base = mmap(NULL, guard + STACK_BYTES, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED)
        return NULL;
    if (mprotect(base, guard, PROT_NONE) != 0) {
        munmap(base, guard + STACK_BYTES);
        return NULL;
    }
    char *low = base + guard;
#ifdef FIBER_VALGRIND
    tail_of(low)->valgrind_id = VALGRIND_STACK_REGISTER(low, low + STACK_BYTES);
#endif
    return low;
}

static void stack_unmap(char *low)
{
#ifdef FIBER_VALGRIND
    VALGRIND_STACK_DEREGISTER(tail_of(low)->valgrind_id);
#endif
    munmap(low - page_bytes(), page_bytes() + STACK_BYTES);
}

static char *idle_take(struct idle *idle)
{
    struct tail *t = idle->first;
    idle->first = t->next;
    idle->count--;
    return low_of(t);
}

static void idle_give(struct idle *idle, char *low)
{
    struct tail *t = tail_of(low);
    t->next = idle->first;
    idle->first = t;
    idle->count++;
}

/* At a thread's end. */
static void pool_end(void *p)
{
    struct pool *ending = p;
    while (ending->warm.count)
        stack_unmap(idle_take(&ending->warm));
    while (ending->cold.count)
        stack_unmap(idle_take(&ending->cold));
}

static void pool_key_make(void)
{
    if (pthread_key_create(&pool_key, pool_end) != 0)
        bug("no thread-specific key for the fiber pool");
}

#ifdef TULLE_DEBUG
/* A fresh mapping is zero and untouched: the lowest page in memory shows how deep the stack went,
 * without filling it. */
static size_t stack_used_bytes(char *low)
{
    size_t page = page_bytes();
    unsigned char resident[STACK_BYTES / 4096];
    size_t at = 0;
#ifdef FIBER_VALGRIND
    VALGRIND_MAKE_MEM_DEFINED(low, STACK_BYTES); /* it rightly takes a dead stack for undefined */
#endif
    if (mincore(low, STACK_BYTES, resident) == 0)
        while (at < STACK_BYTES && !(resident[at / page] & 1))
            at += page;
    while (at < STACK_BYTES && low[at] == 0)
        at++;
    return STACK_BYTES - at;
}

static void high_water_note(char *low)
{
    static _Atomic int64_t high;
    int64_t used = (int64_t)stack_used_bytes(low);
    int64_t before = atomic_load_explicit(&high, memory_order_relaxed);
    while (used > before) {
        if (atomic_compare_exchange_weak(&high, &before, used)) {
            metric_add(M_FIBER_STACK_HIGH, used - before);
            return;
        }
    }
}
#endif

char *fiber_stack_take(void)
{
    if (pool.warm.count)
        return idle_take(&pool.warm);
    return pool.cold.count ? idle_take(&pool.cold) : stack_map();
}

void fiber_stack_give(char *low)
{
#ifdef FIBER_ASAN
    /* The last frames of the fiber never returned: their red zones are still marked. */
    __asan_unpoison_memory_region(low, STACK_BYTES);
#endif
#ifdef TULLE_DEBUG
    high_water_note(low);
#endif
    if (pool.warm.count + pool.cold.count >= LIMIT_FIBER_POOL) {
        stack_unmap(low);
        return;
    }
    if (!pool.has_end) {
        pthread_once(&pool_once, pool_key_make);
        pool.has_end = pthread_setspecific(pool_key, &pool) == 0;
    }
    if (pool.warm.count < KEPT_WARM) {
        idle_give(&pool.warm, low);
        return;
    }
    size_t keep = KEPT_TOP_PAGES * page_bytes();
    if (keep < STACK_BYTES)
        madvise(low, STACK_BYTES - keep, MADV_DONTNEED);
    idle_give(&pool.cold, low);
}
