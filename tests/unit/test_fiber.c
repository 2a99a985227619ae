/* Fibers: parking and waking, deadlines, cancellation, stacks. */
#include "io/fiber.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include "base/clock.h"
#include "base/limits.h"
#include "io/fiber_stack.h"
#include "log/metrics.h"
#include "io/thread.h"
#include "unit/dies.h"

static void in_fiber(void (*fn)(void *arg), void *arg)
{
    struct err e;
    int before = fiber_count();
    assert_true(fiber_main(fn, arg, &e));
    assert_int_equal(fiber_count(), before);
}

static int64_t soon(void)
{
    return loop_now_ms(fiber_loop()) + 2;
}

static int64_t late(void)
{
    return loop_now_ms(fiber_loop()) + 60000;
}

/* A fiber that waits once and keeps what came of it. */
struct waiter {
    struct fiber *fiber;
    struct fiber_wait wait;
    int64_t deadline_ms;
    bool result;
    bool has_ended;
    struct err e;
    struct fiber_wait *then_wake; /* when it has ended */
};

static void wait_once(void *arg)
{
    struct waiter *w = arg;
    w->result = fiber_wait(&w->wait, w->deadline_ms, &w->e);
    w->has_ended = true;
    if (w->then_wake)
        fiber_wake(w->then_wake);
}

static void waiter_start(struct waiter *w, int64_t deadline_ms)
{
    struct err e;
    w->deadline_ms = deadline_ms;
    assert_true(fiber_start(fiber_loop(), wait_once, w, &w->fiber, &e));
}

/* Turns the loop until w has ended. */
static void waiter_join(const struct waiter *w)
{
    struct err e;
    for (int i = 0; i < 10000 && !w->has_ended; i++)
        assert_true(fiber_sleep_until(loop_now_ms(fiber_loop()) + 1, &e));
    assert_true(w->has_ended);
}

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

/* ---- waking ---- */

static void wakes(void *arg)
{
    (void)arg;
    struct waiter w = {0};
    waiter_start(&w, late());
    assert_false(w.has_ended);
    fiber_wake(&w.wait);
    fiber_wake(&w.wait);
    assert_false(w.has_ended); /* soon, not inside the call */
    waiter_join(&w);
    assert_true(w.result);
    fiber_wake(&w.wait); /* nobody waits any more */

    struct waiter early = {.wait.is_done = false};
    fiber_wake(&early.wait);
    waiter_start(&early, late());
    assert_true(early.has_ended && early.result);

    struct err e;
    struct fiber_wait again = {0};
    fiber_wake(&again);
    assert_true(fiber_wait(&again, soon(), &e));
    fiber_rearm(&again);
    assert_false(fiber_wait(&again, soon(), &e));
    assert_int_equal(e.code, ERR_TIMEOUT);
}

static void a_wake_ends_the_wait_once_whenever_it_comes(void **state)
{
    (void)state;
    in_fiber(wakes, NULL);
}

struct ping {
    struct fiber_wait a, b;
    int rounds;
    int answered;
};

static void answer_pings(void *arg)
{
    struct ping *p = arg;
    struct err e;
    for (int i = 0; i < p->rounds; i++) {
        assert_true(fiber_wait(&p->a, late(), &e));
        fiber_rearm(&p->a);
        p->answered++;
        fiber_wake(&p->b);
    }
}

static void pings(void *arg)
{
    struct ping *p = arg;
    struct err e;
    assert_true(fiber_start(fiber_loop(), answer_pings, p, NULL, &e));
    for (int i = 0; i < p->rounds; i++) {
        fiber_wake(&p->a);
        assert_true(fiber_wait(&p->b, late(), &e));
        fiber_rearm(&p->b);
        assert_int_equal(p->answered, i + 1);
    }
}

static void two_fibers_take_turns(void **state)
{
    (void)state;
    struct ping p = {.rounds = 5000};
    in_fiber(pings, &p);
    assert_int_equal(p.answered, 5000);
}

