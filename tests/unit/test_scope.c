/* Scopes narrow, and nothing that is left out widens them again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "auth/oauth/scope.h"

#define A "conn:conn_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "conn:conn_bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static int make(void **state)
{
    *state = arena_new((size_t)1024 * 1024);
    return *state ? 0 : -1;
}

static int end(void **state)
{
    arena_end(*state);
    return 0;
}

static void connections_are_scopes(void **state)
{
    struct str out;
    struct err e;
    assert_true(scope_at_authorize(*state, STR(A " mcp " B ":read nonsense"), &out, &e));
    assert_true(str_eq(out, STR(A " mcp " B ":read")));
    assert_false(scope_is_connection(STR("conn:conn_a")));
    assert_false(scope_is_connection(STR("conn:vs_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")));
    assert_false(scope_is_connection(STR(A ":write")));
}

static void leaving_connections_out_does_not_widen(void **state)
{
    assert_true(str_eq(scope_keep_narrow(*state, STR("mcp"), STR("mcp " A)), STR("mcp " A)));
    assert_true(str_eq(scope_keep_narrow(*state, STR("mcp " B), STR("mcp " A)), STR("mcp " B)));
    assert_true(str_eq(scope_keep_narrow(*state, STR("mcp"), STR("mcp")), STR("mcp")));
}

static void a_person_narrows(void **state)
{
    assert_true(str_eq(scope_narrow(*state, STR("mcp offline_access"), STR(A ":read"), false),
                       STR("mcp offline_access " A ":read")));
    assert_true(
        str_eq(scope_narrow(*state, STR("mcp openid"), STR(""), true), STR("mcp:read openid")));
}

static void management_knows_no_connections(void **state)
{
    assert_true(str_eq(scope_for_resource(*state, STR("mcp:manage " A), STR("management")),
                       STR("mcp:manage")));
    assert_true(
        str_eq(scope_for_resource(*state, STR("mcp mcp:manage " A), STR("hub")), STR("mcp " A)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(connections_are_scopes, make, end),
        cmocka_unit_test_setup_teardown(leaving_connections_out_does_not_widen, make, end),
        cmocka_unit_test_setup_teardown(a_person_narrows, make, end),
        cmocka_unit_test_setup_teardown(management_knows_no_connections, make, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
