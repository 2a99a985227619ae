#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/limits.h"
#include "json/jscan.h"

static struct arena *arena;

static int setup(void **state)
{
    (void)state;
    arena = arena_new(1 << 20);
    return arena ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    arena_end(arena);
    return 0;
}

static bool valid(const char *text)
{
    struct err e;
    return jscan_valid(str_c(text), &e);
}

static const char *const good[] = {
    "0",
    "-0",
    "10",
    "-1.5",
    "1e5",
    "1E+5",
    "1.25e-300",
    "123456789012345678901234567890",
    "1e400",
    "true",
    "false",
    "null",
    "\"\"",
    "\"a\"",
    "[]",
    "{}",
    " [ ] ",
    "\t{\r\n}\n",
    "[1,2,3]",
    "[[],[[]],{}]",
    "{\"a\":1}",
    "{\"a\":{\"b\":[1,{\"c\":null}]}}",
    "{\"\":0}",
    "{\"a\":1,\"b\":2}",
    "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\"",
    "\"\\u0000\"",
    "\"\\uD83D\\uDE00\"",
    "\"\\ud83d\\ude00\"",
    "\"\xC3\xA9 \xE6\x97\xA5 \xF0\x9F\x98\x80\"",
    "\"\xEF\xBF\xBF \xF4\x8F\xBF\xBF \xED\x9F\xBF \xEE\x80\x80\"",
    "\"\x7F\"",
    "[0.1,0e0,0E-0]",
    "[\"12345678\",\"123456789\"]",
    "{\"a\":1,\"a\":2}",
};

static void every_kind_of_text_that_rfc_8259_allows_is_accepted(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        if (!valid(good[i]))
            fail_msg("refused: %s", good[i]);
}

static const char *const bad[] = {
    "",
    " ",
    "+1",
    "01",
    "-01",
    "-",
    "1.",
    ".5",
    "1.e1",
    "1e",
    "1e+",
    "0x1",
    "1_0",
    "Infinity",
    "-Infinity",
    "NaN",
    "nan",
    "tru",
    "trueX",
    "True",
    "nul",
    "nulll",
    "undefined",
    "\"",
    "\"a",
    "a\"",
    "'a'",
    "\"\\\"",
    "\"\\a\"",
    "\"\\x41\"",
    "\"\\u12\"",
    "\"\\u12g4\"",
    "\"\\U0041\"",
    "\"\\ud800\"",
    "\"\\udc00\"",
    "\"\\ud800x\"",
    "\"\\ud800\\n\"",
    "\"\\ud800\\ud800\"",
    "\"\\ud800\\u0041\"",
    "\"\t\"",
    "\"\n\"",
    "\"\x01\"",
    "\"12345678\x1F\"",
    "[",
    "]",
    "[1",
    "[1,",
    "[1,]",
    "[,1]",
    "[1 2]",
    "[1}",
    "{",
    "}",
    "{]",
    "{\"a\"",
    "{\"a\":",
    "{\"a\":1",
    "{\"a\":1,",
    "{\"a\":1,}",
    "{,}",
    "{a:1}",
    "{1:1}",
    "{\"a\" 1}",
    "{\"a\":1 \"b\":2}",
    "{\"a\":1]",
    "1 2",
    "{} {}",
    "[]]",
    "{}x",
    "/* c */ 1",
    "1 // c",
    "[1]\f",
    "\v1",
    "\xEF\xBB\xBF{}",
    "\"\x80\"",
    "\"\xC0\xAF\"",
    "\"\xC1\x81\"",
    "\"\xC3\"",
    "\"\xE0\x80\x80\"",
    "\"\xE2\x82\"",
    "\"\xED\xA0\x80\"",
    "\"\xF0\x80\x80\x80\"",
    "\"\xF4\x90\x80\x80\"",
    "\"\xF5\x80\x80\x80\"",
    "\"\xFF\"",
    "\"\xC3(\"",
    "\xC2\xA0 1",
    "{\"\xFF\":1}",
};

static void every_text_that_rfc_8259_forbids_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (valid(bad[i]))
            fail_msg("accepted: %s", bad[i]);
    struct err e;
    assert_false(jscan_valid((struct str){"1\0", 2}, &e));
    assert_false(jscan_valid((struct str){"\"a\0b\"", 5}, &e));
    assert_false(jscan_valid((struct str){"[\0]", 3}, &e));
    assert_false(jscan_valid(STR_NONE, &e));
}

