/* A key never begets a wider one. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "core/api_key_rules.h"

static const struct str all_apis[] = {STR("API_*"), STR("echo")};
static const struct str one_api[] = {STR("API_KEY_*")};
static const struct str star[] = {STR("*")};
static const struct str echo[] = {STR("echo")};
static const struct str a_and_b[] = {STR("conn_a"), STR("conn_b")};
static const struct str only_a[] = {STR("conn_a")};
static const struct str only_c[] = {STR("conn_c")};

static bool is_within(const struct caller *c, struct api_key_limits k)
{
    struct err e = {0};
    bool ok = api_key_rules_within(c, &k, &e);
    assert_true(ok || e.code == ERR_FORBIDDEN);
    return ok;
}

static void an_unnarrowed_caller_may_make_any_key(void **state)
{
    (void)state;
    const struct caller c = {.n_tools = 0};
    assert_true(is_within(&c, (struct api_key_limits){.scopes = 0}));
    assert_true(
        is_within(&c, (struct api_key_limits){.tools = star, .n_tools = 1, .scopes = SCOPE_MCP}));
}

static void scopes_do_not_grow(void **state)
{
    (void)state;
    const struct caller use = {.scopes = SCOPE_MCP}, read = {.scopes = SCOPE_MCP_READ};
    assert_true(is_within(&use, (struct api_key_limits){.scopes = SCOPE_MCP}));
    assert_true(is_within(&use, (struct api_key_limits){.scopes = SCOPE_MCP_READ}));
    assert_false(is_within(&use, (struct api_key_limits){.scopes = SCOPE_MCP | SCOPE_MCP_MANAGE}));
    assert_false(is_within(&use, (struct api_key_limits){.scopes = 0}));
    assert_false(is_within(&read, (struct api_key_limits){.scopes = SCOPE_MCP}));
}

static void tools_do_not_grow(void **state)
{
    (void)state;
    const struct caller c = {.tools = all_apis, .n_tools = 2};
    assert_true(is_within(&c, (struct api_key_limits){.tools = one_api, .n_tools = 1}));
    assert_true(is_within(&c, (struct api_key_limits){.tools = echo, .n_tools = 1}));
    assert_true(is_within(&c, (struct api_key_limits){.tools = all_apis, .n_tools = 2}));
    assert_false(is_within(&c, (struct api_key_limits){.tools = star, .n_tools = 1}));
    assert_false(is_within(&c, (struct api_key_limits){.tools = NULL}));
    const struct caller narrow = {.tools = one_api, .n_tools = 1};
    assert_false(is_within(&narrow, (struct api_key_limits){.tools = all_apis, .n_tools = 1}));
    const struct caller any = {.tools = star, .n_tools = 1};
    assert_true(is_within(&any, (struct api_key_limits){.tools = NULL}));
}

static void connections_do_not_grow(void **state)
{
    (void)state;
    const struct caller c = {.connection_ids = a_and_b, .n_connection_ids = 2};
    assert_true(
        is_within(&c, (struct api_key_limits){.connection_ids = only_a, .n_connection_ids = 1}));
    assert_false(
        is_within(&c, (struct api_key_limits){.connection_ids = only_c, .n_connection_ids = 1}));
    assert_false(is_within(&c, (struct api_key_limits){.connection_ids = NULL}));
}

static void a_key_does_not_outlive_its_maker(void **state)
{
    (void)state;
    const struct caller c = {.expires_at = 1000};
    assert_true(is_within(&c, (struct api_key_limits){.expires_at = 1000}));
    assert_false(is_within(&c, (struct api_key_limits){.expires_at = 1001}));
    assert_false(is_within(&c, (struct api_key_limits){.expires_at = 0}));
}

static void patterns_are_names_or_prefixes(void **state)
{
    (void)state;
    assert_true(api_key_rules_pattern(STR("echo")));
    assert_true(api_key_rules_pattern(STR("API_*")));
    assert_true(api_key_rules_pattern(STR("*")));
    assert_false(api_key_rules_pattern(STR("")));
    assert_false(api_key_rules_pattern(STR("*x")));
    assert_false(api_key_rules_pattern(STR("a*b*")));
    assert_false(api_key_rules_pattern(STR("a\n")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_unnarrowed_caller_may_make_any_key),
        cmocka_unit_test(scopes_do_not_grow),
        cmocka_unit_test(tools_do_not_grow),
        cmocka_unit_test(connections_do_not_grow),
        cmocka_unit_test(a_key_does_not_outlive_its_maker),
        cmocka_unit_test(patterns_are_names_or_prefixes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
