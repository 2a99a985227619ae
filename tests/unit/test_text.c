#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/text.h"

/* RFC 4648 section 10 */
static void base64_agrees_with_the_rfc(void **state)
{
    (void)state;
    static const char *const padded[] = {"",         "Zg==",     "Zm8=",    "Zm9v",
                                         "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"};
    static const char *const bare[] = {"", "Zg", "Zm8", "Zm9v", "Zm9vYg", "Zm9vYmE", "Zm9vYmFy"};
    struct buf b;
    buf_init(&b, 100);
    for (size_t n = 0; n <= 6; n++) {
        buf_reset(&b);
        text_b64(&b, "foobar", n);
        assert_true(str_eq(buf_str(&b), str_c(padded[n])));
        buf_reset(&b);
        text_b64url(&b, "foobar", n);
        assert_true(str_eq(buf_str(&b), str_c(bare[n])));
        buf_reset(&b);
        assert_true(text_b64_decode(str_c(padded[n]), &b));
        assert_true(str_eq(buf_str(&b), (struct str){"foobar", n}));
        buf_reset(&b);
        assert_true(text_b64url_decode(str_c(bare[n]), &b));
        assert_true(str_eq(buf_str(&b), (struct str){"foobar", n}));
    }
    buf_reset(&b);
    text_b64url(&b, "\xfb\xff\xfe", 3);
    text_b64(&b, "\xfb\xff\xfe", 3);
    assert_string_equal(b.p, "-__-+//+");
    buf_end(&b);
}

static void base64_that_is_not_canonical_is_refused_and_appends_nothing(void **state)
{
    (void)state;
    static const char *const bad_url[] = {"Z",    "Zg==",   "Zh",  "Zm9",  "Zm+v",
                                          "Zm/v", "Zm9v\n", " Zg", "Zm9vY"};
    static const char *const bad_std[] = {
        "Zg", "Zg=", "Zh==", "Z===", "====", "Zm9=", "Zm-v", "Zg==Zg==", "="};
    struct buf b;
    buf_init(&b, 100);
    buf_add(&b, STR("kept"));
    for (size_t i = 0; i < ARRAY_LEN(bad_url); i++)
        assert_false(text_b64url_decode(str_c(bad_url[i]), &b));
    for (size_t i = 0; i < ARRAY_LEN(bad_std); i++)
        assert_false(text_b64_decode(str_c(bad_std[i]), &b));
    assert_string_equal(b.p, "kept");
    assert_true(buf_ok(&b));
    buf_end(&b);
}

static void hex_goes_both_ways(void **state)
{
    (void)state;
    char text[9];
    uint8_t bytes[4];
    text_hex(text, "\x00\x9f\xff\x10", 4);
    assert_string_equal(text, "009fff10");
    assert_true(text_hex_decode(STR("009FfF10"), bytes, 4));
    assert_memory_equal(bytes, "\x00\x9f\xff\x10", 4);
    assert_false(text_hex_decode(STR("009fff1"), bytes, 4));
    assert_false(text_hex_decode(STR("009fff1g"), bytes, 4));
    assert_false(text_hex_decode(STR("009fff100"), bytes, 4));
}

static void only_well_formed_utf8_passes(void **state)
{
    (void)state;
    static const char *const good[] = {"",
                                       "abc",
                                       "\xC3\xA9",
                                       "\xE2\x82\xAC",
                                       "\xF0\x9F\x98\x80",
                                       "\xED\x9F\xBF",
                                       "\xEE\x80\x80",
                                       "\xF4\x8F\xBF\xBF"};
    static const char *const bad[] = {"\x80",
                                      "\xC3",
                                      "\xC0\xAF",
                                      "\xC1\xBF",
                                      "\xE0\x9F\xBF",
                                      "\xED\xA0\x80",
                                      "\xF0\x8F\xBF\xBF",
                                      "\xF4\x90\x80\x80",
                                      "\xF5\x80\x80\x80",
                                      "\xE2\x82",
                                      "\xE2\x28\xA1",
                                      "a\xFF"};
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        assert_true(text_is_utf8(str_c(good[i])));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(text_is_utf8(str_c(bad[i])));
    assert_true(text_has_control(STR("a\tb")));
    assert_true(text_has_control(STR("\x7f")));
    assert_true(text_has_control(STR("a\0")));
    assert_false(text_has_control(STR("a b \xC3\xA9")));
}

