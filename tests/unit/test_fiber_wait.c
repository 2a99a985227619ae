/* Waits of fibers: waking, deadlines, cancellation. */
#include "unit/fiber_rig.h"

#include "base/clock.h"

/* Turns the loop until w has ended. */
static void waiter_join(const struct waiter *w)
{
    struct err e;
    for (int i = 0; i < 10000 && !w->has_ended; i++)
        assert_true(fiber_sleep_until(loop_now_ms(fiber_loop()) + 1, &e));
    assert_true(w->has_ended);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wake_ends_the_wait_once_whenever_it_comes),
        cmocka_unit_test(two_fibers_take_turns),
        cmocka_unit_test(a_wait_ends_at_its_deadline),
        cmocka_unit_test(a_sleep_lasts_until_its_time),
        cmocka_unit_test(a_wake_before_the_timed_out_fiber_ran_wins),
        cmocka_unit_test(cancellation_ends_a_wait_unless_it_was_woken),
        cmocka_unit_test(every_later_wait_of_a_cancelled_fiber_ends_at_once),
        cmocka_unit_test(a_shielded_fiber_waits_on_but_its_deadlines_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
