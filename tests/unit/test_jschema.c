#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "json/jschema.h"

/* Checks `value` against `schema`; the message, or "" when it passes. */
static const char *verdict(const char *schema, const char *value)
{
    static struct err e;
    struct jschema *s = jschema_compile(str_c(schema), &e);
    if (!s)
        fail_msg("%s: %s", schema, e.msg);
    struct jdoc *d = jdoc_parse(str_c(value), &e);
    if (!d)
        fail_msg("%s: %s", value, e.msg);
    bool is_good = jschema_check(s, jdoc_root(d), "arguments", &e);
    if (!is_good)
        assert_int_equal(e.code, ERR_INVALID);
    assert_int_equal(is_good, jschema_check(s, jdoc_root(d), "arguments", NULL));
    jdoc_free(d);
    jschema_free(s);
    return is_good ? "" : e.msg;
}

#define assert_passes(schema, value)         assert_string_equal(verdict(schema, value), "")
#define assert_fails(schema, value, message) assert_string_equal(verdict(schema, value), message)
#define PROPERTY(name, schema)               "{\"type\":\"object\",\"properties\":{\"" name "\":" schema "}}"

static void types_are_told_apart(void **state)
{
    (void)state;
    assert_passes("{\"type\":\"integer\"}", "5");
    assert_fails("{\"type\":\"integer\"}", "1.0", "arguments: given 1.0, expected an integer");
    assert_fails("{\"type\":\"integer\"}", "\"5\"", "arguments: given \"5\", expected an integer");
    assert_passes("{\"type\":\"number\"}", "1.5");
    assert_passes("{\"type\":\"number\"}", "1");
    assert_fails("{\"type\":\"boolean\"}", "1", "arguments: given 1, expected true or false");
    assert_fails("{\"type\":\"null\"}", "false", "arguments: given false, expected null");
    assert_fails("{\"type\":\"object\"}", "[1,2]",
                 "arguments: given an array of 2 items, expected an object");
    assert_passes("{\"type\":[\"string\",\"null\"]}", "null");
    assert_fails("{\"type\":[\"string\",\"null\"]}", "{\"a\":1}",
                 "arguments: given an object of 1 members, expected null or a string");
    assert_passes("{}", "[{\"anything\":1}]");
}

static void limits_of_numbers_are_named(void **state)
{
    (void)state;
    const char *schema = PROPERTY("limit", "{\"type\":\"integer\",\"minimum\":1,\"maximum\":100}");
    assert_passes(schema, "{\"limit\":1}");
    assert_passes(schema, "{\"limit\":100}");
    assert_fails(schema, "{\"limit\":500}",
                 "arguments.limit: given 500, expected an integer from 1 to 100");
    assert_fails(schema, "{\"limit\":0}",
                 "arguments.limit: given 0, expected an integer from 1 to 100");
    assert_fails("{\"type\":\"number\",\"minimum\":0.5}", "0.25",
                 "arguments: given 0.25, expected a number of at least 0.5");
    assert_fails("{\"maximum\":3}", "4",
                 "arguments: given 4, expected an integer of at most 3 or a number of at most 3");
}

static void lengths_count_characters_not_bytes(void **state)
{
    (void)state;
    const char *schema = "{\"type\":\"string\",\"minLength\":2,\"maxLength\":3}";
    assert_passes(schema, "\"\xC3\xA9\xE6\x97\xA5\xF0\x9F\x98\x80\"");
    assert_fails(
        schema, "\"\xF0\x9F\x98\x80\"",
        "arguments: given a string of 1 characters, expected a string of 2 to 3 characters");
    assert_fails(
        schema, "\"abcd\"",
        "arguments: given a string of 4 characters, expected a string of 2 to 3 characters");
}

static void a_string_of_wrong_length_is_not_repeated(void **state)
{
    (void)state;
    assert_null(
        strstr(verdict("{\"type\":\"string\",\"minLength\":12}", "\"hunter2\""), "hunter2"));
}

static void arrays_are_checked_item_by_item(void **state)
{
    (void)state;
    const char *schema = PROPERTY(
        "a", "{\"type\":\"array\",\"minItems\":1,\"maxItems\":3,\"items\":{\"type\":\"string\"}}");
    assert_passes(schema, "{\"a\":[\"x\"]}");
    assert_fails(schema, "{\"a\":[]}",
                 "arguments.a: given an array of 0 items, expected an array of 1 to 3 items");
    assert_fails(schema, "{\"a\":[\"x\",\"y\",\"z\",\"w\"]}",
                 "arguments.a: given an array of 4 items, expected an array of 1 to 3 items");
    assert_fails(schema, "{\"a\":[\"x\",7]}", "arguments.a[1]: given 7, expected a string");
}

