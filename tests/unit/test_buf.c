#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"

static void appended_pieces_come_out_in_order(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 1000);
    assert_int_equal(buf_str(&b).n, 0);
    buf_add(&b, STR("ab"));
    buf_add_char(&b, '\0');
    buf_addf(&b, "%d-%s", 7, "x");
    buf_add_i64(&b, INT64_MIN);
    buf_add_i64(&b, 0);
    assert_true(buf_ok(&b));
    assert_true(str_eq(buf_str(&b), STR("ab\0"
                                        "7-x-92233720368547758080")));
    assert_int_equal(b.p[b.n], 0);
    buf_end(&b);
    assert_null(b.p);
}

static void the_maximum_is_reached_exactly_and_failure_sticks(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 4);
    buf_add(&b, STR("abcd"));
    assert_true(buf_ok(&b));
    buf_add_char(&b, 'e');
    assert_false(buf_ok(&b));
    buf_add(&b, STR(""));
    assert_false(buf_ok(&b));
    assert_null(buf_reserve(&b, 0));
    assert_true(str_eq(buf_str(&b), STR("abcd")));
    buf_reset(&b);
    assert_true(buf_ok(&b));
    buf_addf(&b, "%s", "abcde");
    assert_false(buf_ok(&b));
    assert_int_equal(b.n, 0);
    buf_end(&b);
}

static void a_huge_reservation_fails_instead_of_wrapping(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, SIZE_MAX);
    buf_add(&b, STR("x"));
    assert_null(buf_reserve(&b, SIZE_MAX));
    assert_false(buf_ok(&b));
    buf_end(&b);
}

static void consumed_bytes_leave_the_rest_in_front(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 100);
    buf_consume(&b, 1);
    buf_add(&b, STR("hello"));
    buf_consume(&b, 2);
    assert_string_equal(b.p, "llo");
    buf_consume(&b, 99);
    assert_string_equal(b.p, "");
    buf_end(&b);
}

static void reserved_room_is_written_in_place(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 100000);
    char *to = buf_reserve(&b, 70000);
    assert_non_null(to);
    memset(to, 'z', 70000);
    b.n += 70000;
    assert_int_equal(strlen(b.p), 70000);
    buf_end(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appended_pieces_come_out_in_order),
        cmocka_unit_test(the_maximum_is_reached_exactly_and_failure_sticks),
        cmocka_unit_test(a_huge_reservation_fails_instead_of_wrapping),
        cmocka_unit_test(consumed_bytes_leave_the_rest_in_front),
        cmocka_unit_test(reserved_room_is_written_in_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
