/* Header lookup and reason phrases. */
#include "io/http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static const struct http_header headers[] = {
    {{"Host", 4}, {"a.example", 9}},
    {{"accept", 6}, {"text/html", 9}},
    {{"ACCEPT", 6}, {"text/plain", 10}},
    {{"X-Empty", 7}, {"", 0}},
};

static void a_header_is_found_whatever_its_case(void **state)
{
    (void)state;
    struct str value = http_header_get(headers, ARRAY_LEN(headers), STR("hOST"));
    assert_true(str_eq(value, STR("a.example")));
}

static void the_first_of_several_headers_is_taken(void **state)
{
    (void)state;
    struct str value = http_header_get(headers, ARRAY_LEN(headers), STR("Accept"));
    assert_true(str_eq(value, STR("text/html")));
}

static void an_absent_header_differs_from_an_empty_one(void **state)
{
    (void)state;
    assert_true(str_is_absent(http_header_get(headers, ARRAY_LEN(headers), STR("X-Empt"))));
    assert_false(str_is_absent(http_header_get(headers, ARRAY_LEN(headers), STR("x-empty"))));
}

static void occurrences_are_counted(void **state)
{
    (void)state;
    const struct http_request rq = {.headers = headers, .n_headers = ARRAY_LEN(headers)};
    assert_int_equal(http_request_header_count(&rq, STR("Accept")), 2);
    assert_int_equal(http_request_header_count(&rq, STR("Cookie")), 0);
    assert_true(str_eq(http_request_header(&rq, STR("host")), STR("a.example")));
}

static void a_token_has_no_byte_but_those_of_the_rfc(void **state)
{
    (void)state;
    static const struct str all = STR("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
                                      "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
    assert_true(http_is_token(all));
    assert_false(http_is_token(STR("")));
    for (int c = 0; c < 256; c++) {
        char text[] = {'a', (char)c, 'b'};
        bool is_one = str_find_char(all, (char)c) != SIZE_MAX;
        assert_int_equal(http_is_token((struct str){text, sizeof text}), is_one);
    }
}

static void every_status_of_our_errors_has_a_reason(void **state)
{
    (void)state;
    for (int code = 0; code < ERR_CODE_COUNT; code++)
        assert_string_not_equal(http_reason(err_http((enum err_code)code)), "Unknown");
    assert_string_equal(http_reason(404), "Not Found");
    assert_string_equal(http_reason(299), "Unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_header_is_found_whatever_its_case),
        cmocka_unit_test(the_first_of_several_headers_is_taken),
        cmocka_unit_test(an_absent_header_differs_from_an_empty_one),
        cmocka_unit_test(occurrences_are_counted),
        cmocka_unit_test(a_token_has_no_byte_but_those_of_the_rfc),
        cmocka_unit_test(every_status_of_our_errors_has_a_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
