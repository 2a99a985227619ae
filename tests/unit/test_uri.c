#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/uri.h"

static void a_uri_is_taken_apart(void **state)
{
    (void)state;
    struct uri u;
    assert_true(uri_parse(STR("https://u:p@Example.org:8443/a/b?x=1&y#frag"), &u));
    assert_true(str_eq(u.scheme, STR("https")) && str_eq(u.userinfo, STR("u:p")));
    assert_true(str_eq(u.host, STR("Example.org")) && u.port == 8443 && !u.host_is_ipv6);
    assert_true(str_eq(u.path, STR("/a/b")) && str_eq(u.query, STR("x=1&y")));
    assert_true(str_eq(u.fragment, STR("frag")));

    assert_true(uri_parse(STR("http://[::1]"), &u));
    assert_true(u.host_is_ipv6 && str_eq(u.host, STR("::1")) && u.port == -1);
    assert_true(u.path.n == 0 && str_is_absent(u.query) && str_is_absent(u.fragment));
    assert_int_equal(uri_port(&u), 80);

    assert_true(uri_parse(STR("cursor:x/y"), &u));
    assert_true(str_is_absent(u.host) && str_eq(u.path, STR("x/y")) && uri_port(&u) == -1);
    assert_false(uri_is_http(&u));
    assert_true(uri_parse(STR("https://h?q"), &u) && str_eq(u.query, STR("q")));
    assert_int_equal(uri_port(&u), 443);
}

static void ill_formed_uris_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "/relative",
        "nothing",
        ":x",
        "1http://h/",
        "http:",
        "http://",
        "https:///path",
        "http://h:99999/",
        "http://h:-1/",
        "http://h:/",
        "http://h:80x/",
        "http://a b/",
        "http://h/\x01",
        "http://h/\xC3\xA9",
        "http://h/%2",
        "http://h/%zz",
        "http://good.example\\@evil.example/",
        "http://good@evil@x/",
        "http://[::1/",
        "http://[::1]x/",
        "http://[zz]/",
        "http://[127.0.0.1]/",
        "http://[]/",
        "http://h/<a>",
        "http://h/#a#b",
        "ht%74p://h/",
    };
    struct uri u;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (uri_parse(str_c(bad[i]), &u))
            fail_msg("accepted: %s", bad[i]);
    assert_false(uri_parse(STR("http://h/\0"), &u));
}

/* The sets of RFC 3986 sections 2 and 3, byte by byte. */
static void every_part_has_its_own_bytes(void **state)
{
    (void)state;
    static const struct {
        const char *before, *after, *allowed;
    } parts[] = {
        {"x", ":", "+-."}, /* ends the scheme at a colon */
        {"x://h", "/", "-._~!$&'()*+,;="},
        {"x://u", "@h/", "-._~!$&'()*+,;=:"},
        {"x:a", "b", "-._~!$&'()*+,;=:@/"},
        {"x:?a", "b", "-._~!$&'()*+,;=:@/?[]"},
        {"x:#a", "b", "-._~!$&'()*+,;=:@/?[]"},
    };
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        for (int c = 0; c < 256; c++) {
            char text[32];
            struct uri u;
            size_t n = strlen(parts[i].before), m = strlen(parts[i].after);
            memcpy(text, parts[i].before, n);
            text[n] = (char)c;
            memcpy(text + n + 1, parts[i].after, m);
            bool is_alnum = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
            /* Separators begin another part, which is not what is looked at here. */
            if ((i < 5 && c == '#') || (i < 4 && c == '?') || (i < 3 && strchr(":/@", c)))
                continue;
            bool is_allowed = is_alnum || (c > 0 && strchr(parts[i].allowed, c));
            assert_int_equal(uri_parse((struct str){text, n + 1 + m}, &u), is_allowed);
        }
    }
}

