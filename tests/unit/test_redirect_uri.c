#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "auth/oauth/redirect_uri.h"

static bool may_register(const char *uri)
{
    struct err e = {0};
    bool is_good = redirect_uri_check(str_c(uri), &e);
    if (!is_good)
        assert_int_equal(e.code, ERR_REDIRECT_URI);
    return is_good;
}

static bool matches(const char *registered, const char *given)
{
    return redirect_uri_matches(str_c(registered), str_c(given));
}

static void real_clients_uris_may_be_registered(void **state)
{
    (void)state;
    assert_true(may_register("https://claude.ai/api/mcp/auth_callback"));
    assert_true(may_register("cursor://anysphere.cursor-mcp/oauth/callback"));
    assert_true(may_register("http://127.0.0.1/"));
    assert_true(may_register("http://127.0.0.1:33418/"));
    assert_true(may_register("http://[::1]:5000/cb"));
    assert_true(may_register("http://localhost:37373/api/oauth/callback?server_name=x"));
    assert_true(may_register("com.example.app:/oauth2redirect"));
}

static void what_runs_hides_or_leaks_may_not(void **state)
{
    (void)state;
    static const char *const bad[] = {"javascript:alert(1)",
                                      "JavaScript:alert(1)",
                                      "data:text/html,x",
                                      "file:///etc/passwd",
                                      "vbscript:x",
                                      "blob:https://a.example/x",
                                      "about:blank",
                                      "http://a.example/cb",
                                      "https://a.example/#f",
                                      "https://u:p@a.example/",
                                      "https://*.a.example/",
                                      "https://a.example/../x",
                                      "https://a.example/%2E%2e/x",
                                      "https://a.example/./x",
                                      "https://a.example\\@b.example/",
                                      "https:///x",
                                      "https://a;script-src/x",
                                      "/relative",
                                      "",
                                      "https://a.example/ x"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (may_register(bad[i]))
            fail_msg("%s may be registered", bad[i]);
}

static void only_the_port_of_loopback_http_may_differ(void **state)
{
    (void)state;
    assert_true(matches("http://127.0.0.1/cb", "http://127.0.0.1:5000/cb"));
    assert_true(matches("http://localhost:1/cb?x=1", "http://localhost:65535/cb?x=1"));
    assert_true(matches("http://[::1]/cb", "http://[::1]:8080/cb"));
    assert_false(matches("http://127.0.0.1/cb", "http://localhost:5000/cb"));
    assert_false(matches("http://127.0.0.1/cb", "https://127.0.0.1:5000/cb"));
    assert_false(matches("http://127.0.0.1/cb", "http://127.0.0.1:5000/cb/"));
    assert_false(matches("http://127.0.0.1/cb", "http://127.0.0.1:5000/cb?x"));
    assert_false(matches("http://127.0.0.1/cb", "http://127.0.0.1:5000/cb#x"));
    assert_false(matches("http://127.0.0.1/cb", "http://127.0.0.1:5@evil.example/cb"));
    assert_false(matches("http://localhost/cb", "http://LOCALHOST:5/cb"));
    assert_false(matches("https://a.example/cb", "https://a.example:444/cb"));
    assert_false(matches("cursor://a/cb", "cursor://a:5/cb"));
}

static void everything_else_is_compared_byte_by_byte(void **state)
{
    (void)state;
    assert_true(matches("https://a.example/cb", "https://a.example/cb"));
    assert_false(matches("https://a.example/cb", "https://a.example/CB"));
    assert_false(matches("https://a.example/cb", "HTTPS://a.example/cb"));
    assert_false(matches("https://a.example/cb", "https://a.example/cb?"));
    assert_false(matches("https://a.example/cb", "https://a.example:443/cb"));
    assert_true(redirect_uri_is_listed(STR("https://a/1 https://a/2"), STR("https://a/2")));
    assert_false(redirect_uri_is_listed(STR("https://a/1 https://a/2"), STR("https://a/3")));
}

static void people_and_policies_see_where_it_leads(void **state)
{
    (void)state;
    struct arena *a = arena_new(1 << 16);
    assert_non_null(a);
    assert_true(str_eq(redirect_uri_host(a, STR("https://a.example:8/cb")), STR("a.example")));
    assert_true(
        str_eq(redirect_uri_host(a, STR("cursor://any.where/cb")), STR("cursor://any.where")));
    assert_true(
        str_eq(redirect_uri_origin(a, STR("https://a.example:8/cb")), STR("https://a.example:8")));
    assert_true(str_eq(redirect_uri_origin(a, STR("cursor://any.where/cb")), STR("cursor:")));
    assert_true(redirect_uri_is_remote(STR("https://a.example/cb")));
    assert_false(redirect_uri_is_remote(STR("https://localhost/cb")));
    assert_false(redirect_uri_is_remote(STR("http://127.0.0.1/cb")));
    assert_false(redirect_uri_is_remote(STR("cursor://x/cb")));
    arena_end(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(real_clients_uris_may_be_registered),
        cmocka_unit_test(what_runs_hides_or_leaks_may_not),
        cmocka_unit_test(only_the_port_of_loopback_http_may_differ),
        cmocka_unit_test(everything_else_is_compared_byte_by_byte),
        cmocka_unit_test(people_and_policies_see_where_it_leads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
