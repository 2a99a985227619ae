/* Who stands behind reverse proxies: only what trusted ones say counts, read from the right. */
#include "io/client_address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define TEST(name) static void name(void **state unused_arg)

enum { HEADERS_MAX = 8 };
struct arrived {
    struct http_request rq;
    struct http_header headers[HEADERS_MAX];
};

/* pairs: name, value, ..., NULL. */
static void arrive(struct arrived *a, const char *trusted, const char *peer,
                   const char *const *pairs)
{
    *a = (struct arrived){.rq = {.headers = a->headers}};
    (void)snprintf(a->rq.peer, sizeof(a->rq.peer), "%s", peer);
    a->rq.peer_is_loopback = str_eq(str_c(peer), STR("127.0.0.1"));
    for (; *pairs; pairs += 2)
        a->headers[a->rq.n_headers++] = (struct http_header){str_c(pairs[0]), str_c(pairs[1])};
    client_address_set(&a->rq, a->headers, trusted);
}

static void expect(const char *trusted, const char *peer, const char *forwarded_for,
                   const char *client)
{
    struct arrived a;
    arrive(&a, trusted, peer, (const char *[]){"X-Forwarded-For", forwarded_for, NULL});
    assert_string_equal(a.rq.peer, client);
}

TEST(a_header_of_an_untrusted_peer_changes_nothing)
{
    const char *const said[] = {
        "Host",         "a.example", "X-Forwarded-For", "198.51.100.7", "X-Forwarded-Host",
        "evil.example", NULL};
    const char *const lists[] = {NULL, "10.0.0.0/8", "9.9.9.8,9.9.9.10/32"};
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        struct arrived a;
        arrive(&a, lists[i], "9.9.9.9", said);
        assert_string_equal(a.rq.peer, "9.9.9.9");
        assert_true(
            str_eq(http_header_get(a.headers, a.rq.n_headers, STR("Host")), STR("a.example")));
        assert_false(a.rq.peer_is_shared);
    }
}

TEST(the_list_is_read_from_the_right_through_trusted_proxies_only)
{
    const char *proxies = "10.0.0.0/8, 192.0.2.1, 2001:db8:1::/48";
    expect(proxies, "10.1.2.3", "203.0.113.9", "203.0.113.9");
    expect(proxies, "10.1.2.3", "127.0.0.1, 203.0.113.9", "203.0.113.9");
    expect(proxies, "10.1.2.3", "198.51.100.1,203.0.113.9 , 192.0.2.1,10.9.9.9", "203.0.113.9");
    expect(proxies, "2001:db8:1::5", "2001:db8:2::7, 2001:db8:1::6", "2001:db8:2::7");
    expect(proxies, "192.0.2.1", "10.0.0.1, 10.0.0.2", "10.0.0.1");
    expect(proxies, "192.0.2.2", "203.0.113.9", "192.0.2.2");
    expect("10.1.2.3/32", "10.1.2.3", "203.0.113.9", "203.0.113.9");
    expect("0.0.0.0/0", "10.1.2.3", "203.0.113.9, 203.0.113.10", "203.0.113.9");
}

TEST(the_forms_that_proxies_write_are_read)
{
    expect("127.0.0.1", "127.0.0.1", "203.0.113.9:4711", "203.0.113.9");
    expect("127.0.0.1", "127.0.0.1", "[2001:db8::9]:4711", "2001:db8::9");
    expect("127.0.0.1", "127.0.0.1", "[2001:db8::9]", "2001:db8::9");
    expect("127.0.0.1", "127.0.0.1", "2001:DB8::9", "2001:db8::9");
    expect("127.0.0.1", "127.0.0.1", "::ffff:203.0.113.9", "203.0.113.9");
    expect("::ffff:127.0.0.1", "127.0.0.1", "203.0.113.9", "203.0.113.9");
}

TEST(what_is_no_address_ends_the_walk)
{
    const char *const bad[] = {"unknown",   "_hidden",        "",           "203.0.113.9,",
                               "203.0.113", "0x7f000001",     "2130706433", "203.0.113.9 8.8.8.8",
                               "[::1",      "203.0.113.9, -", "a:b",        "203.0.113.9,[]"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct arrived a;
        arrive(&a, "127.0.0.1", "127.0.0.1", (const char *[]){"X-Forwarded-For", bad[i], NULL});
        assert_string_equal(a.rq.peer, "127.0.0.1");
        assert_true(a.rq.peer_is_shared);
    }
}