static void every_prefix_of_a_text_is_refused(void **state)
{
    (void)state;
    struct str text =
        STR("{\"a\":[1.5e3,true,null,\"\\u00e9\\ud83d\\ude00 \xE6\x97\xA5\"],\"b\":{\"c\":-0}}");
    struct err e;
    assert_true(jscan_valid(text, &e));
    for (size_t n = 0; n < text.n; n++)
        assert_false(jscan_valid(str_slice(text, 0, n), &e));
}

static bool nested(size_t depth, const char *open, const char *close)
{
    struct buf b;
    struct err e;
    buf_init(&b, 1 << 20);
    for (size_t i = 0; i < depth; i++)
        buf_add(&b, str_c(open));
    buf_add(&b, STR("1"));
    for (size_t i = 0; i < depth; i++)
        buf_add(&b, str_c(close));
    bool is_good = jscan_valid(buf_str(&b), &e);
    if (!is_good)
        assert_non_null(strstr(e.msg, "nesting"));
    struct jwant none[1];
    if (*open == '{')
        assert_int_equal(is_good, jscan_object(buf_str(&b), none, 0, &e));
    buf_end(&b);
    return is_good;
}

static void nesting_is_allowed_to_the_limit_and_no_further(void **state)
{
    (void)state;
    assert_true(nested(LIMIT_JSON_DEPTH, "[", "]"));
    assert_false(nested(LIMIT_JSON_DEPTH + 1, "[", "]"));
    assert_true(nested(LIMIT_JSON_DEPTH, "{\"a\":", "}"));
    assert_false(nested(LIMIT_JSON_DEPTH + 1, "{\"a\":", "}"));
    assert_false(nested(2000, "[", "]"));
    assert_true(nested(LIMIT_JSON_DEPTH / 2, "[{\"a\":", "}]"));
    assert_false(nested(LIMIT_JSON_DEPTH / 2 + 1, "{\"a\":[", "]}"));
    assert_false(valid("[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]"
                       "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"));
}

static void a_failure_names_the_byte_what_was_given_and_what_was_expected(void **state)
{
    (void)state;
    struct err e;
    assert_false(jscan_valid(STR("{\"a\":x}"), &e));
    assert_int_equal(e.code, ERR_PARSE);
    assert_string_equal(e.msg, "JSON: byte 5: given 'x', expected a value");
    assert_false(jscan_valid(STR("[1"), &e));
    assert_string_equal(e.msg, "JSON: byte 2: the text ends, expected ',' or ']'");
    assert_false(jscan_valid(STR("{}\xFF"), &e));
    assert_string_equal(e.msg, "JSON: byte 2: given 0xff, expected the end of the text");
}

static void members_asked_for_are_found_as_written_at_the_top_level_only(void **state)
{
    (void)state;
    struct err e;
    struct jwant w[] = {{STR("id"), STR_NONE},
                        {STR("method"), STR_NONE},
                        {STR("params"), STR_NONE},
                        {STR("none"), STR("x")}};
    struct str text = STR(" { \"x\":{\"id\":0}, \"id\" : 9007199254740993 "
                          ",\"m\\u0065thod\":\"a\\nb\",\"params\":{\"id\": [1, 2]} } ");
    assert_true(jscan_object(text, w, 4, &e));
    assert_true(str_eq(w[0].value, STR("9007199254740993")));
    assert_true(str_eq(w[1].value, STR("\"a\\nb\"")));
    assert_true(str_eq(w[2].value, STR("{\"id\": [1, 2]}")));
    assert_true(str_is_absent(w[3].value));
}

static void the_case_of_member_names_matters(void **state)
{
    (void)state;
    struct err e;
    struct jwant w[] = {{STR("method"), STR_NONE}};
    assert_true(jscan_object(STR("{\"METHOD\":1,\"method \":2}"), w, 1, &e));
    assert_true(str_is_absent(w[0].value));
}

