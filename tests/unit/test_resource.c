#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "auth/oauth/resource.h"
#include "auth/oauth/scope.h"

static const struct config web = {.origin = "https://Tulle.Example", .base_is_https = true};
static const struct config local = {.origin = "http://localhost:3000", .base_is_loopback = true};

static bool parse(const struct config *c, const char *uri, struct resource_ref *out)
{
    struct err e = {0};
    bool is_good = resource_parse(c, str_c(uri), out, &e);
    if (!is_good)
        assert_int_equal(e.code, ERR_INVALID_TARGET);
    return is_good;
}

static void every_form_of_an_address_is_read(void **state)
{
    (void)state;
    struct resource_ref r;
    assert_true(parse(&web, "https://tulle.example/mcp", &r));
    assert_int_equal(r.kind, RESOURCE_MANAGEMENT);
    assert_true(parse(&web, "HTTPS://TULLE.EXAMPLE:443/mcp/", &r));
    assert_int_equal(r.kind, RESOURCE_MANAGEMENT);
    assert_true(parse(&web, "https://tulle.example/mcp/conn_1/", &r));
    assert_int_equal(r.kind, RESOURCE_CONNECTION);
    assert_true(str_eq(r.connection, STR("conn_1")));
    assert_true(str_is_absent(r.org));
    assert_true(parse(&web, "https://tulle.example/mcp/acme/github", &r));
    assert_true(str_eq(r.org, STR("acme")));
    assert_true(str_eq(r.connection, STR("github")));
    assert_true(parse(&web, "https://tulle.example/mcp/hub/acme", &r));
    assert_int_equal(r.kind, RESOURCE_HUB);
    assert_true(str_eq(r.org, STR("acme")));
}

static void the_bare_origin_and_nothing_leave_it_open(void **state)
{
    (void)state;
    struct resource_ref r;
    static const char *const open[] = {NULL, "", "https://tulle.example", "https://tulle.example/"};
    for (size_t i = 0; i < sizeof(open) / sizeof(open[0]); i++) {
        assert_true(parse(&web, open[i], &r));
        assert_int_equal(r.kind, RESOURCE_OPEN);
    }
}

static void other_servers_paths_and_forms_are_refused(void **state)
{
    (void)state;
    struct resource_ref r;
    static const char *const bad[] = {"https://evil.example/mcp",
                                      "http://tulle.example/mcp",
                                      "https://tulle.example:8443/mcp",
                                      "https://tulle.example/other",
                                      "https://tulle.example/mcp//x",
                                      "https://tulle.example/mcp/a/b/c",
                                      "https://tulle.example/mcp/a%2Fb",
                                      "https://tulle.example/mcp/..",
                                      "https://tulle.example/mcp#x",
                                      "https://u@tulle.example/mcp",
                                      "/mcp",
                                      "javascript:x"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (parse(&web, bad[i], &r))
            fail_msg("%s is a resource", bad[i]);
}

static void loopback_names_and_ports_are_all_this_server(void **state)
{
    (void)state;
    struct resource_ref r;
    assert_true(parse(&local, "http://127.0.0.1:3000/mcp/x", &r));
    assert_true(parse(&local, "http://[::1]:4000/mcp/x", &r));
    assert_true(parse(&local, "http://localhost/mcp/x", &r));
    assert_false(parse(&local, "http://localhost.evil.example/mcp/x", &r));
    assert_false(parse(&web, "http://127.0.0.1/mcp/x", &r));
}

static struct str granted(struct arena *a, const char *asked)
{
    struct str out;
    struct err e = {0};
    if (scope_at_authorize(a, str_c(asked), &out, &e))
        return out;
    assert_int_equal(e.code, ERR_INVALID_SCOPE);
    return STR_NONE;
}

static void scopes_are_narrowed_to_what_is_known_and_never_to_nothing(void **state)
{
    (void)state;
    struct arena *a = arena_new(1 << 16);
    assert_non_null(a);
    assert_true(str_eq(granted(a, ""), STR("mcp")));
    assert_true(str_eq(granted(a, "mcp:read admin:*"), STR("mcp:read")));
    assert_true(str_eq(granted(a, " offline_access"), STR("offline_access mcp")));
    assert_true(str_eq(granted(a, "openid profile email x"), STR("openid profile email mcp")));
    assert_true(str_eq(granted(a, "mcp mcp"), STR("mcp")));
    assert_true(str_is_absent(granted(a, "admin:*")));
    assert_true(str_is_absent(granted(a, "mcp \"")));
    assert_true(str_eq(scope_for_resource(a, STR("mcp:manage"), STR("conn_1")), STR("mcp")));
    assert_true(
        str_eq(scope_for_resource(a, STR("mcp:manage"), STR("management")), STR("mcp:manage")));
    assert_true(scope_is_within(STR("mcp"), STR("mcp mcp:read")));
    assert_false(scope_is_within(STR("mcp mcp:manage"), STR("mcp mcp:read")));
    arena_end(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form_of_an_address_is_read),
        cmocka_unit_test(the_bare_origin_and_nothing_leave_it_open),
        cmocka_unit_test(other_servers_paths_and_forms_are_refused),
        cmocka_unit_test(loopback_names_and_ports_are_all_this_server),
        cmocka_unit_test(scopes_are_narrowed_to_what_is_known_and_never_to_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
