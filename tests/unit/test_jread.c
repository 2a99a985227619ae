#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "json/jread.h"

static void assert_refused(struct str text, const char *part)
{
    struct err e = {0};
    struct jdoc *d = jdoc_parse(text, &e);
    if (d)
        fail_msg("accepted: %.*s", STR_FMT(text));
    assert_int_equal(e.code, ERR_PARSE);
    if (!strstr(e.msg, part))
        fail_msg("\"%s\" does not say \"%s\"", e.msg, part);
}

static void assert_round_trip(const char *text)
{
    struct err e = {0};
    struct buf out;
    buf_init(&out, 1 << 16);
    auto_free(jdoc_freep) struct jdoc *d = jdoc_parse(str_c(text), &e);
    if (!d)
        fail_msg("%s: %s", text, e.msg);
    jv_write(jdoc_root(d), &out);
    assert_string_equal(buf_str(&out).p, text);
    buf_end(&out);
}

static void ambiguous_and_broken_texts_are_refused(void **state)
{
    (void)state;
    assert_refused(STR("{\"method\":1,\"method\":2}"), "duplicate");
    assert_refused(STR("{\"a\":{\"b\":1,\"\\u0062\":2}}"), "duplicate");
    assert_refused(STR("18446744073709551617"), "too big");
    assert_refused(STR("[1e400]"), "overflow");
    assert_refused(STR("\"\xC0\xAF\""), "UTF-8");
    assert_refused(STR("\"\\ud800\""), "surrogate");
    assert_refused(STR("\"\\u0000\""), "byte");
    assert_refused(STR("{\"a\\u0000\":1}"), "byte");
    assert_refused(STR("{} x"), "byte 3");
    assert_refused((struct str){"4\0", 2}, "byte 1");
    assert_refused(STR("[NaN]"), "a value");
    assert_refused(STR(""), "the text ends");
    assert_refused(STR("[1,]"), "a value");
}

static void nesting_is_judged_before_the_recursive_parser_runs(void **state)
{
    (void)state;
    char deep[4000];
    memset(deep, '[', sizeof deep);
    assert_refused((struct str){deep, sizeof deep}, "nesting");
    memset(deep + 65, ']', 65);
    assert_refused((struct str){deep, 130}, "nesting");
    memset(deep + 64, ']', 64);
    struct err e;
    auto_free(jdoc_freep) struct jdoc *d = jdoc_parse((struct str){deep, 128}, &e);
    assert_non_null(d);
    struct buf out;
    buf_init(&out, 1000);
    jv_write(jdoc_root(d), &out);
    assert_int_equal(out.n, 128);
    buf_end(&out);
}

static void what_is_written_is_what_was_read(void **state)
{
    (void)state;
    assert_round_trip("9007199254740993");
    assert_round_trip("-9223372036854775808");
    assert_round_trip("[0.1,1.0,-0.0,1e+300,0.30000000000000004,1.5e-07]");
    assert_round_trip("{\"z\":1,\"a\":[true,false,null,\"\\n\xC3\xA9\\\"\"],\"m\":{}}");
    assert_round_trip("\"text\"");
    assert_round_trip("[]");
}

static void members_are_read_by_type(void **state)
{
    (void)state;
    struct err e;
    auto_free(jdoc_freep) struct jdoc *d =
        jdoc_parse(STR("{\"s\":\"x\",\"i\":5,\"r\":1.5,\"b\":true,\"n\":null,\"a\":[1,2],\"o\":{"
                       "\"k\":\"v\"}}"),
                   &e);
    const struct jvalue *v = jdoc_root(d);
    assert_true(str_eq(jv_get_str(v, "s"), STR("x")) && str_is_absent(jv_get_str(v, "i")) &&
                str_is_absent(jv_get_str(v, "zz")));
    assert_true(jv_get_i64(v, "i", 0) == 5 && jv_get_i64(v, "r", 7) == 7 &&
                jv_get_i64(v, "s", -1) == -1);
    assert_true(jv_double(jv_get(v, "r"), 0) == 1.5 && jv_double(jv_get(v, "i"), 0) == 5);
    assert_true(jv_get_bool(v, "b", false) && jv_get_bool(v, "n", true) &&
                !jv_get_bool(v, "i", false));
    assert_true(jv_is_null(jv_get(v, "n")) && !jv_is_null(jv_get(v, "zz")));
    assert_true(jv_is_array(jv_get(v, "a")) && jv_count(jv_get(v, "a")) == 2 &&
                jv_i64(jv_at(jv_get(v, "a"), 1), 0) == 2);
    assert_null(jv_at(jv_get(v, "a"), 2));
    assert_true(jv_is_object(v) && jv_count(v) == 7 && jv_is_number(jv_get(v, "i")) &&
                jv_is_integer(jv_get(v, "i")) && !jv_is_integer(jv_get(v, "r")) &&
                jv_is_bool(jv_get(v, "b")) && jv_is_string(jv_get(v, "s")));
}

static void nothing_is_read_from_nothing(void **state)
{
    (void)state;
    assert_null(jdoc_root(NULL));
    assert_null(jv_get(NULL, "a"));
    assert_null(jv_at(NULL, 0));
    assert_true(jv_count(NULL) == 0 && str_is_absent(jv_str(NULL)) && jv_i64(NULL, 3) == 3);
    assert_false(jv_is_object(NULL) || jv_is_array(NULL) || jv_is_string(NULL) ||
                 jv_is_null(NULL) || jv_is_bool(NULL));
    void *iter = NULL;
    struct str name;
    const struct jvalue *value;
    assert_false(jv_member(NULL, &iter, &name, &value));
    jdoc_free(NULL);
}

static void members_are_walked_in_the_order_written(void **state)
{
    (void)state;
    struct err e;
    auto_free(jdoc_freep) struct jdoc *d = jdoc_parse(STR("{\"z\":1,\"a\":2,\"m\":3}"), &e);
    static const char *const names[] = {"z", "a", "m"};
    void *iter = NULL;
    struct str name;
    const struct jvalue *value;
    for (int i = 0; i < 3; i++) {
        assert_true(jv_member(jdoc_root(d), &iter, &name, &value));
        assert_true(str_eq(name, str_c(names[i])) && jv_i64(value, 0) == i + 1);
    }
    assert_false(jv_member(jdoc_root(d), &iter, &name, &value));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ambiguous_and_broken_texts_are_refused),
        cmocka_unit_test(nesting_is_judged_before_the_recursive_parser_runs),
        cmocka_unit_test(what_is_written_is_what_was_read),
        cmocka_unit_test(members_are_read_by_type),
        cmocka_unit_test(nothing_is_read_from_nothing),
        cmocka_unit_test(members_are_walked_in_the_order_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
