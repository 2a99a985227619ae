#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/str.h"

static void a_slice_is_clipped_to_its_string(void **state)
{
    (void)state;
    assert_true(str_eq(str_slice(STR("abc"), 1, 9), STR("bc")));
    assert_true(str_eq(str_slice(STR("abc"), 9, SIZE_MAX), STR("")));
    assert_true(str_is_absent(str_slice(STR_NONE, 0, 1)));
}

static void comparing_ignores_case_only_where_asked(void **state)
{
    (void)state;
    assert_true(str_ieq(STR("Content-TYPE"), STR("content-type")));
    assert_false(str_eq(STR("A"), STR("a")));
    assert_false(str_ieq(STR("@"), STR("`")));
    assert_false(str_ieq(STR("a"), STR("ab")));
    assert_true(str_eq(STR_NONE, STR("")));
}

static void only_letters_have_another_case(void **state)
{
    (void)state;
    for (int a = 0; a < 256; a++) {
        for (int b = 0; b < 256; b++) {
            char x[] = {(char)a, 'X', (char)a}, y[] = {(char)b, 'x', (char)b};
            bool is_letter = (a | 0x20) >= 'a' && (a | 0x20) <= 'z';
            bool is_same = a == b || (is_letter && (a ^ b) == 0x20);
            assert_int_equal(str_ieq((struct str){x, 3}, (struct str){y, 3}), is_same);
        }
    }
    assert_false(str_ieq(STR("Host"), STR("hosT\0")));
    assert_false(str_ieq(STR("hosts"), STR("HOSTz")));
    assert_true(str_ieq(STR_NONE, STR("")));
}

static void order_is_by_bytes_then_length(void **state)
{
    (void)state;
    assert_true(str_cmp(STR("a"), STR("b")) < 0);
    assert_true(str_cmp(STR("ab"), STR("a")) > 0);
    assert_true(str_cmp(STR("\xff"), STR("a")) > 0);
    assert_int_equal(str_cmp(STR_NONE, STR("")), 0);
}

static void starts_ends_and_finds(void **state)
{
    (void)state;
    assert_true(str_starts(STR("abc"), STR("ab")));
    assert_false(str_starts(STR("a"), STR("ab")));
    assert_true(str_ends(STR("abc"), STR("bc")));
    assert_false(str_ends(STR("c"), STR("bc")));
    assert_int_equal(str_find(STR("hello"), STR("llo")), 2);
    assert_true(str_find(STR("hello"), STR("x")) == SIZE_MAX);
    assert_true(str_find(STR("a"), STR("aa")) == SIZE_MAX);
    assert_int_equal(str_find_char(STR("a\0b"), 'b'), 2);
    assert_true(str_find_char(STR_NONE, 'b') == SIZE_MAX);
    assert_true(str_eq(str_trim(STR(" \t a b\r\n")), STR("a b")));
    assert_true(str_eq(str_trim(STR("  ")), STR("")));
}

static void pieces_between_separators_keep_empty_ones(void **state)
{
    (void)state;
    struct str rest = STR("a,,b");
    struct str piece;
    assert_true(str_next(&rest, ',', &piece) && str_eq(piece, STR("a")));
    assert_true(str_next(&rest, ',', &piece) && piece.n == 0);
    assert_true(str_next(&rest, ',', &piece) && str_eq(piece, STR("b")));
    assert_false(str_next(&rest, ',', &piece));
    rest = STR("");
    assert_true(str_next(&rest, ',', &piece));
    assert_false(str_next(&rest, ',', &piece));
}

static void numbers_are_whole_and_within_bounds(void **state)
{
    (void)state;
    int64_t v = 7;
    assert_true(str_to_i64(STR("-9223372036854775808"), INT64_MIN, INT64_MAX, &v));
    assert_true(v == INT64_MIN);
    assert_true(str_to_i64(STR("9223372036854775807"), INT64_MIN, INT64_MAX, &v));
    assert_true(v == INT64_MAX);
    v = 7;
    static const char *const bad[] = {
        "", "-", "+1", " 1", "1 ", "1x", "0x1", "9223372036854775808", "99999999999999999999", "11",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(str_to_i64(str_c(bad[i]), 0, i == ARRAY_LEN(bad) - 1 ? 10 : INT64_MAX, &v));
    assert_int_equal(v, 7);
}

static void a_scope_list_is_searched_by_whole_words(void **state)
{
    (void)state;
    assert_true(str_list_has(STR("mcp mcp:read"), STR("mcp:read")));
    assert_false(str_list_has(STR("mcp:manage"), STR("mcp")));
    assert_false(str_list_has(STR("mcp"), STR("")));
    assert_false(str_list_has(STR_NONE, STR("mcp")));
}

static void numbers_are_written_in_digits(void **state)
{
    (void)state;
    char digits[STR_I64_SIZE];
    assert_true(str_eq(str_i64(digits, 0), STR("0")));
    assert_true(str_eq(str_i64(digits, 1234567), STR("1234567")));
    assert_true(str_eq(str_i64(digits, INT64_MIN), STR("-9223372036854775808")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slice_is_clipped_to_its_string),
        cmocka_unit_test(comparing_ignores_case_only_where_asked),
        cmocka_unit_test(only_letters_have_another_case),
        cmocka_unit_test(order_is_by_bytes_then_length),
        cmocka_unit_test(starts_ends_and_finds),
        cmocka_unit_test(pieces_between_separators_keep_empty_ones),
        cmocka_unit_test(numbers_are_whole_and_within_bounds),
        cmocka_unit_test(numbers_are_written_in_digits),
        cmocka_unit_test(a_scope_list_is_searched_by_whole_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