static void all_unknown_and_all_missing_members_are_named_at_once(void **state)
{
    (void)state;
    const char *schema =
        "{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"name\",\"url\"],"
        "\"properties\":{\"name\":{},\"url\":{}}}";
    assert_passes(schema, "{\"url\":1,\"name\":2}");
    assert_fails(schema, "{\"foo\":1,\"name\":1,\"url\":1,\"bar\":2}",
                 "arguments: given unknown \"foo\", \"bar\", expected only \"name\", \"url\"");
    assert_fails(schema, "{}", "arguments: missing \"name\", \"url\"");
    assert_fails("{\"type\":\"object\",\"additionalProperties\":false}", "{\"a\":1}",
                 "arguments: given unknown \"a\", expected no members");
}

static void further_members_may_have_a_schema(void **state)
{
    (void)state;
    const char *schema = "{\"properties\":{\"n\":{\"type\":\"integer\"}},\"additionalProperties\":{"
                         "\"type\":\"string\"}}";
    assert_passes(schema, "{\"n\":1,\"x\":\"y\"}");
    assert_fails(schema, "{\"n\":1,\"x\":2}", "arguments.x: given 2, expected a string");
    assert_passes("{\"additionalProperties\":true}", "{\"x\":2}");
}

static void choices_are_listed(void **state)
{
    (void)state;
    const char *schema = "{\"enum\":[\"a\",1,null,{\"k\":[1.5,true]}]}";
    assert_passes(schema, "\"a\"");
    assert_passes(schema, "1.0");
    assert_passes(schema, "{\"k\":[1.5,true]}");
    assert_fails(schema, "{\"k\":[1.5,false]}",
                 "arguments: given an object of 1 members, expected one of \"a\", 1, null, "
                 "{\"k\":[1.5,true]}");
    assert_fails(schema, "false",
                 "arguments: given false, expected one of \"a\", 1, null, {\"k\":[1.5,true]}");
    assert_passes("{\"const\":\"x\"}", "\"x\"");
    assert_fails("{\"const\":\"x\"}", "\"y\"", "arguments: given \"y\", expected \"x\"");
    assert_fails("{\"const\":{\"a\":1}}", "{\"b\":1}",
                 "arguments: given an object of 1 members, expected {\"a\":1}");
}

static void formats_are_checked(void **state)
{
    (void)state;
    assert_passes("{\"format\":\"email\"}", "\"a@b.example\"");
    assert_fails("{\"type\":\"string\",\"format\":\"email\"}", "\"ab\"",
                 "arguments: given \"ab\", expected an e-mail address");
    assert_passes("{\"format\":\"uri\"}", "\"https://a.example/x\"");
    assert_fails("{\"type\":\"string\",\"format\":\"uri\"}", "\"/x\"",
                 "arguments: given \"/x\", expected an absolute URI");
    assert_passes("{\"format\":\"date-time\"}", "\"2026-01-31T12:00:00Z\"");
    assert_fails("{\"type\":\"string\",\"format\":\"date-time\"}", "\"2026-02-31\"",
                 "arguments: given \"2026-02-31\", expected a time like 2026-01-31T12:00:00Z");
    assert_passes("{\"format\":\"email\"}", "5");
}

static void variants_are_counted(void **state)
{
    (void)state;
    const char *any = "{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"integer\",\"minimum\":5},{"
                      "\"type\":\"number\"}]}";
    const char *one = "{\"oneOf\":[{\"type\":\"string\"},{\"type\":\"integer\",\"minimum\":5},{"
                      "\"type\":\"number\"}]}";
    assert_passes(any, "7");
    assert_fails(one, "7", "arguments: given 7, expected exactly one of 3 forms, not 2 of them");
    assert_passes(one, "3");
    assert_fails(
        any, "null",
        "arguments: given null, expected a string or an integer of at least 5 or a number");
    const char *near =
        "{\"oneOf\":[{\"type\":\"string\"},{\"type\":\"object\",\"required\":[\"a\"]}]}";
    assert_fails(near, "{}", "arguments: missing \"a\"");
}

static void definitions_may_refer_to_one_another(void **state)
{
    (void)state;
    const char *tree =
        "{\"$ref\":\"#/$defs/"
        "tree\",\"$defs\":{\"tree\":{\"type\":\"object\",\"additionalProperties\":false,"
        "\"properties\":{\"name\":{\"$ref\":\"#/$defs/"
        "name\"},\"kids\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/$defs/tree\"}}}},"
        "\"name\":{\"type\":\"string\"}}}";
    assert_passes(tree, "{\"name\":\"a\",\"kids\":[{\"kids\":[{\"name\":\"b\"}]}]}");
    assert_fails(tree, "{\"kids\":[{\"kids\":[{\"name\":1}]}]}",
                 "arguments.kids[0].kids[0].name: given 1, expected a string");
}

