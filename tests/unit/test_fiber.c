/* Fibers: starting, yielding, stacks and registers, many at once, misuse. */
#include "unit/fiber_rig.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include "base/limits.h"
#include "io/fiber_stack.h"
#include "io/thread.h"
#include "log/metrics.h"
#include "unit/dies.h"

/* ---- starting ---- */

static void note_self(void *arg)
{
    *(struct fiber **)arg = fiber_self();
}

static void starts(void *arg)
{
    (void)arg;
    struct err e;
    struct fiber *seen = NULL;
    struct fiber *out = NULL;
    struct fiber *me = fiber_self();
    assert_true(fiber_start(fiber_loop(), note_self, &seen, &out, &e));
    assert_non_null(seen);
    assert_ptr_equal(seen, out);
    assert_ptr_not_equal(seen, me);
    assert_ptr_equal(fiber_self(), me);
    assert_ptr_equal(fiber_loop(), loop_self());
}

static void a_fiber_runs_before_its_start_returns(void **state)
{
    (void)state;
    assert_null(fiber_self());
    assert_null(fiber_loop());
    in_fiber(starts, NULL);
    assert_null(fiber_self());
}

struct nest {
    int depth;
    int *order;
    int *count;
};

static void start_nested(void *arg)
{
    const struct nest *n = arg;
    struct err e;
    n->order[(*n->count)++] = n->depth;
    if (n->depth > 1) {
        struct nest inner = {n->depth - 1, n->order, n->count};
        assert_true(fiber_start(fiber_loop(), start_nested, &inner, NULL, &e));
    }
    n->order[(*n->count)++] = -n->depth;
}

static void fibers_started_by_fibers_return_to_their_starter(void **state)
{
    (void)state;
    int order[6];
    int count = 0;
    struct nest n = {3, order, &count};
    in_fiber(start_nested, &n);
    static const int expected[6] = {3, 2, 1, -1, -2, -3};
    assert_memory_equal(order, expected, sizeof order);
}

/* ---- yielding ---- */

struct yielding {
    bool stop;
    int turns;
};

static void yield_for_ever(void *arg)
{
    struct yielding *y = arg;
    while (!y->stop) {
        y->turns++;
        fiber_yield();
    }
}

static void yields(void *arg)
{
    struct yielding *y = arg;
    struct err e;
    assert_true(fiber_start(fiber_loop(), yield_for_ever, y, NULL, &e));
    assert_true(fiber_sleep_until(soon(), &e)); /* the loop's timers get their turn */
    y->stop = true;
    fiber_yield();
    fiber_yield();
}

static void a_yielding_fiber_leaves_the_others_their_turn(void **state)
{
    (void)state;
    struct yielding y = {0};
    in_fiber(yields, &y);
    assert_true(y.turns > 1);
}

/* ---- registers and stacks ---- */

/* x86-64's calling convention keeps the rounding mode across calls, AArch64's does not. */
#if defined(__x86_64__)
static void rounding_set(unsigned mode)
{
    _MM_SET_ROUNDING_MODE(mode);
}
static unsigned rounding(void)
{
    return _MM_GET_ROUNDING_MODE();
}
static const unsigned modes[4] = {_MM_ROUND_NEAREST, _MM_ROUND_UP, _MM_ROUND_DOWN,
                                  _MM_ROUND_TOWARD_ZERO};
#else
static void rounding_set(unsigned mode)
{
    (void)mode;
}
static unsigned rounding(void)
{
    return 0;
}
static const unsigned modes[4] = {0};
#endif

struct sums {
    double start;
    double result;
    unsigned rounding;
    bool kept_rounding;
};

