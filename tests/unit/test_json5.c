#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "json/jread.h"
#include "json/json5.h"

static void becomes(const char *json5, const char *json)
{
    struct err e = {0};
    struct buf out;
    buf_init(&out, 4096);
    if (!json5_to_json(str_c(json5), &out, &e))
        fail_msg("%s: %s", json5, e.msg);
    assert_string_equal(out.p ? out.p : "", json);
    buf_end(&out);
}

static void is_refused(const char *json5, const char *word)
{
    struct err e = {0};
    struct buf out;
    buf_init(&out, 4096);
    assert_false(json5_to_json(str_c(json5), &out, &e));
    assert_int_equal(e.code, ERR_PARSE);
    if (!strstr(e.msg, word))
        fail_msg("%s says %s", json5, e.msg);
    buf_end(&out);
}

static void comments_and_trailing_commas_go(void **state)
{
    (void)state;
    becomes("{\"a\": 1, // one\n /* two, */ \"b\": [1, 2,], }", "{\"a\":1,\"b\":[1,2]}");
    becomes("\xEF\xBB\xBF{}", "{}");
    becomes("[1,/**/]//", "[1]");
    becomes("\"http://x/*no*/\"", "\"http://x/*no*/\"");
    becomes("['// kept',]", "[\"// kept\"]");
}

static void names_need_no_quotes(void **state)
{
    (void)state;
    becomes("{a_$1: true, true: null, caf\xC3\xA9 /* x */ : 1}",
            "{\"a_$1\":true,\"true\":null,\"caf\xC3\xA9\":1}");
}

static void strings_take_both_quotes_and_their_escapes(void **state)
{
    (void)state;
    becomes("'it\\'s \"so\"'", "\"it's \\\"so\\\"\"");
    becomes("'a\\\nb\\\r\nc'", "\"abc\"");
    becomes("'\\x41\\u00e9\\v\\q\\/\\n'", "\"\\u0041\\u00e9\\u000bq\\/\\n\"");
    becomes("'tab\there'", "\"tab\\u0009here\"");
}

static void numbers_take_json5_forms(void **state)
{
    (void)state;
    becomes("[+1, -.5, 5., 0x1F, -0xff, 1.e3, 1.5E-2]", "[1,-0.5,5,31,-255,1e3,1.5e-2]");
}

static void what_is_wrong_is_told_with_its_line(void **state)
{
    (void)state;
    is_refused("{\n\n'open", "line 3");
    is_refused("/* open", "comment");
    is_refused("'a\nb'", "line");
    is_refused("[,]", "comma");
    is_refused("[1,,2]", "comma");
    is_refused("1,", "comma");
    is_refused("[1 2]", "comma");
    is_refused("[{} []]", "comma");
    is_refused("{a 1}", "word");
    is_refused("NaN", "word");
    is_refused("-Infinity", "digits");
    is_refused("0x", "digits");
    is_refused("0x12345678901234", "large");
    is_refused("1e", "exponent");
    is_refused("'\\x4'", "hexadecimal");
    is_refused("'\\7'", "digit");
    is_refused("'\\", "closed");
    is_refused("{a = 1}", "word");
    is_refused("#", "unexpected");
}

static void structure_is_left_to_the_parser(void **state)
{
    (void)state;
    static const char *const broken[] = {"{a:1]", "{a::1}", "{\"a\":1,\"a\":2}", "", "010"};
    for (size_t i = 0; i < ARRAY_LEN(broken); i++) {
        struct err e = {0};
        struct buf out;
        buf_init(&out, 4096);
        struct jdoc *doc =
            json5_to_json(str_c(broken[i]), &out, &e) ? jdoc_parse(buf_str(&out), &e) : NULL;
        assert_null(doc);
        assert_int_equal(e.code, ERR_PARSE);
        buf_end(&out);
    }
}

int main(void)
{
    const struct CMUnitTest rows[] = {
        cmocka_unit_test(comments_and_trailing_commas_go),
        cmocka_unit_test(names_need_no_quotes),
        cmocka_unit_test(strings_take_both_quotes_and_their_escapes),
        cmocka_unit_test(numbers_take_json5_forms),
        cmocka_unit_test(what_is_wrong_is_told_with_its_line),
        cmocka_unit_test(structure_is_left_to_the_parser),
    };
    return cmocka_run_group_tests(rows, NULL, NULL);
}
