/* Where people go on after signing in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "auth/session/return_to.h"
#include "base/limits.h"

static void paths_of_this_server_pass(unused_arg void **state)
{
    static const char *const good[] = {
        "/", "/account", "/oauth/authorize?client_id=x&redirect_uri=https%3A%2F%2Fa.example%2F",
        "/a/../b", "/a//b"};
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        assert_true(str_eq(return_to_safe(str_c(good[i])), str_c(good[i])));
}

static void other_origins_become_the_start_page(unused_arg void **state)
{
    static const char *const bad[] = {"",
                                      "account",
                                      "//evil.example",
                                      "/\\evil.example",
                                      "/\t/evil.example",
                                      "https://evil.example",
                                      "/a\r\nSet-Cookie: x=y",
                                      "javascript:alert(1)",
                                      "/a b",
                                      "/caf\xc3\xa9",
                                      "/a\\b",
                                      " /a",
                                      "\\/evil.example"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_true(str_eq(return_to_safe(str_c(bad[i])), STR("/")));
    assert_true(str_eq(return_to_safe(STR_NONE), STR("/")));
    static char longest[LIMIT_RETURN_TO + 2];
    memset(longest, 'a', sizeof(longest) - 1);
    longest[0] = '/';
    assert_true(str_eq(return_to_safe(str_c(longest)), STR("/")));
    longest[LIMIT_RETURN_TO] = '\0';
    assert_true(str_eq(return_to_safe(str_c(longest)), str_c(longest)));
}

static void the_way_to_sign_in_is_encoded(unused_arg void **state)
{
    struct arena *a = arena_new(64 * 1024);
    assert_true(str_eq(return_to_login(a, STR("/oauth/authorize?a=b&c=d%20+e#")),
                       STR("/login?return_to=/oauth/authorize?a=b%26c=d%2520%2Be%23")));
    assert_true(str_eq(return_to_login(a, STR("//evil.example")), STR("/login?return_to=/")));
    arena_end(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_of_this_server_pass),
        cmocka_unit_test(other_origins_become_the_start_page),
        cmocka_unit_test(the_way_to_sign_in_is_encoded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