/* Enough live values for every register that a call must keep, integer and floating point. */
static void sum_up(void *arg)
{
    struct sums *s = arg;
    double a = s->start, b = a + 1, c = a + 2, d = a + 3, g = a + 4, h = a + 5, i = a + 6,
           j = a + 7;
    long p = (long)a, q = p + 1, r = p + 2, t = p + 3, u = p + 4, v = p + 5, w = p + 6;
    rounding_set(s->rounding);
    for (int round = 0; round < 100; round++) {
        a += 1, b += a, c += b, d += c, g += 1, h += g, i += 1, j += i;
        p += 1, q += p, r += 1, t += r, u += 1, v += u, w += 1;
        fiber_yield();
        s->kept_rounding = s->kept_rounding && rounding() == s->rounding;
    }
    s->result = a + b + c + d + g + h + i + j + (double)(p + q + r + t + u + v + w);
    rounding_set(modes[0]);
}

static void sums_side_by_side(void *arg)
{
    (void)arg;
    struct err e;
    struct sums s[4];
    for (int i = 0; i < 4; i++) {
        s[i] = (struct sums){.start = i * 1000, .rounding = modes[i], .kept_rounding = true};
        assert_true(fiber_start(fiber_loop(), sum_up, &s[i], NULL, &e));
        assert_int_equal(rounding(), modes[0]);
    }
    while (fiber_count() > 1)
        fiber_yield();
    for (int i = 1; i < 4; i++) {
        double step = s[i].result - s[i - 1].result;
        assert_true(step == s[1].result - s[0].result && step > 0);
        assert_true(s[i].kept_rounding);
    }
}

static void registers_and_floating_point_modes_survive_a_wait(void **state)
{
    (void)state;
    in_fiber(sums_side_by_side, NULL);
}

/* Recursion with a kilobyte a level; parks at the bottom. */
static int dig(int depth) // NOLINT(misc-no-recursion)
{
    volatile char room[1024];
    for (size_t i = 0; i < sizeof room; i++)
        room[i] = (char)depth;
    int below = 0;
    if (depth > 0)
        below = dig(depth - 1);
    else
        fiber_yield();
    for (size_t i = 0; i < sizeof room; i++)
        if (room[i] != (char)depth)
            return -1000;
    return below + 1;
}

static void digs(void *arg)
{
    *(int *)arg = dig(79);
}

static void a_deep_call_chain_survives_a_wait(void **state)
{
    (void)state;
    int depth = 0;
    in_fiber(digs, &depth);
    assert_int_equal(depth, 80);
#ifdef TULLE_DEBUG
    assert_true(metric_value(M_FIBER_STACK_HIGH) > (int64_t)80 * 1024);
#endif
}

static int dig_for_ever(volatile int *depth) // NOLINT(misc-no-recursion)
{
    volatile char room[512];
    room[0] = (char)++*depth;
    return *depth > 0 ? dig_for_ever(depth) + room[0] : 0;
}

static void digs_too_deep(void *arg)
{
    (void)dig_for_ever(arg);
}

static bool overflow_in_fiber(void *arg)
{
    struct err e;
    return fiber_main(digs_too_deep, arg, &e);
}

static void running_off_the_stack_dies_at_the_guard_page(void **state)
{
    (void)state;
    volatile int depth = 0;
    assert_true(dies(overflow_in_fiber, (void *)(uintptr_t)&depth));
}

static bool write_byte(void *at)
{
    *(volatile char *)at = 1;
    return true;
}

static void the_byte_below_a_stack_is_out_of_reach(void **state)
{
    (void)state;
    char *low = fiber_stack_take();
    assert_non_null(low);
    assert_false(dies(write_byte, low));
    assert_true(dies(write_byte, low - 1));
    fiber_stack_give(low);
}

/* ---- many ---- */

enum {
#ifdef FIBER_TSAN
    MANY = 500, /* TSan's own record of a fiber is large */
#else
    MANY = 5000,
#endif
};

struct crowd {
    struct fiber_wait gate[MANY];
    int passed;
    int refused;
};

struct visitor {
    struct crowd *crowd;
    int n;
};

