#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/text.h"

static void an_error_carries_its_code_message_and_detail(void **state)
{
    (void)state;
    struct err e;
    memset(&e, 'x', sizeof(e));
    assert_false(err_set(&e, ERR_NOT_FOUND, "no %s", "such thing"));
    assert_int_equal(e.code, ERR_NOT_FOUND);
    assert_string_equal(e.msg, "no such thing");
    assert_string_equal(e.detail, "");
    assert_false(err_detail(&e, "row %d", 7));
    assert_string_equal(e.detail, "row 7");
    assert_false(err_set(&e, ERR_INVALID, "outer: %s", e.msg));
    assert_string_equal(e.msg, "outer: no such thing");
    assert_string_equal(e.detail, "");
    assert_false(err_set(NULL, ERR_INVALID, "nobody listens"));
    assert_false(err_detail(NULL, "nobody listens"));
}

static void a_long_message_is_cut_between_characters(void **state)
{
    (void)state;
    struct err e;
    char text[1000];
    for (size_t shift = 0; shift < 4; shift++) {
        memset(text, 'a', shift);
        for (size_t i = shift; i + 4 < sizeof(text); i += 4)
            memcpy(text + i, "\xF0\x9F\x98\x80", 5);
        err_set(&e, ERR_INVALID, "%s", text);
        assert_in_range(strlen(e.msg), sizeof(e.msg) - 4, sizeof(e.msg) - 1);
        assert_true(text_is_utf8(str_c(e.msg)));
    }
}

static void every_code_has_its_row(void **state)
{
    (void)state;
    for (int i = 0; i < ERR_CODE_COUNT; i++) {
        enum err_code code = (enum err_code)i;
        assert_true(strlen(err_text(code)) > 0);
        assert_in_range(err_http(code), 200, 599);
        /* MCP keeps -32000..-32019 for itself; -32001 is what session clients know. */
        int rpc = err_rpc(code);
        assert_true(rpc == 0 || rpc == -32001 || rpc <= -32600 || (rpc >= -32022 && rpc <= -32020));
        for (int k = 0; k < i; k++)
            assert_string_not_equal(err_text(code), err_text((enum err_code)k));
    }
    assert_string_equal(err_text(ERR_NOT_FOUND), "not_found");
    assert_int_equal(err_http(ERR_TOO_LARGE), 413);
    assert_int_equal(err_rpc(ERR_PARSE), -32700);
    assert_string_equal(err_oauth(ERR_UNAUTHENTICATED), "invalid_token");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_error_carries_its_code_message_and_detail),
        cmocka_unit_test(a_long_message_is_cut_between_characters),
        cmocka_unit_test(every_code_has_its_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