static void a_schema_that_refers_to_itself_without_end_refuses_instead_of_crashing(void **state)
{
    (void)state;
    struct err e;
    struct jschema *s =
        jschema_compile(STR("{\"$ref\":\"#/$defs/a\",\"$defs\":{\"a\":{\"$ref\":\"#/$defs/"
                            "b\"},\"b\":{\"$ref\":\"#/$defs/a\"}}}"),
                        &e);
    struct jdoc *d = jdoc_parse(STR("1"), &e);
    assert_non_null(s);
    assert_false(jschema_check(s, jdoc_root(d), "arguments", &e));
    assert_string_equal(e.msg, "arguments: nested too deeply to be checked");
    jdoc_free(d);
    jschema_free(s);
}

/* Checked in time that grows slowly with depth: without care each level would be looked at twice.
 */
static void deep_values_of_recursive_variants_are_refused_quickly(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 1000);
    for (int i = 0; i < 40; i++)
        buf_add_char(&b, '[');
    buf_add_char(&b, '1');
    for (int i = 0; i < 40; i++)
        buf_add_char(&b, ']');
    const char *message = verdict("{\"$ref\":\"#/$defs/"
                                  "t\",\"$defs\":{\"t\":{\"oneOf\":[{\"type\":\"string\"},{"
                                  "\"type\":\"array\",\"items\":{\"$ref\":\"#/$defs/t\"}}]}}}",
                                  buf_str(&b).p);
    assert_non_null(strstr(message, "given 1"));
    buf_end(&b);
}

static void patterns_match_the_whole_string(void **state)
{
    (void)state;
    const char *slug = "{\"pattern\":\"^[a-z0-9-]{2,50}$\"}";
    assert_passes(slug, "\"ab\"");
    assert_passes(slug, "\"12345678901234567890123456789012345678901234567890\"");
    assert_fails("{\"type\":\"string\",\"pattern\":\"^[a-z]+$\"}", "\"aB\"",
                 "arguments: given \"aB\", expected a string matching ^[a-z]+$");
    assert_string_not_equal(verdict(slug, "\"a\""), "");
    assert_string_not_equal(
        verdict(slug, "\"123456789012345678901234567890123456789012345678901\""), "");
    assert_string_not_equal(verdict(slug, "\"ab\\n\""), "");
    assert_string_not_equal(verdict(slug, "\"a\xC3\xA9\""), "");
    const char *id = "{\"pattern\":\"^conn_[0-9a-f]{32}$\"}";
    assert_passes(id, "\"conn_0123456789abcdef0123456789abcdef\"");
    assert_string_not_equal(verdict(id, "\"conn_0123456789abcdef0123456789abcdeg\""), "");
    assert_string_not_equal(verdict(id, "\"conn_0123456789abcdef0123456789abcde\""), "");
}

static void patterns_need_no_backtracking(void **state)
{
    (void)state;
    assert_passes("{\"pattern\":\"^[a-z]+[a-z]$\"}", "\"ab\"");
    assert_string_not_equal(verdict("{\"pattern\":\"^[a-z]+[a-z]$\"}", "\"a\""), "");
    assert_passes("{\"pattern\":\"^a?a?a?aaa$\"}", "\"aaa\"");
    assert_passes("{\"pattern\":\"^x*y{0,2}z{2,}\\\\d\\\\.$\"}", "\"xxyzzz7.\"");
    assert_passes("{\"pattern\":\"^x*y{0,2}z{2,}\\\\d\\\\.$\"}", "\"zz7.\"");
    assert_string_not_equal(verdict("{\"pattern\":\"^x*y{0,2}z{2,}\\\\d\\\\.$\"}", "\"yyyzz7.\""),
                            "");
    assert_string_not_equal(verdict("{\"pattern\":\"^x*y{0,2}z{2,}\\\\d\\\\.$\"}", "\"z7.\""), "");
    assert_passes("{\"pattern\":\"^$\"}", "\"\"");
    assert_string_not_equal(verdict("{\"pattern\":\"^$\"}", "\"a\""), "");
    assert_passes("{\"pattern\":\"^[-_a]+$\"}", "\"-_a\"");
    assert_passes("{\"pattern\":\"^[a-]+$\"}", "\"a-\"");
}