/* ---- deadlines ---- */

static void deadlines(void *arg)
{
    (void)arg;
    struct err e;
    struct fiber_wait w = {0};
    int64_t at = soon();
    assert_false(fiber_wait(&w, at, &e));
    assert_int_equal(e.code, ERR_TIMEOUT);
    assert_true(clock_mono_ms() >= at);
    assert_null(w.fiber);
    fiber_wake(&w); /* too late, harmless */

    struct fiber_wait past = {0};
    assert_false(fiber_wait(&past, loop_now_ms(fiber_loop()), &e));
    assert_int_equal(e.code, ERR_TIMEOUT);
}

static void a_wait_ends_at_its_deadline(void **state)
{
    (void)state;
    in_fiber(deadlines, NULL);
}

static void sleeps(void *arg)
{
    (void)arg;
    struct err e;
    int64_t at = soon();
    assert_true(fiber_sleep_until(at, &e));
    assert_true(clock_mono_ms() >= at);
    assert_true(fiber_sleep_until(0, &e));
}

static void a_sleep_lasts_until_its_time(void **state)
{
    (void)state;
    in_fiber(sleeps, NULL);
}

static void wake_after_timeout(void *arg)
{
    (void)arg;
    struct waiter first = {0};
    struct waiter second = {0};
    int64_t at = soon();
    waiter_start(&first, at); /* its timer fires first, makes it runnable, and wakes second */
    first.then_wake = &second.wait;
    waiter_start(&second, at);
    waiter_join(&first);
    waiter_join(&second);
    assert_false(first.result);
    assert_int_equal(first.e.code, ERR_TIMEOUT);
    /* second's deadline had passed as well, but it was woken before it could run */
    assert_true(second.result);
}

static void a_wake_before_the_timed_out_fiber_ran_wins(void **state)
{
    (void)state;
    in_fiber(wake_after_timeout, NULL);
}

/* ---- cancellation ---- */

static void cancels(void *arg)
{
    (void)arg;
    struct waiter w = {0};
    waiter_start(&w, late());
    fiber_cancel(w.fiber);
    fiber_cancel(w.fiber);
    assert_true(fiber_is_cancelled(w.fiber));
    assert_false(w.has_ended);
    waiter_join(&w);
    assert_false(w.result);
    assert_int_equal(w.e.code, ERR_CANCELLED);
    assert_null(w.wait.fiber);

    struct waiter woken = {0}; /* cancelled while runnable: what was handed over is not lost */
    waiter_start(&woken, late());
    fiber_wake(&woken.wait);
    fiber_cancel(woken.fiber);
    waiter_join(&woken);
    assert_true(woken.result);

    struct waiter both = {0};
    waiter_start(&both, late());
    fiber_cancel(both.fiber);
    fiber_wake(&both.wait);
    waiter_join(&both);
    assert_true(both.result);
}

static void cancellation_ends_a_wait_unless_it_was_woken(void **state)
{
    (void)state;
    in_fiber(cancels, NULL);
}

struct sleeper {
    struct fiber *fiber;
    enum err_code codes[4];
    bool has_ended;
};

static void wait_every_way(void *arg)
{
    struct sleeper *s = arg;
    struct err e = {.code = ERR_NONE};
    struct fiber_wait w = {0};
    s->codes[0] = fiber_sleep_until(late(), &e) ? ERR_NONE : e.code;
    s->codes[1] = fiber_sleep_until(late(), &e) ? ERR_NONE : e.code;
    s->codes[2] = fiber_wait(&w, late(), &e) ? ERR_NONE : e.code;
    fiber_yield();
    fiber_wake(&w);
    s->codes[3] = fiber_wait(&w, late(), &e) ? ERR_NONE : e.code;
    s->has_ended = true;
}

static void cancels_sleeper(void *arg)
{
    struct sleeper *s = arg;
    struct err e;
    assert_true(fiber_start(fiber_loop(), wait_every_way, s, &s->fiber, &e));
    fiber_cancel(s->fiber);
    for (int i = 0; i < 1000 && !s->has_ended; i++)
        fiber_yield();
    assert_true(s->has_ended);
}

