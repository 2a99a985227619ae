/* Names of many servers' things at one address. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "mcp/aggregate_names.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static struct arena *arena;

static int setup(unused_arg void **state)
{
    arena = arena_new((size_t)16 * 1024 * 1024);
    return arena ? 0 : -1;
}
static int teardown(unused_arg void **state)
{
    arena_end(arena);
    return 0;
}

static void give(struct named *list, size_t n, enum names_mode mode)
{
    struct err e;
    assert_true(names_give(arena, list, n, mode, &e));
}

#define THING(s, t)                                                                                \
    {                                                                                              \
        .server = STR(s), .name = STR(t)                                                           \
    }
static void assert_name(struct named thing, const char *expected)
{
    if (!str_eq(thing.given, str_c(expected)))
        fail_msg("given %.*s, expected %s", STR_FMT(thing.given), expected);
}

static bool is_plain(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!((s.p[i] >= 'a' && s.p[i] <= 'z') || (s.p[i] >= 'A' && s.p[i] <= 'Z') ||
              (s.p[i] >= '0' && s.p[i] <= '9') || s.p[i] == '_' || s.p[i] == '-'))
            return false;
    return s.n > 0 && s.n <= NAMES_MAX;
}

static void a_tool_is_named_after_its_server(unused_arg void **state)
{
    struct named list[] = {THING("jira", "get_issue"), THING("git-hub", "get_issue")};
    give(list, COUNT(list), NAMES_ALWAYS);
    assert_name(list[0], "jira__get_issue");
    assert_name(list[1], "git-hub__get_issue");
}

static void the_prefix_appears_only_on_a_clash_if_wanted(unused_arg void **state)
{
    struct named list[] = {THING("a", "echo"), THING("b", "echo"), THING("b", "add"),
                           THING("c", "a__echo")};
    give(list, COUNT(list), NAMES_CLASH);
    assert_name(list[0], "a__echo"); /* what it was given on the clash is its own text */
    assert_name(list[1], "b__echo");
    assert_name(list[2], "add");
    assert_name(list[3], "c__a__echo"); /* a bare name gives way to a prefixed one */
}

static void a_long_name_is_cut_and_stays_apart_from_its_like(unused_arg void **state)
{
    struct named list[] = {THING("server", "a_tool_whose_name_goes_on_and_on_and_on_one"),
                           THING("server", "a_tool_whose_name_goes_on_and_on_and_on_two"),
                           THING("an-organization-with-a-very-long-name", "list"),
                           THING("an-organization-with-a-very-long-road", "list")};
    give(list, COUNT(list), NAMES_ALWAYS);
    for (size_t i = 0; i < COUNT(list); i++) {
        assert_true(is_plain(list[i].given));
        for (size_t k = 0; k < i; k++)
            assert_false(str_eq(list[i].given, list[k].given));
    }
    assert_true(str_starts(list[0].given, STR("server__a_tool_whose_name_goes_on")));
    assert_int_equal(list[0].given.n, NAMES_MAX);
    assert_true(str_starts(list[2].given, STR("an-organiza-")));
    assert_true(str_ends(list[2].given, STR("__list")));
    /* The digits come from the name alone, so this text is for ever. */
    struct named alone[] = {THING("server", "a_tool_whose_name_goes_on_and_on_and_on_two")};
    give(alone, 1, NAMES_ALWAYS);
    assert_true(str_eq(alone[0].given, list[1].given));
}

static void what_clashes_after_cleaning_is_told_apart(unused_arg void **state)
{
    struct named list[] = {THING("s", "get.issue"), THING("s", "get/issue"),
                           THING("s", "get_issue"), THING("s", "other.one")};
    give(list, COUNT(list), NAMES_ALWAYS);
    assert_name(list[2], "s__get_issue"); /* its own text stays its own */
    assert_name(list[3], "s__other_one"); /* alone: no digits */
    assert_true(str_starts(list[0].given, STR("s__get_issue_")));
    assert_true(str_starts(list[1].given, STR("s__get_issue_")));
    assert_false(str_eq(list[0].given, list[1].given));
    assert_true(is_plain(list[0].given) && is_plain(list[1].given));
}

static void an_administrators_name_is_kept_and_others_give_way(unused_arg void **state)
{
    struct named list[] = {THING("a", "echo"), THING("b", "say"), THING("c", "say")};
    list[1].fixed = STR("echo");
    list[2].fixed = STR("echo"); /* twice the same: one of them cannot be shown */
    give(list, COUNT(list), NAMES_CLASH);
    assert_name(list[0], "a__echo");
    assert_name(list[1], "echo");
    assert_true(str_is_absent(list[2].given));
}

