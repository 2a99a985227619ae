#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/limits.h"
#include "io/forms.h"

static struct arena *arena;

static int setup(void **state)
{
    (void)state;
    arena = arena_new(8 << 20);
    return arena ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    arena_end(arena);
    return 0;
}

static struct form parsed(struct str text)
{
    struct form f;
    struct err e = {0};
    if (!form_parse(arena, text, &f, &e))
        fail_msg("%.*s: %s", STR_FMT(text), e.msg);
    return f;
}

static void assert_refused(struct str text, const char *part)
{
    struct form f;
    struct err e = {0};
    assert_false(form_parse(arena, text, &f, &e));
    assert_int_equal(e.code, ERR_BAD_REQUEST);
    if (!strstr(e.msg, part))
        fail_msg("\"%s\" does not say \"%s\"", e.msg, part);
}

static void pairs_are_decoded_in_order(void **state)
{
    (void)state;
    struct form f = parsed(STR("grant_type=authorization_code&redirect_uri=https%3A%2f%2Fa.example%"
                               "2Fcb%3Fx%3D1&n%61me=a+b%2Bc&n=%C3%A9"));
    assert_int_equal(f.n, 4);
    assert_true(str_eq(f.pairs[0].name, STR("grant_type")) &&
                str_eq(f.pairs[0].value, STR("authorization_code")));
    assert_true(str_eq(f.pairs[1].value, STR("https://a.example/cb?x=1")));
    assert_true(str_eq(f.pairs[2].name, STR("name")) && str_eq(f.pairs[2].value, STR("a b+c")));
    assert_true(str_eq(f.pairs[3].value, STR("\xC3\xA9")));
}

static void odd_pieces_have_one_meaning(void **state)
{
    (void)state;
    assert_int_equal(parsed(STR_NONE).n, 0);
    assert_int_equal(parsed(STR("")).n, 0);
    assert_int_equal(parsed(STR("&&")).n, 0);
    struct form f = parsed(STR("&a&=b&c=d=e&"));
    assert_int_equal(f.n, 3);
    assert_true(str_eq(f.pairs[0].name, STR("a")) && f.pairs[0].value.n == 0 &&
                !str_is_absent(f.pairs[0].value));
    assert_true(f.pairs[1].name.n == 0 && str_eq(f.pairs[1].value, STR("b")));
    assert_true(str_eq(f.pairs[2].name, STR("c")) && str_eq(f.pairs[2].value, STR("d=e")));
}

static void absent_once_and_repeated_are_told_apart(void **state)
{
    (void)state;
    struct form f = parsed(STR("a=1&b=2&%61=3&c="));
    struct str v;
    assert_int_equal(form_get(&f, STR("a"), &v), FORM_REPEATED);
    assert_true(str_eq(v, STR("1")));
    assert_int_equal(form_get(&f, STR("b"), &v), FORM_ONCE);
    assert_true(str_eq(v, STR("2")));
    assert_int_equal(form_get(&f, STR("c"), &v), FORM_ONCE);
    assert_true(v.n == 0 && !str_is_absent(v));
    assert_int_equal(form_get(&f, STR("A"), &v), FORM_ABSENT);
    assert_true(str_is_absent(v));
}

static void bad_escapes_nul_and_bad_utf8_are_refused(void **state)
{
    (void)state;
    assert_refused(STR("a=%"), "hexadecimal");
    assert_refused(STR("a=%4"), "hexadecimal");
    assert_refused(STR("a=%zz"), "hexadecimal");
    assert_refused(STR("a=%4&b=1"), "hexadecimal");
    assert_refused(STR("%=1"), "hexadecimal");
    assert_refused(STR("a=%00"), "NUL");
    assert_refused((struct str){"a\0=1", 4}, "NUL");
    assert_refused(STR("a=%C3%28"), "UTF-8");
    assert_refused(STR("a=\xFF"), "UTF-8");
    assert_refused(STR("%ED%A0%80=1"), "UTF-8");
}

static void the_number_of_parameters_is_bounded(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 10000);
    for (int i = 0; i < LIMIT_QUERY_PARAMS; i++)
        buf_add(&b, STR("a=1&"));
    assert_int_equal(parsed(buf_str(&b)).n, LIMIT_QUERY_PARAMS);
    buf_add(&b, STR("b"));
    assert_refused(buf_str(&b), "more than 64");
    buf_end(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(pairs_are_decoded_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(odd_pieces_have_one_meaning, setup, teardown),
        cmocka_unit_test_setup_teardown(absent_once_and_repeated_are_told_apart, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_escapes_nul_and_bad_utf8_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(the_number_of_parameters_is_bounded, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