TEST(several_header_lines_are_one_list)
{
    struct arrived a;
    arrive(&a, "127.0.0.1,10.0.0.1", "127.0.0.1",
           (const char *[]){"X-Forwarded-For", "198.51.100.1", "x-forwarded-for",
                            "203.0.113.9, 10.0.0.1", NULL});
    assert_string_equal(a.rq.peer, "203.0.113.9");
}

TEST(the_host_of_a_trusted_proxy_takes_the_place_of_host)
{
    struct arrived a;
    arrive(&a, "127.0.0.1", "127.0.0.1",
           (const char *[]){"Host", "127.0.0.1:3000", "X-Forwarded-Host",
                            "forged.example, tulle.example", NULL});
    assert_true(
        str_eq(http_header_get(a.headers, a.rq.n_headers, STR("Host")), STR("tulle.example")));
    arrive(&a, "127.0.0.1", "127.0.0.1",
           (const char *[]){"Host", "tulle.example", "X-Forwarded-Host", "", NULL});
    assert_true(
        str_eq(http_header_get(a.headers, a.rq.n_headers, STR("Host")), STR("tulle.example")));
}

TEST(loopback_is_who_the_client_is_and_not_who_passes_it_on)
{
    const char *const remote[] = {"X-Forwarded-For", "203.0.113.9", NULL};
    const char *const local[] = {"X-Forwarded-For", "127.0.0.1", NULL};
    const char *const none[] = {NULL};
    struct arrived a;
    arrive(&a, "127.0.0.1", "127.0.0.1", remote);
    assert_false(a.rq.peer_is_loopback);
    arrive(&a, "127.0.0.1", "127.0.0.1", local);
    assert_true(a.rq.peer_is_loopback);
    arrive(&a, NULL, "127.0.0.1", none);
    assert_true(a.rq.peer_is_loopback);
    arrive(&a, NULL, "127.0.0.1", local); /* nobody named this proxy */
    assert_false(a.rq.peer_is_loopback);
    static const char *const marks[] = {"X-Real-IP", "Forwarded", "Via", "X-Forwarded-Proto"};
    for (size_t i = 0; i < ARRAY_LEN(marks); i++) {
        arrive(&a, NULL, "127.0.0.1", (const char *[]){marks[i], "x", NULL});
        assert_false(a.rq.peer_is_loopback);
    }
    arrive(&a, "10.0.0.1", "10.0.0.1", (const char *[]){"X-Forwarded-For", "127.0.0.1", NULL});
    assert_true(a.rq.peer_is_loopback);
}

TEST(a_private_address_is_shared_unless_the_proxies_are_named)
{
    const char *const none[] = {NULL};
    struct arrived a;
    arrive(&a, NULL, "10.0.0.7", none);
    assert_true(a.rq.peer_is_shared);
    arrive(&a, NULL, "8.8.8.8", none);
    assert_false(a.rq.peer_is_shared);
    arrive(&a, "10.0.0.1", "10.0.0.7", none);
    assert_false(a.rq.peer_is_shared);
    arrive(&a, "10.0.0.1", "10.0.0.1", none);
    assert_true(a.rq.peer_is_shared);
    arrive(&a, "8.8.8.0/24", "8.8.8.8", none);
    assert_true(a.rq.peer_is_shared);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_header_of_an_untrusted_peer_changes_nothing),
        cmocka_unit_test(the_list_is_read_from_the_right_through_trusted_proxies_only),
        cmocka_unit_test(the_forms_that_proxies_write_are_read),
        cmocka_unit_test(what_is_no_address_ends_the_walk),
        cmocka_unit_test(several_header_lines_are_one_list),
        cmocka_unit_test(the_host_of_a_trusted_proxy_takes_the_place_of_host),
        cmocka_unit_test(loopback_is_who_the_client_is_and_not_who_passes_it_on),
        cmocka_unit_test(a_private_address_is_shared_unless_the_proxies_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
