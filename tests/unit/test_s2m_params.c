/* x-mcp-header: which tools may be shown, and the headers of a call. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/limits.h"
#include "mcp/s2m.h"

#define TOOL(schema) "{\"name\":\"t\",\"inputSchema\":" schema "}"
#define PROPS(list)  "{\"type\":\"object\",\"properties\":{" list "}}"

static bool is_valid(const char *definition)
{
    struct arena *a = arena_new((size_t)1024 * 1024);
    bool valid = s2m_tool_is_valid(a, str_c(definition));
    arena_end(a);
    return valid;
}

static void annotations_that_a_client_can_follow_are_valid(void **state)
{
    (void)state;
    assert_true(is_valid(TOOL("{\"type\":\"object\"}")));
    assert_true(is_valid("{\"name\":\"t\"}"));
    assert_true(is_valid(TOOL(PROPS("\"a\":{\"type\":\"string\",\"x-mcp-header\":\"A\"}"))));
    assert_true(is_valid(TOOL(PROPS("\"a\":{\"type\":\"integer\",\"x-mcp-header\":\"A\"},"
                                    "\"b\":{\"type\":\"boolean\",\"x-mcp-header\":\"B-1\"}"))));
    assert_true(is_valid(
        TOOL(PROPS("\"a\":" PROPS("\"b\":{\"type\":\"string\",\"x-mcp-header\":\"Deep\"}")))));
    /* a property of that name is no annotation, and data is no schema */
    assert_true(is_valid(TOOL(PROPS("\"x-mcp-header\":{\"type\":\"number\"}"))));
    assert_true(
        is_valid(TOOL(PROPS("\"a\":{\"type\":\"object\",\"default\":{\"x-mcp-header\":1}}"))));
}

static void a_tool_with_any_other_annotation_is_invalid(void **state)
{
    (void)state;
    static const char *const invalid[] = {
        TOOL(PROPS("\"a\":{\"type\":\"number\",\"x-mcp-header\":\"A\"}")),
        TOOL(PROPS("\"a\":{\"type\":[\"string\"],\"x-mcp-header\":\"A\"}")),
        TOOL(PROPS("\"a\":{\"x-mcp-header\":\"A\"}")),
        TOOL(PROPS("\"a\":{\"type\":\"string\",\"x-mcp-header\":\"\"}")),
        TOOL(PROPS("\"a\":{\"type\":\"string\",\"x-mcp-header\":\"A B\"}")),
        TOOL(PROPS("\"a\":{\"type\":\"string\",\"x-mcp-header\":\"A\\r\\nB\"}")),
        TOOL(PROPS("\"a\":{\"type\":\"string\",\"x-mcp-header\":7}")),
        TOOL(PROPS("\"a\":{\"type\":\"string\",\"x-mcp-header\":\"A\"},"
                   "\"b\":{\"type\":\"string\",\"x-mcp-header\":\"a\"}")),
        TOOL(PROPS("\"a\":{\"type\":\"array\",\"items\":{\"type\":\"string\","
                   "\"x-mcp-header\":\"A\"}}")),
        TOOL("{\"type\":\"object\",\"anyOf\":[" PROPS(
            "\"a\":{\"type\":\"string\",\"x-mcp-header\":\"A\"}") "]}"),
        TOOL("{\"type\":\"object\",\"$defs\":{\"d\":{\"type\":\"string\","
             "\"x-mcp-header\":\"A\"}}}"),
        TOOL("{\"type\":\"string\",\"x-mcp-header\":\"A\"}"),
    };
    for (size_t i = 0; i < ARRAY_LEN(invalid); i++)
        if (is_valid(invalid[i]))
            fail_msg("%s", invalid[i]);
}

static void a_schema_deeper_than_any_real_one_is_invalid(void **state)
{
    (void)state;
    char text[8192];
    size_t n = (size_t)snprintf(text, sizeof(text), "{\"name\":\"t\",\"inputSchema\":");
    for (int i = 0; i < 25; i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "{\"properties\":{\"p\":");
    n += (size_t)snprintf(text + n, sizeof(text) - n,
                          "{\"type\":\"string\",\"x-mcp-header\":\"A\"}");
    for (int i = 0; i < 25; i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "}}");
    (void)snprintf(text + n, sizeof(text) - n, "}");
    assert_false(is_valid(text));
}

/* The headers of a call, as "Name: value" lines. */
static const char *headers_of(const char *definition, const char *arguments)
{
    static char text[2048];
    struct http_header headers[LIMIT_PARAM_HEADERS];
    struct err e;
    size_t n, at = 0;
    struct arena *a = arena_new((size_t)1024 * 1024);
    text[0] = '\0';
    assert_true(s2m_params(a, str_c(definition), str_c(arguments), headers, &n, &e));
    for (size_t i = 0; i < n; i++)
        at += (size_t)snprintf(text + at, sizeof(text) - at, "%.*s: %.*s\n",
                               STR_FMT(headers[i].name), STR_FMT(headers[i].value));
    arena_end(a);
    return text;
}

