/* Routes: which row a method and a path meet. */
#include "io/router.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static const struct route table[] = {
    {.methods = "GET", .pattern = "/", .name = "root"},
    {.methods = "POST GET DELETE", .pattern = "/mcp/:id", .name = "connection"},
    {.methods = "POST", .pattern = "/mcp", .name = "management"},
    {.methods = "POST", .pattern = "/mcp/hub", .name = "hub"},
    {.methods = "POST", .pattern = "/mcp/:org/:slug", .name = "slug"},
    {.methods = "POST", .pattern = "/mcp/hub/:org", .name = "hub of"},
    {.methods = "GET", .pattern = "/oauth/authorize", .name = "page"},
    {.methods = "POST", .pattern = "/oauth/authorize", .name = "form"},
    {.methods = "GET", .pattern = "/assets/*", .name = "assets"},
    {.methods = "GET", .pattern = "/assets/:name", .name = "asset"},
    {.methods = "GET", .pattern = "/a/:x/b/:y", .name = "two"},
};

static struct str params[4];
static struct str allow;

static const char *found(const char *method, const char *path)
{
    const struct route *route = NULL;
    memset(params, 0, sizeof params);
    allow = STR_NONE;
    switch (
        router_find(table, ARRAY_LEN(table), str_c(method), str_c(path), &route, params, &allow)) {
    case ROUTE_FOUND:
        return route->name;
    case ROUTE_METHOD:
        return "method";
    case ROUTE_NONE:
        return "none";
    }
    return "?";
}

static void a_literal_path_is_found(void **state)
{
    (void)state;
    assert_string_equal(found("GET", "/"), "root");
    assert_string_equal(found("POST", "/mcp"), "management");
    assert_string_equal(found("GET", "/nowhere"), "none");
    assert_string_equal(found("GET", ""), "none");
    assert_string_equal(found("GET", "mcp"), "none");
}

static void a_parameter_takes_one_segment_undecoded(void **state)
{
    (void)state;
    assert_string_equal(found("GET", "/mcp/conn_%2F1"), "connection");
    assert_true(str_eq(params[0], STR("conn_%2F1")));
    assert_string_equal(found("GET", "/a/1/b/2"), "two");
    assert_true(str_eq(params[0], STR("1")));
    assert_true(str_eq(params[1], STR("2")));
}

static void a_parameter_is_never_empty(void **state)
{
    (void)state;
    assert_string_equal(found("GET", "/a//b/2"), "none");
    assert_string_equal(found("POST", "/mcp//"), "none");
}

static void static_segments_win_over_parameters(void **state)
{
    (void)state;
    assert_string_equal(found("POST", "/mcp/hub"), "hub");
    assert_string_equal(found("POST", "/mcp/hub/acme"), "hub of");
    assert_string_equal(found("POST", "/mcp/acme/github"), "slug");
    assert_string_equal(found("GET", "/assets/x"), "asset");
}

static void a_better_row_without_the_method_does_not_fall_back(void **state)
{
    (void)state;
    assert_string_equal(found("GET", "/mcp/hub"), "method");
    assert_true(str_eq(allow, STR("POST")));
}

static void an_unknown_method_of_a_known_path_names_the_others(void **state)
{
    (void)state;
    assert_string_equal(found("PUT", "/mcp/conn_1"), "method");
    assert_true(str_eq(allow, STR("POST GET DELETE")));
    assert_string_equal(found("GE", "/mcp/conn_1"), "method");
}

static void rows_of_one_path_differ_by_method(void **state)
{
    (void)state;
    assert_string_equal(found("GET", "/oauth/authorize"), "page");
    assert_string_equal(found("POST", "/oauth/authorize"), "form");
    assert_string_equal(found("PUT", "/oauth/authorize"), "method");
    assert_true(str_eq(allow, STR("GET POST")));
}

static void a_trailing_slash_is_ignored(void **state)
{
    (void)state;
    assert_string_equal(found("POST", "/mcp/"), "management");
    assert_string_equal(found("GET", "/mcp/conn_1/"), "connection");
    assert_true(str_eq(params[0], STR("conn_1")));
}

static void a_star_takes_the_rest(void **state)
{
    (void)state;
    assert_string_equal(found("GET", "/assets/js/app.js"), "assets");
    assert_true(str_eq(params[0], STR("js/app.js")));
    assert_string_equal(found("GET", "/assets"), "none");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_literal_path_is_found),
        cmocka_unit_test(a_parameter_takes_one_segment_undecoded),
        cmocka_unit_test(a_parameter_is_never_empty),
        cmocka_unit_test(static_segments_win_over_parameters),
        cmocka_unit_test(a_better_row_without_the_method_does_not_fall_back),
        cmocka_unit_test(an_unknown_method_of_a_known_path_names_the_others),
        cmocka_unit_test(rows_of_one_path_differ_by_method),
        cmocka_unit_test(a_trailing_slash_is_ignored),
        cmocka_unit_test(a_star_takes_the_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