static void what_is_not_supported_is_refused_when_compiled(void **state)
{
    (void)state;
    static const struct {
        const char *schema, *part;
    } cases[] = {
        {"{\"type\":\"integer\",\"multipleOf\":2}", "\"multipleOf\""},
        {"{\"properties\":{\"a\":{\"patternProperties\":{}}}}", "\"patternProperties\""},
        {"{\"allOf\":[{}]}", "\"allOf\""},
        {"{\"type\":\"text\"}", "\"type\""},
        {"{\"type\":[]}", "\"type\""},
        {"{\"type\":[\"string\",5]}", "\"type\""},
        {"{\"required\":\"a\"}", "\"required\""},
        {"{\"required\":[1]}", "\"required\""},
        {"{\"properties\":[]}", "\"properties\""},
        {"{\"minimum\":\"1\"}", "\"minimum\""},
        {"{\"minLength\":-1}", "\"minLength\""},
        {"{\"maxItems\":1.5}", "\"maxItems\""},
        {"{\"enum\":[]}", "\"enum\""},
        {"{\"oneOf\":{}}", "\"oneOf\""},
        {"{\"format\":\"ipv4\"}", "\"format\""},
        {"{\"$ref\":\"#/$defs/none\"}", "\"$ref\""},
        {"{\"$ref\":\"other.json\",\"$defs\":{\"a\":{}}}", "\"$ref\""},
        {"{\"items\":{\"$defs\":{}}}", "\"$defs\""},
        {"{\"items\":true}", "must be an object"},
        {"[]", "must be an object"},
        {"{\"pattern\":\"[a-z]+\"}", "pattern"},
        {"{\"pattern\":\"^a\"}", "pattern"},
        {"{\"pattern\":\"^a$b\"}", "pattern"},
        {"{\"pattern\":\"^(a|b)$\"}", "pattern"},
        {"{\"pattern\":\"^a|b$\"}", "pattern"},
        {"{\"pattern\":\"^.$\"}", "pattern"},
        {"{\"pattern\":\"^[^a]$\"}", "pattern"},
        {"{\"pattern\":\"^[]$\"}", "pattern"},
        {"{\"pattern\":\"^[z-a]$\"}", "pattern"},
        {"{\"pattern\":\"^[a$\"}", "pattern"},
        {"{\"pattern\":\"^a{$\"}", "pattern"},
        {"{\"pattern\":\"^a{2$\"}", "pattern"},
        {"{\"pattern\":\"^a{3,2}$\"}", "pattern"},
        {"{\"pattern\":\"^a{0}$\"}", "pattern"},
        {"{\"pattern\":\"^a{999}$\"}", "pattern"},
        {"{\"pattern\":\"^[ab]{200}[cd]{200}$\"}", "pattern"},
        {"{\"pattern\":\"^a**$\"}", "pattern"},
        {"{\"pattern\":\"^a+?$\"}", "pattern"},
        {"{\"pattern\":\"^*$\"}", "pattern"},
        {"{\"pattern\":\"^\\\\w$\"}", "pattern"},
        {"{\"pattern\":\"^\\\\\"}", "pattern"},
        {"{\"pattern\":\"^\xC3\xA9$\"}", "pattern"},
        {"{\"pattern\":\"\"}", "pattern"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err e = {0};
        if (jschema_compile(str_c(cases[i].schema), &e))
            fail_msg("compiled: %s", cases[i].schema);
        if (e.code != ERR_INTERNAL || !strstr(e.msg, cases[i].part))
            fail_msg("%s: \"%s\" does not say %s", cases[i].schema, e.msg, cases[i].part);
    }
    struct err e;
    assert_null(jschema_compile(STR("{"), &e));
}

static void words_for_readers_are_passed_over(void **state)
{
    (void)state;
    assert_passes("{\"title\":\"t\",\"description\":\"d\",\"default\":5,\"examples\":[1],\"type\":"
                  "\"string\"}",
                  "\"x\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_are_told_apart),
        cmocka_unit_test(limits_of_numbers_are_named),
        cmocka_unit_test(lengths_count_characters_not_bytes),
        cmocka_unit_test(a_string_of_wrong_length_is_not_repeated),
        cmocka_unit_test(arrays_are_checked_item_by_item),
        cmocka_unit_test(all_unknown_and_all_missing_members_are_named_at_once),
        cmocka_unit_test(further_members_may_have_a_schema),
        cmocka_unit_test(choices_are_listed),
        cmocka_unit_test(formats_are_checked),
        cmocka_unit_test(variants_are_counted),
        cmocka_unit_test(definitions_may_refer_to_one_another),
        cmocka_unit_test(a_schema_that_refers_to_itself_without_end_refuses_instead_of_crashing),
        cmocka_unit_test(deep_values_of_recursive_variants_are_refused_quickly),
        cmocka_unit_test(patterns_match_the_whole_string),
        cmocka_unit_test(patterns_need_no_backtracking),
        cmocka_unit_test(what_is_not_supported_is_refused_when_compiled),
        cmocka_unit_test(words_for_readers_are_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