static void a_member_that_occurs_twice_is_refused_however_it_is_spelt(void **state)
{
    (void)state;
    struct err e;
    assert_false(jscan_object(STR("{\"method\":1,\"a\":2,\"method\":1}"), NULL, 0, &e));
    assert_int_equal(e.code, ERR_BAD_REQUEST);
    assert_string_equal(e.msg, "JSON: member \"method\" occurs twice");
    assert_false(jscan_object(STR("{\"method\":1,\"m\\u0065th\\u006Fd\":2}"), NULL, 0, &e));
    assert_int_equal(e.code, ERR_BAD_REQUEST);
    assert_false(jscan_object(STR("{\"\xF0\x9F\x98\x80\":1,\"\\ud83d\\ude00\":2}"), NULL, 0, &e));
    assert_false(jscan_object(STR("{\"\\/\":1,\"/\":2}"), NULL, 0, &e));
    assert_false(jscan_object(STR("{\"a\\u0000\":1,\"a\\u0000\":2}"), NULL, 0, &e));
    assert_true(jscan_object(STR("{\"a\\u0000\":1,\"a\":2}"), NULL, 0, &e));
    assert_true(jscan_object(STR("{\"a\":{\"b\":1},\"c\":{\"b\":1}}"), NULL, 0, &e));
}

/* {"<first>":1,"between":2,"<second>":3} */
static bool both_fit(const char *first, const char *second)
{
    struct buf b;
    struct err e;
    buf_init(&b, 1 << 16);
    buf_addf(&b, "{\"%s\":1,\"between\":2,\"%s\":3}", first, second);
    bool is_good = jscan_object(buf_str(&b), NULL, 0, &e);
    if (!is_good && (e.code != ERR_BAD_REQUEST || !strstr(e.msg, "occurs twice")))
        fail_msg("%s", e.msg);
    buf_end(&b);
    return is_good;
}

static void names_are_the_same_in_either_order_of_spellings(void **state)
{
    (void)state;
    static const char *const same[][2] = {{"name", "n\\u0061me"},
                                          {"n\\u0061me", "\\u006Eame"},
                                          {"", ""},
                                          {"a/b", "a\\/b"},
                                          {"\xC3\xA9", "\\u00e9"},
                                          {"\xF0\x9F\x98\x80", "\\uD83D\\uDE00"},
                                          {"\\n", "\\u000a"},
                                          {"\\\\", "\\u005c"},
                                          {"\xC3\xA9", "\xC3\xA9"}};
    static const char *const apart[][2] = {{"name", "nam"},          {"name", "namf"},
                                           {"name", "mame"},         {"name", "n\\u0062me"},
                                           {"", "\\u0000"},          {"\\n", "n"},
                                           {"\\\\n", "\\n"},         {"\\\\u0061", "a"},
                                           {"\xC3\xA9", "e\\u0301"}, {"a\\u0000b", "a\\u0000c"}};
    for (size_t i = 0; i < ARRAY_LEN(same); i++)
        if (both_fit(same[i][0], same[i][1]) || both_fit(same[i][1], same[i][0]))
            fail_msg("both fit: %s and %s", same[i][0], same[i][1]);
    for (size_t i = 0; i < ARRAY_LEN(apart); i++)
        if (!both_fit(apart[i][0], apart[i][1]) || !both_fit(apart[i][1], apart[i][0]))
            fail_msg("refused: %s and %s", apart[i][0], apart[i][1]);
}

static void long_names_are_compared_with_short_ones_and_each_other(void **state)
{
    (void)state;
    char name[202], other[202], escaped[207];
    for (size_t n = 55; n < 200; n++) {
        memset(name, 'x', n);
        name[n] = '\0';
        memcpy(other, name, n + 1);
        assert_false(both_fit(name, other));
        other[n - 1] = 'y';
        assert_true(both_fit(name, other));
        other[n - 1] = '\0';
        assert_true(both_fit(name, other));
        memcpy(escaped, name, n);
        memcpy(escaped + n - 1, "\\u0078", 7);
        assert_false(both_fit(name, escaped));
        assert_false(both_fit(escaped, name));
    }
}

static void members_that_were_not_asked_for_are_counted(void **state)
{
    (void)state;
    struct err e;
    size_t n_others = 9;
    struct jwant w[] = {{STR("a"), STR_NONE}, {STR("name"), STR_NONE}};
    assert_true(jscan_object_others(STR("{}"), w, 2, &n_others, &e) && n_others == 0);
    assert_true(jscan_object_others(STR("{\"n\\u0061me\":1,\"a\":2}"), w, 2, &n_others, &e));
    assert_int_equal(n_others, 0);
    assert_true(str_eq(w[1].value, STR("1")) && str_eq(w[0].value, STR("2")));
    assert_true(jscan_object_others(STR("{\"Name\":1,\"a\":{\"z\":0},\"a\\u0000\":2,\"\":3}"), w, 2,
                                    &n_others, &e));
    assert_int_equal(n_others, 3);
    assert_true(jscan_object_others(STR("{\"a\":1,\"name\":2}"), NULL, 0, &n_others, &e));
    assert_int_equal(n_others, 2);
}