static void pass_gate(void *arg)
{
    const struct visitor v = *(struct visitor *)arg;
    struct err e;
    char label[32];
    snprintf(label, sizeof label, "visitor %d", v.n);
    if (!fiber_wait(&v.crowd->gate[v.n], late(), &e))
        return;
    char expected[32];
    snprintf(expected, sizeof expected, "visitor %d", v.n);
    if (strcmp(label, expected) == 0)
        v.crowd->passed++;
}

static void crowds(void *arg)
{
    struct crowd *c = arg;
    struct err e;
    for (int i = 0; i < MANY; i++) {
        struct visitor v = {c, i};
        assert_true(fiber_start(fiber_loop(), pass_gate, &v, NULL, &e));
    }
    assert_int_equal(fiber_count(), MANY + 1);
    assert_int_equal(metric_value(M_FIBERS), MANY + 1);
    for (int i = 0; i < MANY; i++)
        fiber_wake(&c->gate[(i * 7) % MANY]);
    while (fiber_count() > 1)
        fiber_yield();
    assert_int_equal(metric_value(M_FIBERS), 1);
}

static void thousands_of_fibers_live_side_by_side(void **state)
{
    (void)state;
    for (int round = 0; round < 2; round++) { /* the second time on pooled stacks */
        struct crowd *c = calloc(1, sizeof *c);
        assert_non_null(c);
        in_fiber(crowds, c);
        assert_int_equal(c->passed, MANY);
        free(c);
    }
}

/* A place in a stack far below what an idle one always keeps. */
struct depth {
    char *page;
};

static void go_deep(void *arg)
{
    struct depth *d = arg;
    volatile char low[5 * 4096];
    low[0] = 1;
    d->page = (char *)((uintptr_t)&low[0] & ~(uintptr_t)4095);
}

static void run_deep(struct depth *d)
{
    struct err e;
    assert_true(fiber_start(fiber_loop(), go_deep, d, NULL, &e));
    while (fiber_count() > 1)
        fiber_yield();
}

/* What a moment with many fibers has left idle makes no difference to the one stack in use. */
static void stays_warm(void *arg)
{
    struct depth d = {0};
    unsigned char is_resident = 0;
    crowds(arg);
    run_deep(&d);
    assert_int_equal(mincore(d.page, 1, &is_resident), 0);
    assert_true(is_resident & 1);
}

static void a_stack_in_use_keeps_its_memory_after_a_crowd(void **state)
{
    (void)state;
    struct crowd *c = calloc(1, sizeof *c);
    assert_non_null(c);
    in_fiber(stays_warm, c);
    free(c);
}

#ifndef FIBER_TSAN
struct limit {
    struct fiber_wait gate[LIMIT_FIBERS];
    int started;
    enum err_code code;
};

static void wait_at_gate(void *arg)
{
    struct err e;
    assert_true(fiber_wait(arg, INT64_MAX, &e));
}

static void fills_up(void *arg)
{
    struct limit *l = arg;
    struct err e = {.code = ERR_NONE};
    while (fiber_start(fiber_loop(), wait_at_gate, &l->gate[l->started], NULL, &e))
        l->started++;
    l->code = e.code;
    for (int i = 0; i < l->started; i++)
        fiber_wake(&l->gate[i]);
    while (fiber_count() > 1)
        fiber_yield();
    struct waiter w = {.wait.is_done = true};
    waiter_start(&w, late());
    assert_true(w.result);
}

static void beyond_the_limit_a_fiber_is_refused(void **state)
{
    (void)state;
    struct limit *l = calloc(1, sizeof *l);
    assert_non_null(l);
    in_fiber(fills_up, l);
    assert_int_equal(l->started, LIMIT_FIBERS - 1);
    assert_int_equal(l->code, ERR_UNAVAILABLE);
    free(l);
}
#endif

