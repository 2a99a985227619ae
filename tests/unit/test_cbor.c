/* CBOR: the examples of RFC 8949 appendix A, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/cbor.h"
#include "base/text.h"

/* Bytes of a hex text; at most 64. */
struct bytes {
    uint8_t b[64];
    struct str s;
};
static struct str hex(struct bytes *out, const char *text)
{
    size_t n = strlen(text) / 2;
    assert_true(n <= sizeof(out->b) && text_hex_decode(str_c(text), out->b, n));
    return out->s = (struct str){(const char *)out->b, n};
}

static void numbers_strings_and_heads_are_read(unused_arg void **state)
{
    static const struct {
        const char *hex;
        enum cbor_kind kind;
        int64_t i;
        size_t n; /* of a string or container */
    } known[] = {
        {"00", CBOR_INT, 0, 0},
        {"17", CBOR_INT, 23, 0},
        {"1818", CBOR_INT, 24, 0},
        {"1903e8", CBOR_INT, 1000, 0},
        {"1a000f4240", CBOR_INT, 1000000, 0},
        {"1b000000e8d4a51000", CBOR_INT, 1000000000000, 0},
        {"20", CBOR_INT, -1, 0},
        {"390100", CBOR_INT, -257, 0},
        {"3b7fffffffffffffff", CBOR_INT, INT64_MIN, 0},
        {"4401020304", CBOR_BYTES, 0, 4},
        {"6161", CBOR_TEXT, 0, 1},
        {"60", CBOR_TEXT, 0, 0},
        {"80", CBOR_ARRAY, 0, 0},
        {"83010203", CBOR_ARRAY, 0, 3},
        {"a201020304", CBOR_MAP, 0, 2},
        {"f4", CBOR_OTHER, 0, 0},
        {"f5", CBOR_OTHER, 1, 0},
        {"f93c00", CBOR_OTHER, 0, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        struct bytes b;
        struct cbor_item item;
        struct str rest = hex(&b, known[i].hex);
        assert_true(cbor_next(&rest, &item));
        assert_int_equal(item.kind, known[i].kind);
        assert_int_equal(item.i, known[i].i);
        bool is_string = item.kind == CBOR_BYTES || item.kind == CBOR_TEXT;
        assert_int_equal(is_string ? item.s.n : item.n, known[i].n);
        rest = b.s;
        assert_true(cbor_skip(&rest));
        assert_int_equal(rest.n, 0);
    }
}

static void what_is_cut_indefinite_tagged_or_too_long_is_refused(unused_arg void **state)
{
    static const char *const bad[] = {"",
                                      "18",
                                      "19ff",
                                      "1b0000000000",
                                      "44010203",
                                      "5f42010243030405ff",
                                      "7f657374ff",
                                      "9f0102ff",
                                      "bf6161f5ff",
                                      "c074323031",
                                      "1c",
                                      "3f",
                                      "1817",
                                      "1900ff",
                                      "1bffffffffffffffff",
                                      "5bffffffffffffffff",
                                      "9bffffffffffffffff",
                                      "bb7fffffffffffffff",
                                      "5b7fffffffffffffff",
                                      "82",
                                      "8201",
                                      "a1",
                                      "a101",
                                      "f8",
                                      "f818",
                                      "fc",
                                      "ff"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct bytes b;
        struct str rest = hex(&b, bad[i]);
        if (cbor_skip(&rest))
            fail_msg("%s was taken", bad[i]);
    }
}

static void depth_costs_nothing(unused_arg void **state)
{
    enum { DEPTH = 100000 };
    char *deep = malloc(DEPTH + 1);
    assert_non_null(deep);
    memset(deep, 0x81, DEPTH);
    deep[DEPTH] = 0;
    struct str rest = {deep, DEPTH + 1};
    assert_true(cbor_skip(&rest));
    assert_int_equal(rest.n, 0);
    rest = (struct str){deep, DEPTH};
    assert_false(cbor_skip(&rest));
    free(deep);
}

static void one_item_is_skipped_and_the_next_is_not(unused_arg void **state)
{
    struct bytes b;
    struct str rest = hex(&b, "a26161820102616283f5f60304"), text;
    assert_true(cbor_skip(&rest));
    assert_int_equal(rest.n, 1);
    assert_false(cbor_string(&rest, CBOR_TEXT, &text));
    rest = hex(&b, "6461626364f5");
    assert_true(cbor_string(&rest, CBOR_TEXT, &text));
    assert_true(str_eq(text, STR("abcd")));
    assert_int_equal(rest.n, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_strings_and_heads_are_read),
        cmocka_unit_test(what_is_cut_indefinite_tagged_or_too_long_is_refused),
        cmocka_unit_test(depth_costs_nothing),
        cmocka_unit_test(one_item_is_skipped_and_the_next_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