static struct str members(struct buf *b, size_t n, const char *last)
{
    buf_reset(b);
    buf_add_char(b, '{');
    for (size_t i = 0; i < n; i++)
        buf_addf(b, "\"k%zu\":1,", i);
    buf_addf(b, "\"%s\":2}", last);
    return buf_str(b);
}

static void repeated_members_are_found_among_many(void **state)
{
    (void)state;
    struct buf b;
    struct err e;
    buf_init(&b, 1 << 20);
    static const size_t counts[] = {31, 32, 33, 500, LIMIT_JSON_MEMBERS - 1};
    for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
        assert_true(jscan_object(members(&b, counts[i], "last"), NULL, 0, &e));
        assert_false(jscan_object(members(&b, counts[i], "k0"), NULL, 0, &e));
        assert_int_equal(e.code, ERR_BAD_REQUEST);
        assert_false(jscan_object(members(&b, counts[i], "k3\\u0030"), NULL, 0, &e));
        assert_true(jscan_object(members(&b, counts[i], "k\\u0061"), NULL, 0, &e));
        if (counts[i] + 2 > LIMIT_JSON_MEMBERS)
            continue;
        /* escaped ones change how the names are kept, before and after there are many */
        assert_true(jscan_object(members(&b, counts[i], "\\u0061\":0,\"k"), NULL, 0, &e));
        assert_false(jscan_object(members(&b, counts[i], "\\u0061\":0,\"k1"), NULL, 0, &e));
        assert_int_equal(e.code, ERR_BAD_REQUEST);
    }
    assert_false(jscan_object(members(&b, LIMIT_JSON_MEMBERS, "last"), NULL, 0, &e));
    assert_int_equal(e.code, ERR_BAD_REQUEST);
    buf_end(&b);
}

static void json_that_is_no_object_is_told_apart_from_what_is_no_json(void **state)
{
    (void)state;
    struct err e;
    assert_false(jscan_object(STR(" [1]"), NULL, 0, &e));
    assert_int_equal(e.code, ERR_BAD_REQUEST);
    assert_string_equal(e.msg, "JSON: given an array, expected an object");
    assert_false(jscan_object(STR("[1"), NULL, 0, &e));
    assert_int_equal(e.code, ERR_PARSE);
    assert_false(jscan_object(STR("{\"a\":1}}"), NULL, 0, &e));
    assert_int_equal(e.code, ERR_PARSE);
    assert_false(jscan_object(STR(""), NULL, 0, &e));
    assert_int_equal(e.code, ERR_PARSE);
}

static void items_and_members_are_walked_in_order(void **state)
{
    (void)state;
    struct jiter it;
    jscan_iter(&it, STR(" [ 1 , \"a,]\" ,[2,3], {\"b\":4} ] "));
    static const char *const items[] = {"1", "\"a,]\"", "[2,3]", "{\"b\":4}"};
    for (size_t i = 0; i < 4; i++) {
        assert_true(jscan_next(&it));
        assert_true(str_is_absent(it.key) && str_eq(it.value, str_c(items[i])));
    }
    assert_false(jscan_next(&it));
    assert_false(jscan_next(&it));
    jscan_iter(&it, STR("{ \"a\" : 1,\"b\":{}}"));
    assert_true(jscan_next(&it) && str_eq(it.key, STR("\"a\"")) && str_eq(it.value, STR("1")));
    assert_true(jscan_next(&it) && str_eq(it.key, STR("\"b\"")) && str_eq(it.value, STR("{}")));
    assert_false(jscan_next(&it));
    static const char *const empty[] = {"[]", "{}", "[ ]", "1", "\"a\"", ""};
    for (size_t i = 0; i < ARRAY_LEN(empty); i++) {
        jscan_iter(&it, str_c(empty[i]));
        assert_false(jscan_next(&it));
    }
}