static void every_later_wait_of_a_cancelled_fiber_ends_at_once(void **state)
{
    (void)state;
    struct sleeper s = {0};
    in_fiber(cancels_sleeper, &s);
    assert_int_equal(s.codes[0], ERR_CANCELLED);
    assert_int_equal(s.codes[1], ERR_CANCELLED);
    assert_int_equal(s.codes[2], ERR_CANCELLED);
    assert_int_equal(s.codes[3], ERR_NONE);
}

struct shielded {
    struct fiber *fiber;
    struct fiber_wait wait;
    bool cleaned_up;
    enum err_code timeout_code, after_code;
    bool has_ended;
};

static void clean_up_shielded(void *arg)
{
    struct shielded *s = arg;
    struct err e = {.code = ERR_NONE};
    struct fiber_wait never = {0};
    fiber_shield(true);
    fiber_shield(true);
    s->cleaned_up = fiber_wait(&s->wait, late(), &e);
    s->timeout_code = fiber_wait(&never, soon(), &e) ? ERR_NONE : e.code;
    fiber_shield(false);
    if (!fiber_sleep_until(soon(), &e))
        s->cleaned_up = false;
    fiber_shield(false);
    s->after_code = fiber_wait(&never, late(), &e) ? ERR_NONE : e.code;
    s->has_ended = true;
}

static void cancels_shielded(void *arg)
{
    struct shielded *s = arg;
    struct err e;
    assert_true(fiber_start(fiber_loop(), clean_up_shielded, s, &s->fiber, &e));
    fiber_cancel(s->fiber);
    assert_false(fiber_is_cancelled(s->fiber));
    for (int i = 0; i < 3; i++)
        fiber_yield();
    assert_ptr_equal(s->wait.fiber, s->fiber); /* still parked */
    fiber_wake(&s->wait);
    while (!s->has_ended)
        assert_true(fiber_sleep_until(soon(), &e));
}

static void a_shielded_fiber_waits_on_but_its_deadlines_stay(void **state)
{
    (void)state;
    struct shielded s = {0};
    in_fiber(cancels_shielded, &s);
    assert_true(s.cleaned_up);
    assert_int_equal(s.timeout_code, ERR_TIMEOUT);
    assert_int_equal(s.after_code, ERR_CANCELLED);
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
    assert_true(metric_value(M_FIBER_STACK_HIGH) > 80 * 1024);
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
        cmocka_unit_test(a_wake_ends_the_wait_once_whenever_it_comes),
        cmocka_unit_test(two_fibers_take_turns),
        cmocka_unit_test(a_wait_ends_at_its_deadline),
        cmocka_unit_test(a_sleep_lasts_until_its_time),
        cmocka_unit_test(a_wake_before_the_timed_out_fiber_ran_wins),
        cmocka_unit_test(cancellation_ends_a_wait_unless_it_was_woken),
        cmocka_unit_test(every_later_wait_of_a_cancelled_fiber_ends_at_once),
        cmocka_unit_test(a_shielded_fiber_waits_on_but_its_deadlines_stay),
        cmocka_unit_test(a_yielding_fiber_leaves_the_others_their_turn),
        cmocka_unit_test(registers_and_floating_point_modes_survive_a_wait),
        cmocka_unit_test(a_deep_call_chain_survives_a_wait),
        cmocka_unit_test(running_off_the_stack_dies_at_the_guard_page),
        cmocka_unit_test(the_byte_below_a_stack_is_out_of_reach),
        cmocka_unit_test(thousands_of_fibers_live_side_by_side),
#ifndef FIBER_TSAN
        cmocka_unit_test(beyond_the_limit_a_fiber_is_refused),
#endif
        cmocka_unit_test(each_thread_has_its_own_fibers),
        cmocka_unit_test(misuse_is_a_bug),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
