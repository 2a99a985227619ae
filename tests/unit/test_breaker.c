/* The circuit breaker, on a clock of the test's. */
#include "mcp/breaker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static struct breaker opened(int64_t now_ms)
{
    struct breaker b = {0};
    for (int i = 1; i < BREAKER_FAILURES; i++)
        assert_false(breaker_fail(&b, now_ms, 0));
    assert_true(breaker_fail(&b, now_ms, 0));
    return b;
}

static void failures_in_a_row_open_it(void **state)
{
    (void)state;
    struct breaker b = opened(1000);
    assert_false(breaker_admit(&b, 1000));
    assert_false(breaker_admit(&b, b.retry_at_ms - 1));
}

static void a_success_between_starts_the_row_again(void **state)
{
    (void)state;
    struct breaker b = {0};
    for (int i = 0; i < 4 * BREAKER_FAILURES; i++) {
        assert_false(breaker_fail(&b, i, 0));
        if (i % (BREAKER_FAILURES - 1) == BREAKER_FAILURES - 2)
            assert_false(breaker_succeed(&b));
        assert_true(breaker_admit(&b, i));
    }
}

static void old_failures_do_not_count(void **state)
{
    (void)state;
    struct breaker b = {0};
    for (int i = 0; i < 4 * BREAKER_FAILURES; i++)
        assert_false(breaker_fail(&b, i * (int64_t)(BREAKER_WINDOW_MS / 3), 0));
}

static void one_probe_passes_when_the_pause_is_over(void **state)
{
    (void)state;
    struct breaker b = opened(1000);
    int64_t at_ms = b.retry_at_ms;
    assert_true(breaker_admit(&b, at_ms));
    assert_false(breaker_admit(&b, at_ms));
    assert_false(breaker_admit(&b, at_ms + BREAKER_PROBE_MS - 1));
    /* the probe was never heard of again */
    assert_true(breaker_admit(&b, at_ms + BREAKER_PROBE_MS));
}

static void a_probe_that_succeeds_closes_it(void **state)
{
    (void)state;
    struct breaker b = opened(1000);
    assert_true(breaker_admit(&b, b.retry_at_ms));
    assert_true(breaker_succeed(&b));
    assert_true(breaker_admit(&b, b.retry_at_ms));
    assert_true(breaker_admit(&b, b.retry_at_ms));
    assert_false(breaker_fail(&b, 5000, 0)); /* and a single failure does not open it again */
}

static void the_pause_grows_to_its_maximum_and_no_further(void **state)
{
    (void)state;
    for (uint64_t dice = 0; dice < 100000; dice += 999) {
        struct breaker b = opened(0);
        int64_t now_ms = 0, last_ms = 0;
        for (int i = 0; i < 80; i++) {
            now_ms = b.retry_at_ms;
            assert_true(breaker_admit(&b, now_ms));
            assert_false(breaker_fail(&b, now_ms, dice));
            last_ms = b.retry_at_ms - now_ms;
            assert_in_range(last_ms, BREAKER_PAUSE_MS / 2, BREAKER_PAUSE_MAX_MS);
        }
        assert_in_range(last_ms, BREAKER_PAUSE_MAX_MS / 2, BREAKER_PAUSE_MAX_MS);
    }
}

static void late_news_of_calls_that_had_passed_change_nothing(void **state)
{
    (void)state;
    struct breaker b = opened(1000);
    struct breaker before = b;
    assert_false(breaker_fail(&b, 1001, 7));
    assert_memory_equal(&b, &before, sizeof b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(failures_in_a_row_open_it),
        cmocka_unit_test(a_success_between_starts_the_row_again),
        cmocka_unit_test(old_failures_do_not_count),
        cmocka_unit_test(one_probe_passes_when_the_pause_is_over),
        cmocka_unit_test(a_probe_that_succeeds_closes_it),
        cmocka_unit_test(the_pause_grows_to_its_maximum_and_no_further),
        cmocka_unit_test(late_news_of_calls_that_had_passed_change_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