static void arguments_become_headers(void **state)
{
    (void)state;
    const char *tool =
        TOOL(PROPS("\"s\":{\"type\":\"string\",\"x-mcp-header\":\"S\"},"
                   "\"i\":{\"type\":\"integer\",\"x-mcp-header\":\"I\"},"
                   "\"b\":{\"type\":\"boolean\",\"x-mcp-header\":\"B\"},"
                   "\"o\":" PROPS("\"s\":{\"type\":\"string\",\"x-mcp-header\":\"O\"}")));
    assert_string_equal(
        headers_of(tool, "{\"s\":\"plain\",\"i\":-42,\"b\":false,\"o\":{\"s\":\"x\"}}"),
        "Mcp-Param-S: plain\nMcp-Param-I: -42\nMcp-Param-B: false\nMcp-Param-O: x\n");
    assert_string_equal(headers_of(tool, "{\"s\":null,\"other\":1}"), "");
    assert_string_equal(headers_of(tool, "{}"), "");
    assert_string_equal(headers_of(tool, "{\"s\":\"a b \\u00e9\"}"),
                        "Mcp-Param-S: =?base64?YSBiIMOp?=\n");
    assert_string_equal(headers_of(tool, "{\"s\":\" lead\"}"),
                        "Mcp-Param-S: =?base64?IGxlYWQ=?=\n");
    assert_string_equal(headers_of(tool, "{\"s\":\"=?base64?eA==?=\"}"),
                        "Mcp-Param-S: =?base64?PT9iYXNlNjQ/ZUE9PT89?=\n");
    assert_string_equal(headers_of(tool, "{\"s\":\"a\\r\\nX: y\"}"),
                        "Mcp-Param-S: =?base64?YQ0KWDogeQ==?=\n");
    /* integers that not every party counts exactly are left to the server to refuse */
    assert_string_equal(headers_of(tool, "{\"i\":9007199254740992}"), "");
    assert_string_equal(headers_of(tool, "{\"i\":1.5}"), "");
}

static void more_headers_than_can_be_carried_are_an_error(void **state)
{
    (void)state;
    char tool[8192], arguments[2048];
    struct http_header headers[LIMIT_PARAM_HEADERS];
    struct err e;
    size_t n, at = (size_t)snprintf(tool, sizeof(tool), "{\"inputSchema\":{\"properties\":{");
    size_t to = (size_t)snprintf(arguments, sizeof(arguments), "{");
    for (int i = 0; i <= LIMIT_PARAM_HEADERS; i++) {
        at += (size_t)snprintf(tool + at, sizeof(tool) - at,
                               "%s\"p%d\":{\"type\":\"integer\",\"x-mcp-header\":\"P%d\"}",
                               i ? "," : "", i, i);
        to += (size_t)snprintf(arguments + to, sizeof(arguments) - to, "%s\"p%d\":1", i ? "," : "",
                               i);
    }
    (void)snprintf(tool + at, sizeof(tool) - at, "}}}");
    (void)snprintf(arguments + to, sizeof(arguments) - to, "}");
    struct arena *a = arena_new((size_t)1024 * 1024);
    assert_false(s2m_params(a, str_c(tool), str_c(arguments), headers, &n, &e));
    assert_int_equal(e.code, ERR_INVALID);
    arena_end(a);
}

/* How a request with these headers, as name and value in turn, calls a tool with an annotated
 * string s and integer i. */
static enum err_code called(const char *arguments, const struct http_header *headers, size_t n)
{
    const char *tool = TOOL(PROPS("\"s\":{\"type\":\"string\",\"x-mcp-header\":\"S\"},"
                                  "\"i\":{\"type\":\"integer\",\"x-mcp-header\":\"I\"}"));
    struct arena *a = arena_new((size_t)1024 * 1024);
    struct http_request rq = {.headers = headers, .n_headers = n};
    struct err e;
    bool is_good = s2m_params_match(a, str_c(tool), str_c(arguments), &rq, &e);
    arena_end(a);
    return is_good ? ERR_NONE : e.code;
}

static void headers_that_do_not_repeat_the_arguments_are_refused(void **state)
{
    (void)state;
    const struct http_header right[] = {{STR("mcp-param-s"), STR(" Hello ")},
                                        {STR("Mcp-Param-I"), STR("7")}},
                             encoded[] = {{STR("Mcp-Param-S"), STR("=?base64?SGVsbG8=?=")}},
                             unpadded[] = {{STR("Mcp-Param-S"), STR("=?base64?SGVsbG8?=")}},
                             twice[] = {{STR("Mcp-Param-S"), STR("Hello")},
                                        {STR("Mcp-Param-S"), STR("Hello")}};
    const char *one = "{\"s\":\"Hello\"}";
    assert_int_equal(called("{\"s\":\"Hello\",\"i\":7}", right, 2), ERR_NONE);
    assert_int_equal(called(one, encoded, 1), ERR_NONE);
    assert_int_equal(called("{\"s\":null}", right, 0), ERR_NONE);
    assert_int_equal(called(one, right, 0), ERR_HEADER_MISMATCH);
    assert_int_equal(called("{\"s\":\"hello\"}", right, 1), ERR_HEADER_MISMATCH);
    assert_int_equal(called("{\"s\":\"Hello\",\"i\":8}", right, 2), ERR_HEADER_MISMATCH);
    assert_int_equal(called(one, unpadded, 1), ERR_HEADER_MISMATCH);
    assert_int_equal(called(one, twice, 2), ERR_HEADER_MISMATCH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(annotations_that_a_client_can_follow_are_valid),
        cmocka_unit_test(a_tool_with_any_other_annotation_is_invalid),
        cmocka_unit_test(a_schema_deeper_than_any_real_one_is_invalid),
        cmocka_unit_test(arguments_become_headers),
        cmocka_unit_test(more_headers_than_can_be_carried_are_an_error),
        cmocka_unit_test(headers_that_do_not_repeat_the_arguments_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
