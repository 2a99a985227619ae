/* Who does how much: minutes, running ones, many threads. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/limits.h"
#include "core/rates.h"

enum { MINUTE = 60 * 1000, START = 5 * MINUTE };

static void a_minute_holds_as_many_as_it_may_and_then_says_when(void **state)
{
    (void)state;
    struct rates *r = rates_new();
    int64_t retry;
    for (int i = 0; i < 10; i++)
        assert_true(rates_pass(r, STR("a"), 10, START, &retry));
    assert_false(rates_pass(r, STR("a"), 10, START, &retry));
    assert_int_equal(retry, MINUTE / 10);
    assert_false(rates_pass(r, STR("a"), 10, START + retry - 1, &retry));
    assert_int_equal(retry, 1);
    assert_true(rates_pass(r, STR("a"), 10, START + MINUTE / 10, &retry));
    assert_false(rates_pass(r, STR("a"), 10, START + MINUTE / 10, &retry));
    rates_free(r);
}

static void any_minute_of_a_steady_flood_holds_at_most_twice_the_number(void **state)
{
    (void)state;
    struct rates *r = rates_new();
    int64_t retry;
    int n = 0;
    for (int64_t at = START; at < START + MINUTE; at += 10)
        n += rates_pass(r, STR("a"), 100, at, &retry);
    assert_in_range(n, 100, 200);
    n = 0;
    for (int64_t at = START + MINUTE; at < START + 2 * MINUTE; at += 10)
        n += rates_pass(r, STR("a"), 100, at, &retry);
    assert_in_range(n, 99, 101);
    rates_free(r);
}

static void names_do_not_share_and_asking_does_not_count(void **state)
{
    (void)state;
    struct rates *r = rates_new();
    int64_t retry;
    assert_true(rates_pass(r, STR("a"), 1, START, &retry));
    assert_false(rates_would_pass(r, STR("a"), 1, START, &retry));
    for (int i = 0; i < 5; i++)
        assert_true(rates_would_pass(r, STR("b"), 1, START, &retry));
    assert_true(rates_pass(r, STR("b"), 1, START, &retry));
    rates_free(r);
}

static void a_raised_limit_counts_at_once(void **state)
{
    (void)state;
    struct rates *r = rates_new();
    int64_t retry;
    assert_true(rates_pass(r, STR("a"), 1, START, &retry));
    assert_false(rates_pass(r, STR("a"), 1, START, &retry));
    assert_true(rates_pass(r, STR("a"), 1, START + MINUTE, &retry));
    assert_true(rates_pass(r, STR("a"), 1000, START + 2 * MINUTE - 1, &retry));
    rates_free(r);
}

static void those_that_run_are_as_many_as_may_and_leaving_makes_room(void **state)
{
    (void)state;
    struct rates *r = rates_new();
    assert_true(rates_enter(r, STR("a"), 2, START));
    assert_true(rates_enter(r, STR("a"), 2, START));
    assert_false(rates_enter(r, STR("a"), 2, START));
    assert_true(rates_enter(r, STR("b"), 2, START));
    rates_leave(r, STR("a"));
    assert_int_equal(rates_running(r, STR("a")), 1);
    assert_true(rates_enter(r, STR("a"), 2, START));
    for (int i = 0; i < 5; i++)
        rates_leave(r, STR("a"));
    assert_int_equal(rates_running(r, STR("a")), 0);
    rates_free(r);
}

static void many_names_do_not_forget_those_that_run_or_are_used_up(void **state)
{
    (void)state;
    struct rates *r = rates_new();
    int64_t retry;
    char name[32];
    assert_true(rates_enter(r, STR("runs"), 1, START));
    assert_true(rates_pass(r, STR("used up"), 1, START, &retry));
    for (int i = 0; i < 2 * LIMIT_METERS; i++) {
        (void)snprintf(name, sizeof(name), "n%d", i);
        assert_true(rates_pass(r, str_c(name), 60 * 1000, START, &retry));
        (void)snprintf(name, sizeof(name), "m%d", i);
        assert_true(rates_enter(r, str_c(name), 1, START + 10));
        rates_leave(r, str_c(name));
    }
    assert_false(rates_enter(r, STR("runs"), 1, START));
    assert_false(rates_pass(r, STR("used up"), 1, START + 10, &retry));
    rates_free(r);
}

enum { THREADS = 4, ROUNDS = 20000, AT_ONCE = 3, PASSED = 500 };
struct crowd {
    struct rates *r;
    int64_t most, inside, passed;
};

static void *crowd_run(void *arg)
{
    struct crowd *c = arg;
    int64_t retry;
    for (int i = 0; i < ROUNDS; i++) {
        if (rates_pass(c->r, STR("minute"), PASSED, START, &retry))
            __atomic_add_fetch(&c->passed, 1, __ATOMIC_RELAXED);
        if (!rates_enter(c->r, STR("room"), AT_ONCE, START))
            continue;
        int64_t n = __atomic_add_fetch(&c->inside, 1, __ATOMIC_SEQ_CST);
        int64_t most = __atomic_load_n(&c->most, __ATOMIC_SEQ_CST);
        while (n > most && !__atomic_compare_exchange_n(&c->most, &most, n, false, __ATOMIC_SEQ_CST,
                                                        __ATOMIC_SEQ_CST))
            continue;
        __atomic_sub_fetch(&c->inside, 1, __ATOMIC_SEQ_CST);
        rates_leave(c->r, STR("room"));
    }
    return NULL;
}

static void workers_share_one_count(void **state)
{
    (void)state;
    struct crowd c = {.r = rates_new()};
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, crowd_run, &c), 0);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_in_range(c.most, 1, AT_ONCE);
    assert_int_equal(c.passed, PASSED);
    assert_int_equal(rates_running(c.r, STR("room")), 0);
    rates_free(c.r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_minute_holds_as_many_as_it_may_and_then_says_when),
        cmocka_unit_test(any_minute_of_a_steady_flood_holds_at_most_twice_the_number),
        cmocka_unit_test(names_do_not_share_and_asking_does_not_count),
        cmocka_unit_test(a_raised_limit_counts_at_once),
        cmocka_unit_test(those_that_run_are_as_many_as_may_and_leaving_makes_room),
        cmocka_unit_test(many_names_do_not_forget_those_that_run_or_are_used_up),
        cmocka_unit_test(workers_share_one_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
