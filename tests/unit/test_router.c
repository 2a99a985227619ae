/* Routes: which row a method and a path meet. */
#include "io/router.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
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
    {.methods = "POST", .pattern = "/l/o/n/g/e/r/than/others", .name = "long"},
    {.methods = "GET", .pattern = "/l/o/n/g/e/r/than/others/:too", .name = "longer"},
    {.methods = "GET", .pattern = "/files/:owner/*", .name = "files"},
    {.methods = "GET", .pattern = "/files/own/:name", .name = "own file"},
};

static const struct route open_table[] = {
    {.methods = "GET", .pattern = "/", .name = "root"},
    {.methods = "GET", .pattern = "/:any/:x/b/:y", .name = "any two"},
    {.methods = "GET", .pattern = "/a/:x/b/:y", .name = "two"},
    {.methods = "PUT", .pattern = "/:any", .name = "any"},
    {.methods = "POST", .pattern = "/mcp", .name = "management"},
    {.methods = "PATCH", .pattern = "/:some", .name = "some"},
};

static struct router router, open_router;
static struct str params[4];
static struct str allow;

static const char *found_in(const struct router *r, const char *method, const char *path)
{
    const struct route *route = NULL;
    memset(params, 0, sizeof params);
    allow = STR_NONE;
    switch (router_find(r, str_c(method), str_c(path), &route, params, &allow)) {
    case ROUTE_FOUND:
        return route->name;
    case ROUTE_METHOD:
        return "method";
    case ROUTE_NONE:
        return "none";
    }
    return "?";
}

static const char *found(const char *method, const char *path)
{
    return found_in(&router, method, path);
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

/* Rows with a literal and with a parameter in front lie in the same group of the path. */
static void a_literal_first_segment_wins_over_a_parameter(void **state)
{
    (void)state;
    assert_string_equal(found_in(&open_router, "GET", "/z/1/b/2"), "any two");
    assert_true(str_eq(params[0], STR("z")) && str_eq(params[2], STR("2")));
    assert_string_equal(found_in(&open_router, "GET", "/a/1/b/2"), "two");
    assert_string_equal(found_in(&open_router, "PUT", "/mcp"), "method");
    assert_true(str_eq(allow, STR("POST")));
    assert_string_equal(found_in(&open_router, "PUT", "/elsewhere"), "any");
    assert_string_equal(found_in(&open_router, "PATCH", "/elsewhere"), "some");
    assert_true(str_eq(params[0], STR("elsewhere")));
    assert_string_equal(found_in(&open_router, "GET", "/elsewhere"), "method");
    assert_true(str_eq(allow, STR("PUT PATCH")));
    assert_string_equal(found_in(&open_router, "GET", "//"), "root");
    assert_string_equal(found_in(&open_router, "PUT", "///"), "none");
}

static void numbers_of_segments_are_told_apart_however_large(void **state)
{
    (void)state;
    assert_string_equal(found("POST", "/l/o/n/g/e/r/than/others"), "long");
    assert_string_equal(found("GET", "/l/o/n/g/e/r/than/others"), "method");
    assert_string_equal(found("GET", "/l/o/n/g/e/r/than/others/1"), "longer");
    assert_string_equal(found("GET", "/l/o/n/g/e/r/than/others/1/2"), "none");
    assert_string_equal(found("POST", "/l/o/n/g/e/r/than"), "none");
}

static void a_star_takes_any_number_of_segments(void **state)
{
    (void)state;
    assert_string_equal(found("GET", "/files/me"), "none");
    assert_string_equal(found("GET", "/files/me/1"), "files");
    assert_true(str_eq(params[0], STR("me")) && str_eq(params[1], STR("1")));
    assert_string_equal(found("GET", "/files/own/1"), "own file");
    assert_string_equal(found("GET", "/files/own/1/2/3/4/5/6/7/8/9"), "files");
    assert_true(str_eq(params[1], STR("1/2/3/4/5/6/7/8/9")));
}

/* Whatever two patterns share a group of the path. */
static void every_row_is_found_among_many(void **state)
{
    (void)state;
    static char patterns[200][16];
    static struct route many[200];
    static struct router all;
    for (size_t i = 0; i < ARRAY_LEN(many); i++) {
        (void)snprintf(patterns[i], sizeof patterns[i], "/%zx/%s", i * 7, i % 2 ? "x" : ":id");
        many[i] = (struct route){.methods = "GET", .pattern = patterns[i]};
    }
    router_init(&all, many, ARRAY_LEN(many));
    for (size_t i = 0; i < ARRAY_LEN(many); i++) {
        char path[16];
        const struct route *route = NULL;
        (void)snprintf(path, sizeof path, "/%zx/x", i * 7);
        assert_int_equal(router_find(&all, STR("GET"), str_c(path), &route, params, &allow),
                         ROUTE_FOUND);
        assert_ptr_equal(route, &many[i]);
    }
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
        cmocka_unit_test(a_literal_first_segment_wins_over_a_parameter),
        cmocka_unit_test(numbers_of_segments_are_told_apart_however_large),
        cmocka_unit_test(a_star_takes_any_number_of_segments),
        cmocka_unit_test(every_row_is_found_among_many),
    };
    router_init(&router, table, ARRAY_LEN(table));
    router_init(&open_router, open_table, ARRAY_LEN(open_table));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
