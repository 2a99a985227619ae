#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/limits.h"
#include "io/cookies.h"

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

static struct cookies parsed(struct str header)
{
    struct cookies c;
    struct err e;
    assert_true(cookies_parse(arena, header, &c, &e));
    return c;
}

static void pairs_are_read_and_strange_ones_skipped(void **state)
{
    (void)state;
    struct str v;
    struct cookies c = parsed(STR("__Host-tulle=abc=; other; =x;a=1;\tb=\"q q\" ; ;empty="));
    assert_int_equal(c.n, 4);
    assert_int_equal(cookies_get(&c, STR("__Host-tulle"), &v), COOKIE_ONCE);
    assert_true(str_eq(v, STR("abc=")));
    assert_int_equal(cookies_get(&c, STR("b"), &v), COOKIE_ONCE);
    assert_true(str_eq(v, STR("\"q q\"")));
    assert_int_equal(cookies_get(&c, STR("empty"), &v), COOKIE_ONCE);
    assert_true(v.n == 0 && !str_is_absent(v));
    assert_int_equal(cookies_get(&c, STR("other"), &v), COOKIE_ABSENT);
    assert_true(str_is_absent(v));
    assert_int_equal(parsed(STR_NONE).n, 0);
    assert_int_equal(parsed(STR("")).n, 0);
}

static void names_are_compared_by_exact_bytes(void **state)
{
    (void)state;
    struct str v;
    struct cookies c = parsed(STR("__host-tulle=a; X__Host-tulle=b"));
    assert_int_equal(cookies_get(&c, STR("__Host-tulle"), &v), COOKIE_ABSENT);
}

static void a_repeated_name_is_noticed(void **state)
{
    (void)state;
    struct str v;
    struct cookies c = parsed(STR("s=1; t=2; s=3"));
    assert_int_equal(cookies_get(&c, STR("s"), &v), COOKIE_REPEATED);
    assert_true(str_eq(v, STR("1")));
    assert_int_equal(cookies_get(&c, STR("t"), &v), COOKIE_ONCE);
}

static void the_number_of_cookies_is_bounded(void **state)
{
    (void)state;
    struct buf b;
    struct cookies c;
    struct err e;
    buf_init(&b, 10000);
    for (int i = 0; i < LIMIT_COOKIES; i++)
        buf_addf(&b, "c%d=1; ", i);
    assert_int_equal(parsed(buf_str(&b)).n, LIMIT_COOKIES);
    buf_add(&b, STR("d=1"));
    assert_false(cookies_parse(arena, buf_str(&b), &c, &e));
    assert_int_equal(e.code, ERR_BAD_REQUEST);
    buf_end(&b);
}

static void our_cookies_carry_their_protections(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 1000);
    assert_true(
        cookie_write(&out, &(struct cookie){STR("__Host-tulle"), STR("abc_-1"), true, 3600}));
    assert_string_equal(
        buf_str(&out).p,
        "__Host-tulle=abc_-1; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=3600");
    buf_reset(&out);
    assert_true(cookie_write(&out, &(struct cookie){STR("tulle-dev"), STR("x"), false, -1}));
    assert_string_equal(buf_str(&out).p, "tulle-dev=x; Path=/; HttpOnly; SameSite=Lax");
    buf_reset(&out);
    assert_true(cookie_write(&out, &(struct cookie){STR("tulle-dev"), STR(""), false, 0}));
    assert_string_equal(buf_str(&out).p, "tulle-dev=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0");
    buf_end(&out);
}

static void what_would_break_the_header_is_not_written(void **state)
{
    (void)state;
    static const struct {
        struct str name, value;
        bool is_secure;
    } bad[] = {
        {{"a", 1}, {"x;y", 3}, true},       {{"a", 1}, {"x\r\ny", 4}, true},
        {{"a", 1}, {"x y", 3}, true},       {{"a", 1}, {"\"x\"", 3}, true},
        {{"a", 1}, {"x,y", 3}, true},       {{"a", 1}, {"x\\y", 3}, true},
        {{"a", 1}, {"x\0y", 3}, true},      {{"a", 1}, {"\xC3\xA9", 2}, true},
        {{"a", 1}, {"\x7F", 1}, true},      {{"", 0}, {"x", 1}, true},
        {{"a=b", 3}, {"x", 1}, true},       {{"a b", 3}, {"x", 1}, true},
        {{"a;", 2}, {"x", 1}, true},        {{"a\n", 2}, {"x", 1}, true},
        {{"__Host-a", 8}, {"x", 1}, false}, {{"__Secure-a", 10}, {"x", 1}, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct buf out;
        buf_init(&out, 1000);
        assert_false(
            cookie_write(&out, &(struct cookie){bad[i].name, bad[i].value, bad[i].is_secure, -1}));
        assert_int_equal(out.n, 0);
        buf_end(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(pairs_are_read_and_strange_ones_skipped, setup, teardown),
        cmocka_unit_test_setup_teardown(names_are_compared_by_exact_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(a_repeated_name_is_noticed, setup, teardown),
        cmocka_unit_test_setup_teardown(the_number_of_cookies_is_bounded, setup, teardown),
        cmocka_unit_test(our_cookies_carry_their_protections),
        cmocka_unit_test(what_would_break_the_header_is_not_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