static void strings_are_unescaped_and_nul_is_refused(void **state)
{
    (void)state;
    struct str s;
    struct str plain = STR("\"abc\"");
    assert_true(jscan_string(arena, plain, &s) && s.p == plain.p + 1 && s.n == 3);
    assert_true(jscan_string(
        arena, STR("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00e9\\u65E5\\ud83d\\ude00\""), &s));
    assert_true(str_eq(s, STR("\"\\/\b\f\n\r\tA\xC3\xA9\xE6\x97\xA5\xF0\x9F\x98\x80")));
    assert_false(jscan_string(arena, STR("\"a\\u0000b\""), &s));
    assert_false(jscan_string(arena, STR("12"), &s));
    assert_false(jscan_string(arena, STR_NONE, &s));
    assert_true(jscan_string_eq(STR("\"n\\u0061me\""), STR("name")));
    assert_false(jscan_string_eq(STR("\"n\\u0061me\""), STR("nam")));
    assert_false(jscan_string_eq(STR("\"n\\u0061m\""), STR("name")));
    assert_false(jscan_string_eq(STR("name"), STR("name")));
    assert_false(jscan_string_eq(STR("\"a\\nb\""), STR("a\\nb"))); /* the letters as written */
    assert_true(jscan_string_eq(STR("\"a\\nb\""), STR("a\nb")));
    assert_true(jscan_string_eq(STR("\"\""), STR("")));
    assert_true(jscan_string_eq(STR("\"\\ud83d\\ude00\""), STR("\xF0\x9F\x98\x80")));
}

static void integers_are_exact_or_refused(void **state)
{
    (void)state;
    int64_t v;
    assert_true(jscan_i64(STR("9007199254740993"), &v) && v == 9007199254740993);
    assert_true(jscan_i64(STR("-9223372036854775808"), &v) && v == INT64_MIN);
    assert_true(jscan_i64(STR("9223372036854775807"), &v) && v == INT64_MAX);
    assert_true(jscan_i64(STR("-0"), &v) && v == 0);
    assert_false(jscan_i64(STR("9223372036854775808"), &v));
    assert_false(jscan_i64(STR("-9223372036854775809"), &v));
    assert_false(jscan_i64(STR("18446744073709551617"), &v));
    assert_false(jscan_i64(STR("1.0"), &v));
    assert_false(jscan_i64(STR("1e3"), &v));
    assert_false(jscan_i64(STR("\"1\""), &v));
    assert_false(jscan_i64(STR_NONE, &v));
}

static void a_special_byte_is_noticed_at_every_place_in_a_word(void **state)
{
    (void)state;
    static const char special[] = {'"', '\\', 0x1F, '\n', (char)0x80, (char)0xFF, 0x00};
    char text[44];
    struct err e;
    for (size_t at = 1; at < 41; at++)
        for (size_t i = 0; i < sizeof special; i++) {
            memset(text, 'a', sizeof text);
            text[0] = text[43] = '"';
            text[at] = special[i];
            assert_false(jscan_valid((struct str){text, sizeof text}, &e));
            assert_non_null(strstr(e.msg, "byte "));
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_text_that_rfc_8259_allows_is_accepted),
        cmocka_unit_test(every_text_that_rfc_8259_forbids_is_refused),
        cmocka_unit_test(every_prefix_of_a_text_is_refused),
        cmocka_unit_test(nesting_is_allowed_to_the_limit_and_no_further),
        cmocka_unit_test(a_failure_names_the_byte_what_was_given_and_what_was_expected),
        cmocka_unit_test(members_asked_for_are_found_as_written_at_the_top_level_only),
        cmocka_unit_test(the_case_of_member_names_matters),
        cmocka_unit_test(a_member_that_occurs_twice_is_refused_however_it_is_spelt),
        cmocka_unit_test(names_are_the_same_in_either_order_of_spellings),
        cmocka_unit_test(long_names_are_compared_with_short_ones_and_each_other),
        cmocka_unit_test(members_that_were_not_asked_for_are_counted),
        cmocka_unit_test(repeated_members_are_found_among_many),
        cmocka_unit_test(json_that_is_no_object_is_told_apart_from_what_is_no_json),
        cmocka_unit_test(items_and_members_are_walked_in_order),
        cmocka_unit_test_setup_teardown(strings_are_unescaped_and_nul_is_refused, setup, teardown),
        cmocka_unit_test(integers_are_exact_or_refused),
        cmocka_unit_test(a_special_byte_is_noticed_at_every_place_in_a_word),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