static void an_origin_is_lower_case_without_the_default_port(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"HTTPS://Example.ORG:443/x?y", "https://example.org"},
        {"http://h:443", "http://h:443"},
        {"http://u@[::1]:80/", "http://[::1]"},
        {"https://h:8443", "https://h:8443"},
    };
    auto_free(arena_endp) struct arena *a = arena_new(1 << 16);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct uri u;
        assert_true(uri_parse(str_c(cases[i][0]), &u));
        assert_string_equal(uri_origin(a, &u).p, cases[i][1]);
    }
}

static void loopback_is_known_by_name_and_number(void **state)
{
    (void)state;
    static const char *const yes[] = {"localhost", "LocalHost", "127.0.0.1",
                                      "127.9.8.7", "::1",       "0:0:0:0:0:0:0:1"};
    static const char *const no[] = {"",    "localhost.example.org", "127.example.org", "128.0.0.1",
                                     "::2", "::ffff:10.0.0.1",       "127.1",           "0.0.0.0"};
    for (size_t i = 0; i < ARRAY_LEN(yes); i++)
        assert_true(uri_host_is_loopback(str_c(yes[i])));
    for (size_t i = 0; i < ARRAY_LEN(no); i++)
        assert_false(uri_host_is_loopback(str_c(no[i])));
    assert_int_equal(uri_ip_version(STR("10.0.0.1")), 4);
    assert_int_equal(uri_ip_version(STR("fe80::1")), 6);
    assert_int_equal(uri_ip_version(STR("10.0.0")), 0);
}

/* RFC 3986 section 5.4 */
static void references_resolve_as_in_the_rfc(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"g:h", "g:h"},
        {"g", "http://a/b/c/g"},
        {"./g", "http://a/b/c/g"},
        {"g/", "http://a/b/c/g/"},
        {"/g", "http://a/g"},
        {"//g", "http://g"},
        {"?y", "http://a/b/c/d;p?y"},
        {"g?y", "http://a/b/c/g?y"},
        {"#s", "http://a/b/c/d;p?q#s"},
        {"g#s", "http://a/b/c/g#s"},
        {";x", "http://a/b/c/;x"},
        {"", "http://a/b/c/d;p?q"},
        {".", "http://a/b/c/"},
        {"./", "http://a/b/c/"},
        {"..", "http://a/b/"},
        {"../g", "http://a/b/g"},
        {"../..", "http://a/"},
        {"../../g", "http://a/g"},
        {"../../../g", "http://a/g"},
        {"/./g", "http://a/g"},
        {"/../g", "http://a/g"},
        {"g.", "http://a/b/c/g."},
        {"..g", "http://a/b/c/..g"},
        {"./../g", "http://a/b/g"},
        {"./g/.", "http://a/b/c/g/"},
        {"g/../h", "http://a/b/c/h"},
        {"g;x=1/../y", "http://a/b/c/y"},
        {"g?y/../x", "http://a/b/c/g?y/../x"},
    };
    auto_free(arena_endp) struct arena *a = arena_new(1 << 16);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct str got = uri_resolve(a, STR("http://a/b/c/d;p?q"), str_c(cases[i][0]));
        assert_non_null(got.p);
        assert_string_equal(got.p, cases[i][1]);
    }
    assert_string_equal(uri_resolve(a, STR("http://a"), STR("g")).p, "http://a/g");
    assert_null(uri_resolve(a, STR("/b"), STR("g")).p);
    assert_null(uri_resolve(a, STR("http://a/"), STR("a b")).p);
    assert_null(uri_resolve(a, STR("http://a/"), STR("//h:x/")).p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_uri_is_taken_apart),
        cmocka_unit_test(ill_formed_uris_are_refused),
        cmocka_unit_test(every_part_has_its_own_bytes),
        cmocka_unit_test(an_origin_is_lower_case_without_the_default_port),
        cmocka_unit_test(loopback_is_known_by_name_and_number),
        cmocka_unit_test(references_resolve_as_in_the_rfc),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
