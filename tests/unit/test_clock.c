#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"

static void times_are_written_as_rfc_3339(void **state)
{
    (void)state;
    static const struct {
        int64_t ms;
        const char *text;
    } cases[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {1795233493123, "2026-11-21T03:58:13.123Z"},
        {951782400000, "2000-02-29T00:00:00.000Z"},
        {4107542399999, "2100-02-28T23:59:59.999Z"},
        {4107542400000, "2100-03-01T00:00:00.000Z"},
        {-1, "1969-12-31T23:59:59.999Z"},
        {INT64_MAX, "9999-12-31T23:59:59.999Z"},
        {INT64_MIN, "0000-01-01T00:00:00.000Z"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char out[CLOCK_RFC3339_SIZE];
        clock_rfc3339(cases[i].ms, out);
        assert_string_equal(out, cases[i].text);
    }
}

static void what_is_written_reads_back(void **state)
{
    (void)state;
    for (int64_t ms = -2208988800000; ms < 7258118400000; ms += 86399999 * 37LL) {
        char out[CLOCK_RFC3339_SIZE];
        int64_t back = 0;
        clock_rfc3339(ms, out);
        assert_true(clock_parse_rfc3339(str_c(out), &back));
        assert_true(back == ms);
    }
}

static void offsets_and_fractions_are_understood(void **state)
{
    (void)state;
    int64_t ms = 0;
    assert_true(clock_parse_rfc3339(STR("1970-01-01T01:30:00+01:30"), &ms) && ms == 0);
    assert_true(clock_parse_rfc3339(STR("1969-12-31t19:00:00.5-05:00"), &ms) && ms == 500);
    assert_true(clock_parse_rfc3339(STR("1970-01-01T00:00:00.123456789z"), &ms) && ms == 123);
    assert_true(clock_parse_rfc3339(STR("2016-12-31T23:59:60Z"), &ms) && ms == 1483228800000);
}

static void ill_formed_times_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "2026-11-21",
        "2026-11-21T03:58:13",
        "2026-11-21 03:58:13Z",
        "2026-02-29T00:00:00Z",
        "2026-04-31T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-01-00T00:00:00Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01T00:60:00Z",
        "2026-01-01T00:00:61Z",
        "2026-01-01T00:00:00.Z",
        "2026-01-01T00:00:00.1234567890Z",
        "2026-01-01T00:00:00+1:00",
        "2026-01-01T00:00:00Zx",
        "2026-1-01T00:00:00Z",
        "-026-01-01T00:00:00Z",
    };
    int64_t ms = 7;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(clock_parse_rfc3339(str_c(bad[i]), &ms));
    assert_int_equal(ms, 7);
}

static void the_wall_clock_can_be_shifted_and_the_other_does_not_go_back(void **state)
{
    (void)state;
    int64_t before = clock_wall_ms();
    int64_t mono = clock_mono_ms();
    clock_shift_for_test(3600000);
    assert_true(clock_wall_ms() >= before + 3600000);
    clock_shift_for_test(-3600000);
    assert_true(clock_mono_ms() >= mono);
    assert_true(clock_mono_us() / 1000 >= mono);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_are_written_as_rfc_3339),
        cmocka_unit_test(what_is_written_reads_back),
        cmocka_unit_test(offsets_and_fractions_are_understood),
        cmocka_unit_test(ill_formed_times_are_refused),
        cmocka_unit_test(the_wall_clock_can_be_shifted_and_the_other_does_not_go_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