static void *thread_with_fibers(void *arg)
{
    struct ping p = {.rounds = 500};
    struct err e;
    *(bool *)arg = fiber_main(pings, &p, &e) && p.answered == p.rounds;
    return NULL;
}

static void each_thread_has_its_own_fibers(void **state)
{
    (void)state;
    pthread_t threads[4];
    bool worked[4] = {false};
    struct err e;
    for (int i = 0; i < 4; i++)
        assert_true(thread_start(&threads[i], "fibers", thread_with_fibers, &worked[i], &e));
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        assert_true(worked[i]);
    }
}

/* ---- misuse ---- */

static bool wait_nowhere(void *arg)
{
    struct err e;
    (void)arg;
    struct fiber_wait w = {0};
    return fiber_wait(&w, INT64_MAX, &e);
}

/* ---- pauses ---- */

struct noted {
    struct fiber_pause pause; /* first */
    int n;
};

static void note_pause(struct fiber_pause *p)
{
    ((struct noted *)p)->n++;
}

static void pause_when_ending(void *arg)
{
    fiber_pause_add(arg);
}

static void pauses(void *arg)
{
    (void)arg;
    struct err e;
    struct noted first = {.pause.fn = note_pause}, dropped = first, ended = first;
    fiber_pause_add(&dropped.pause);
    fiber_pause_add(&first.pause);
    fiber_pause_add(&first.pause);
    fiber_pause_drop(&dropped.pause);
    fiber_pause_drop(&dropped.pause);
    assert_int_equal(first.n, 0);
    fiber_yield();
    assert_int_equal(first.n, 1);
    fiber_yield();
    assert_int_equal(first.n, 1);
    assert_int_equal(dropped.n, 0);

    fiber_pause_add(&first.pause); /* another one's start gives the thread away, too */
    assert_true(fiber_start(fiber_loop(), pause_when_ending, &ended.pause, NULL, &e));
    assert_int_equal(first.n, 2);
    assert_int_equal(ended.n, 1);
}

static void a_pause_runs_once_before_another_fiber_does(void **state)
{
    (void)state;
    in_fiber(pauses, NULL);
}

static void unshield_nothing(void *arg)
{
    (void)arg;
    fiber_shield(false);
}

static bool unshields(void *arg)
{
    struct err e;
    return fiber_main(unshield_nothing, arg, &e);
}

static void wait_where_another_waits(void *arg)
{
    struct err e;
    struct waiter w = {0};
    waiter_start(&w, late());
    *(bool *)arg = fiber_wait(&w.wait, late(), &e);
}

static bool waits_twice(void *arg)
{
    struct err e;
    return fiber_main(wait_where_another_waits, arg, &e);
}

static void misuse_is_a_bug(void **state)
{
    (void)state;
    assert_true(dies(wait_nowhere, NULL));
    assert_true(dies(unshields, NULL));
    assert_true(dies(waits_twice, &(bool){false}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fiber_runs_before_its_start_returns),
        cmocka_unit_test(fibers_started_by_fibers_return_to_their_starter),
        cmocka_unit_test(a_yielding_fiber_leaves_the_others_their_turn),
        cmocka_unit_test(registers_and_floating_point_modes_survive_a_wait),
        cmocka_unit_test(a_deep_call_chain_survives_a_wait),
        cmocka_unit_test(running_off_the_stack_dies_at_the_guard_page),
        cmocka_unit_test(the_byte_below_a_stack_is_out_of_reach),
        cmocka_unit_test(thousands_of_fibers_live_side_by_side),
        cmocka_unit_test(a_stack_in_use_keeps_its_memory_after_a_crowd),
#ifndef FIBER_TSAN
        cmocka_unit_test(beyond_the_limit_a_fiber_is_refused),
#endif
        cmocka_unit_test(each_thread_has_its_own_fibers),
        cmocka_unit_test(a_pause_runs_once_before_another_fiber_does),
        cmocka_unit_test(misuse_is_a_bug),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