static void a_tool_listed_twice_is_shown_once(unused_arg void **state)
{
    struct named list[] = {THING("a", "echo"), THING("a", "echo")};
    give(list, COUNT(list), NAMES_ALWAYS);
    int n = !str_is_absent(list[0].given) + !str_is_absent(list[1].given);
    assert_int_equal(n, 1);
    struct named more[] = {THING("a", "e.o"), THING("a", "e.o")};
    give(more, COUNT(more), NAMES_CLASH);
    n = !str_is_absent(more[0].given) + !str_is_absent(more[1].given);
    assert_int_equal(n, 1);
}

static void names_do_not_depend_on_the_order(unused_arg void **state)
{
    static const char *const servers[] = {"a", "b", "a-server-with-quite-a-long-slug"};
    static const char *const tools[] = {"echo",
                                        "get.it",
                                        "get_it",
                                        "get/it",
                                        "a__echo",
                                        "\xc3\xa9",
                                        "a_tool_whose_name_goes_on_and_on_and_on_and_on"};
    enum { N = 21 };
    for (int mode = NAMES_ALWAYS; mode <= NAMES_CLASH; mode++) {
        struct named first[N];
        for (size_t i = 0; i < N; i++)
            first[i] = (struct named){.server = str_c(servers[i % 3]), .name = str_c(tools[i / 3])};
        give(first, N, (enum names_mode)mode);
        for (size_t i = 0; i < N; i++) {
            assert_true(is_plain(first[i].given));
            for (size_t k = 0; k < i; k++)
                assert_false(str_eq(first[i].given, first[k].given));
        }
        for (size_t turn = 1; turn < N; turn++) {
            struct named turned[N];
            for (size_t i = 0; i < N; i++) {
                turned[i] = first[(i * 8 + turn) % N]; /* 8 and 21 have no common divisor */
                turned[i].given = STR_NONE;
            }
            give(turned, N, (enum names_mode)mode);
            for (size_t i = 0; i < N; i++)
                assert_true(str_eq(turned[i].given, first[(i * 8 + turn) % N].given));
        }
    }
}

static void a_prefix_is_cut_off_again(unused_arg void **state)
{
    struct str prefix, rest;
    assert_true(names_split(STR("jira__get__issue"), &prefix, &rest));
    assert_true(str_eq(prefix, STR("jira")) && str_eq(rest, STR("get__issue")));
    assert_false(names_split(STR("get_issue"), &prefix, &rest));
    assert_false(names_split(STR("__x"), &prefix, &rest));
    assert_false(names_split(STR("x__"), &prefix, &rest));
    assert_true(str_eq(names_prefix(arena, STR("short")), STR("short")));
    assert_int_equal(names_prefix(arena, STR("a-slug-of-more-than-eighteen")).n, 18);
}

static void a_uri_finds_its_way_back(unused_arg void **state)
{
    static const struct {
        struct str own, given;
    } pairs[] = {
        {STR("file:///etc/x"), STR("file://s-1//etc/x")},
        {STR("ui://app/view.html"), STR("ui://s-1/app/view.html")},
        {STR("urn:isbn:1"), STR("urn:s-1/isbn:1")},
        {STR("test://static/{id}"), STR("test://s-1/static/{id}")},
        {STR("x://"), STR("x://s-1/")},
    };
    struct str slug, uri;
    for (size_t i = 0; i < COUNT(pairs); i++) {
        struct str given = names_uri(arena, STR("s-1"), pairs[i].own);
        assert_true(str_eq(given, pairs[i].given));
        assert_true(names_uri_split(arena, given, &slug, &uri));
        assert_true(str_eq(slug, STR("s-1")) && str_eq(uri, pairs[i].own));
    }
    assert_true(str_is_absent(names_uri(arena, STR("s"), STR("no scheme: here"))));
    assert_true(str_is_absent(names_uri(arena, STR("s"), STR("{scheme}://x"))));
    assert_false(names_uri_split(arena, STR("file:///x"), &slug, &uri));
    assert_false(names_uri_split(arena, STR("x"), &slug, &uri));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tool_is_named_after_its_server),
        cmocka_unit_test(the_prefix_appears_only_on_a_clash_if_wanted),
        cmocka_unit_test(a_long_name_is_cut_and_stays_apart_from_its_like),
        cmocka_unit_test(what_clashes_after_cleaning_is_told_apart),
        cmocka_unit_test(an_administrators_name_is_kept_and_others_give_way),
        cmocka_unit_test(a_tool_listed_twice_is_shown_once),
        cmocka_unit_test(names_do_not_depend_on_the_order),
        cmocka_unit_test(a_prefix_is_cut_off_again),
        cmocka_unit_test(a_uri_finds_its_way_back),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