static void a_control_is_seen_wherever_it_stands(void **state)
{
    (void)state;
    for (size_t n = 1; n <= 20; n++) {
        for (size_t at = 0; at < n; at++) {
            for (int c = 0; c < 256; c++) {
                char text[20];
                memset(text, at % 2 ? ' ' : 0x80, sizeof text);
                text[at] = (char)c;
                assert_int_equal(text_has_control((struct str){text, n}), c < 0x20 || c == 0x7f);
            }
        }
    }
    assert_false(text_has_control(STR_NONE));
}

static void percent_coding_goes_both_ways(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 100);
    text_percent_encode(&b, STR("aZ9-._~ /+\xC3\xA9"));
    assert_string_equal(b.p, "aZ9-._~%20%2F%2B%C3%A9");
    buf_reset(&b);
    assert_true(text_percent_decode(STR("a%2fb+%00c"), &b));
    assert_true(str_eq(buf_str(&b), STR("a/b+\0c")));
    buf_reset(&b);
    assert_false(text_percent_decode(STR("ok%2"), &b));
    assert_false(text_percent_decode(STR("ok%zz"), &b));
    assert_false(text_percent_decode(STR("%"), &b));
    assert_string_equal(b.p, "");
    buf_end(&b);
}

static void equality_in_constant_time_is_equality(void **state)
{
    (void)state;
    assert_true(text_eq_ct(STR("secret"), STR("secret")));
    assert_false(text_eq_ct(STR("secret"), STR("secreT")));
    assert_false(text_eq_ct(STR("secret"), STR("secre")));
    assert_true(text_eq_ct(STR(""), STR_NONE));
}

static void globs_match_runs(void **state)
{
    (void)state;
    assert_true(text_glob(STR("*"), STR("")));
    assert_true(text_glob(STR("CONNECTION_*"), STR("CONNECTION_LIST")));
    assert_true(text_glob(STR("file:///a/*/c*"), STR("file:///a/b/b/c.txt")));
    assert_true(text_glob(STR("a*b*c"), STR("abbbcbc")));
    assert_true(text_glob(STR("**a**"), STR("bab")));
    assert_false(text_glob(STR("CONNECTION_*"), STR("CONNECTION")));
    assert_false(text_glob(STR("a*b"), STR("abc")));
    assert_false(text_glob(STR("abc"), STR("ab")));
    assert_false(text_glob(STR(""), STR("a")));
    assert_false(text_glob(STR("a?c"), STR("abc")));
    assert_false(text_glob(STR("ABC"), STR("abc")));
}

static void slugs_come_from_names(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"My Team", "my-team"},
        {"  --A  &  B--  ", "a-b"},
        {"x", ""},
        {"", ""},
        {"\xC3\xA9", ""},
        {"Caf\xC3\xA9 42", "caf-42"},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa bbb",
         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char out[51];
        text_slug(str_c(cases[i][0]), out);
        assert_string_equal(out, cases[i][1]);
        assert_true(out[0] == '\0' || text_is_slug(str_c(out)));
    }
    static const char *const bad[] = {
        "a",   "-a",  "a-",  "a--b",
        "A-b", "a_b", "a b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(text_is_slug(str_c(bad[i])));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base64_agrees_with_the_rfc),
        cmocka_unit_test(base64_that_is_not_canonical_is_refused_and_appends_nothing),
        cmocka_unit_test(hex_goes_both_ways),
        cmocka_unit_test(only_well_formed_utf8_passes),
        cmocka_unit_test(a_control_is_seen_wherever_it_stands),
        cmocka_unit_test(percent_coding_goes_both_ways),
        cmocka_unit_test(equality_in_constant_time_is_equality),
        cmocka_unit_test(globs_match_runs),
        cmocka_unit_test(slugs_come_from_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
