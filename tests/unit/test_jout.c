#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "json/jout.h"
#include "json/jscan.h"

static struct buf out;
static struct jout j;

static int setup(void **state)
{
    (void)state;
    buf_init(&out, 1 << 16);
    jout_init(&j, &out);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    buf_end(&out);
    return 0;
}

static void assert_written(const char *expected)
{
    struct err e;
    assert_string_equal(buf_str(&out).p, expected);
    assert_true(jscan_valid(buf_str(&out), &e));
    buf_reset(&out);
    jout_init(&j, &out);
}

static void commas_stand_between_items_and_nowhere_else(void **state)
{
    (void)state;
    jout_object(&j);
    jout_kstr(&j, "a", STR("x"));
    jout_key(&j, STR("b"));
    jout_array(&j);
    jout_i64(&j, 1);
    jout_array(&j);
    jout_array_end(&j);
    jout_object(&j);
    jout_object_end(&j);
    jout_null(&j);
    jout_array_end(&j);
    jout_kbool(&j, "c", false);
    jout_kraw(&j, "d", STR("{\"e\":1}"));
    jout_kraw(&j, "f", STR_NONE);
    jout_ki64(&j, "g", INT64_MIN);
    jout_object_end(&j);
    assert_written("{\"a\":\"x\",\"b\":[1,[],{},null],\"c\":false,\"d\":{\"e\":1},\"f\":null,\"g\":"
                   "-9223372036854775808}");
}

static void sixty_four_levels_can_be_written(void **state)
{
    (void)state;
    for (int i = 0; i < 64; i++) {
        jout_array(&j);
        jout_i64(&j, i);
    }
    for (int i = 0; i < 64; i++)
        jout_array_end(&j);
    struct err e;
    assert_true(jscan_valid(buf_str(&out), &e));
}

static void strings_are_escaped(void **state)
{
    (void)state;
    jout_str(&j, (struct str){"\"\\/\b\f\n\r\t\v\0\x1f\x7f", 12});
    assert_written("\"\\\"\\\\/\\b\\f\\n\\r\\t\\u000b\\u0000\\u001f\x7f\"");
    jout_str(&j, STR("\xC3\xA9\xE6\x97\xA5\xF0\x9F\x98\x80 <script>"));
    assert_written("\"\xC3\xA9\xE6\x97\xA5\xF0\x9F\x98\x80 <script>\"");
    jout_str(&j, STR_NONE);
    assert_written("null");
    jout_str(&j, STR(""));
    assert_written("\"\"");
}

static void bytes_that_are_no_utf8_become_replacement_characters(void **state)
{
    (void)state;
    jout_str(&j, STR("a\xFF"
                     "b\xC3"
                     "c\xC0\xAF"));
    assert_written("\"a\xEF\xBF\xBD"
                   "b\xEF\xBF\xBD"
                   "c\xEF\xBF\xBD\xEF\xBF\xBD\"");
    jout_str(&j, STR("\xED\xA0\x80"));
    assert_written("\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"");
    jout_str(&j, STR("x\xE6\x97"));
    assert_written("\"x\xEF\xBF\xBD\xEF\xBF\xBD\"");
}

static void reals_are_shortest_and_stay_reals(void **state)
{
    (void)state;
    static const struct {
        double v;
        const char *text;
    } cases[] = {{0.1, "0.1"},
                 {1, "1.0"},
                 {-0.0, "-0.0"},
                 {1e300, "1e+300"},
                 {1.0 / 3, "0.3333333333333333"},
                 {0.1 + 0.2, "0.30000000000000004"},
                 {1e15, "1e+15"},
                 {123456, "123456.0"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        jout_double(&j, cases[i].v);
        assert_written(cases[i].text);
    }
    jout_double(&j, NAN);
    assert_written("null");
    jout_double(&j, INFINITY);
    assert_written("null");
}

static void times_are_rfc_3339_and_zero_is_null(void **state)
{
    (void)state;
    jout_object(&j);
    jout_ktime(&j, "at", 1000);
    jout_ktime(&j, "never", 0);
    jout_object_end(&j);
    assert_written("{\"at\":\"1970-01-01T00:00:01.000Z\",\"never\":null}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(commas_stand_between_items_and_nowhere_else, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(sixty_four_levels_can_be_written, setup, teardown),
        cmocka_unit_test_setup_teardown(strings_are_escaped, setup, teardown),
        cmocka_unit_test_setup_teardown(bytes_that_are_no_utf8_become_replacement_characters, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(reals_are_shortest_and_stay_reals, setup, teardown),
        cmocka_unit_test_setup_teardown(times_are_rfc_3339_and_zero_is_null, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
