/* The outgoing guard: special addresses in every disguise, the rules of EGRESS_ALLOW, and names
 * that resolve elsewhere. */
#include "io/http_guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <sys/un.h>
#include <cmocka.h>

static struct http_guard *guard(const struct http_guard_config *c)
{
    struct err e;
    struct http_guard *g = http_guard_new(c, &e);
    if (!g)
        fail_msg("%s", e.msg);
    return g;
}

static void sock_of(const char *text, struct sockaddr_storage *out)
{
    memset(out, 0, sizeof *out);
    struct sockaddr_in *in = (struct sockaddr_in *)out;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
    if (inet_pton(AF_INET, text, &in->sin_addr) == 1) {
        in->sin_family = AF_INET;
        return;
    }
    assert_int_equal(inet_pton(AF_INET6, text, &in6->sin6_addr), 1);
    in6->sin6_family = AF_INET6;
}

static bool passes(const struct http_guard *g, const char *host, const char *addr, int port,
                   struct err *e)
{
    struct sockaddr_storage ss;
    sock_of(addr, &ss);
    *e = (struct err){.code = ERR_NONE};
    bool ok = http_guard_address(g, str_c(host), (const struct sockaddr *)&ss, port, e);
    if (!ok)
        assert_int_equal(e->code, ERR_EGRESS);
    return ok;
}

static bool passes_plain(const struct http_guard *g, const char *host, const char *addr, int port)
{
    struct sockaddr_storage ss;
    sock_of(addr, &ss);
    return http_guard_address_plain(g, str_c(host), (const struct sockaddr *)&ss, port, NULL);
}

static bool url_passes(const struct http_guard *g, const char *url, struct err *e)
{
    *e = (struct err){.code = ERR_NONE};
    bool ok = http_guard_url(g, str_c(url), e);
    if (!ok)
        assert_int_equal(e->code, ERR_EGRESS);
    return ok;
}

static const char *const special[] = {
    "0.0.0.0",
    "0.255.255.255",
    "10.0.0.0",
    "10.255.255.255",
    "100.64.0.0",
    "100.127.255.255",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.0.1",
    "169.254.255.255",
    "172.16.0.0",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.0.9",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "192.168.255.255",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.255",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    /* IPv6 */
    "::",
    "::1",
    "::2",
    "::127.0.0.1",
    "::8.8.8.8",
    "fc00::1",
    "fdff::1",
    "fe80::1",
    "febf::1",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
    "100::1",
    "100:0:0:1::1",
    "2001:db8::1",
    "2001::1",
    "2001:2::1",
    "2001:10::1",
    "2001:20::1",
    "2001:1ff::1",
    "2002:0808:0808::1",
    "3fff::1",
    "3fff:fff::1",
    "5f00::1",
    "4000::1",
    "64:ff9b:1::1",
    "::ffff:0:8.8.8.8",
    /* IPv4 inside IPv6 */
    "::ffff:10.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:192.168.1.1",
    "::ffff:169.254.1.1",
    "64:ff9b::10.0.0.1",
    "64:ff9b::127.0.0.1",
    "64:ff9b::192.168.1.1",
    "64:ff9b::100.64.0.1",
    "2002:0a00:0001::1",
    "2002:7f00:0001::1",
    "2001:0:1:2:3:4:f5ff:fffe",
};

static void special_addresses_are_refused_in_every_form(void **state)
{
    (void)state;
    struct http_guard *g = guard(&(struct http_guard_config){.own_port = 3000});
    struct err e;
    for (size_t i = 0; i < ARRAY_LEN(special); i++) {
        if (passes(g, "rebound.example", special[i], 443, &e))
            fail_msg("%s passes", special[i]);
    }
    http_guard_free(g);
}

static void public_addresses_pass(void **state)
{
    (void)state;
    static const char *const allowed[] = {
        "1.1.1.1",          "8.8.8.8",        "9.255.255.255",    "11.0.0.0",
        "100.63.255.255",   "100.128.0.0",    "126.255.255.255",  "128.0.0.1",
        "169.253.255.255",  "169.255.0.0",    "172.15.255.255",   "172.32.0.0",
        "191.255.255.255",  "192.0.1.1",      "192.0.3.1",        "192.88.98.1",
        "192.167.255.255",  "192.169.0.0",    "198.17.255.255",   "198.20.0.0",
        "198.51.99.1",      "203.0.112.255",  "203.0.114.0",      "223.255.255.255",
        "2600::1",          "2a00:1450::1",   "2001:200::1",      "2001:4860:4860::8888",
        "2001:db7:ffff::1", "2001:db9::1",    "2003::1",          "3ffe::1",
        "2000::1",          "::ffff:8.8.8.8", "64:ff9b::8.8.8.8",
    };
    struct http_guard *g = guard(&(struct http_guard_config){.own_port = 3000});
    struct err e;
    for (size_t i = 0; i < ARRAY_LEN(allowed); i++) {
        if (!passes(g, "public.example", allowed[i], 443, &e))
            fail_msg("%s: %s", allowed[i], e.msg);
    }
    http_guard_free(g);
}

static void other_address_families_are_refused(void **state)
{
    (void)state;
    struct http_guard *g = guard(&(struct http_guard_config){.egress_allow = "0.0.0.0/0,::/0"});
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    struct err e;
    assert_false(http_guard_address(g, STR("x"), (const struct sockaddr *)&un, 80, &e));
    assert_int_equal(e.code, ERR_EGRESS);
    http_guard_free(g);
}

/* What one entry lets through. */
static const struct {
    const char *allow, *host, *addr;
    int port;
    bool passes;
} entries[] = {
    {"10.0.0.0/8", "a.example", "10.1.2.3", 443, true},
    {"10.0.0.0/8", "a.example", "11.1.2.3", 443, true},
    {"10.0.0.0/8", "a.example", "192.168.0.1", 443, false},
    {"10.0.0.0/8:443", "a.example", "10.1.2.3", 443, true},
    {"10.0.0.0/8:443", "a.example", "10.1.2.3", 444, false},
    {"10.0.0.0/8", "a.example", "::ffff:10.1.2.3", 443, true},
    {"10.0.0.0/8", "a.example", "64:ff9b::10.1.2.3", 443, false},
    {"64:ff9b::/96", "a.example", "64:ff9b::10.1.2.3", 443, true},
    {"::ffff:10.0.0.0/104", "a.example", "10.1.2.3", 443, true},
    {"::ffff:10.0.0.0/104", "a.example", "11.1.2.3", 443, true},
    {"::ffff:10.0.0.0/104", "a.example", "172.16.0.1", 443, false},
    {"172.16.0.0/12", "a.example", "172.31.0.1", 443, true},
    {"172.16.0.0/20", "a.example", "172.16.15.1", 443, true},
    {"172.16.0.0/20", "a.example", "172.16.16.1", 443, false},
    {"0.0.0.0/0", "a.example", "192.168.0.1", 443, true},
    {"0.0.0.0/0", "a.example", "fd00::1", 443, false},
    {"::/0", "a.example", "fd00::1", 443, true},
    {"::/0", "a.example", "192.168.0.1", 443, false},
    {"fd00::/8", "a.example", "fd12::1", 443, true},
    {"[fd00::/8]:443", "a.example", "fd12::1", 443, true},
    {"[fd00::/8]:443", "a.example", "fd12::1", 80, false},
    {"[::1/128]:80", "a.example", "::1", 80, true},
    {"[::1/128]:80", "a.example", "::1", 81, false},
    {"::1", "a.example", "::1", 81, true},
    {"[::1]:81", "a.example", "::1", 81, true},
    {"[::1]", "a.example", "::1", 81, true},
    {"10.1.2.3", "a.example", "10.1.2.3", 81, true},
    {"10.1.2.3:81", "a.example", "10.1.2.3", 81, true},
    {"10.1.2.3:81", "a.example", "10.1.2.3", 82, false},
    {"10.1.2.3", "a.example", "10.1.2.4", 81, false},
    {"a.example", "a.example", "10.1.2.4", 81, true},
    {"A.Example", "a.eXAMPLE", "10.1.2.4", 81, true},
    {"a.example", "a.example.", "10.1.2.4", 81, true},
    {"a.example:81", "a.example", "10.1.2.4", 81, true},
    {"a.example:81", "a.example", "10.1.2.4", 82, false},
    {"a.example", "b.a.example", "10.1.2.4", 81, false},
    {"a.example", "xa.example", "10.1.2.4", 81, false},
    {"*.example", "a.example", "10.1.2.4", 81, true},
    {"*.example", "b.a.example", "10.1.2.4", 81, true},
    {"*.example", "example", "10.1.2.4", 81, false},
    {"*.example", "a.xexample", "10.1.2.4", 81, false},
    {"*.example:81", "a.example", "10.1.2.4", 81, true},
    {"*.example:81", "a.example", "10.1.2.4", 82, false},
    {"x.example, 10.0.0.0/8  *.corp", "a.corp", "192.168.0.1", 81, true},
    {"x.example, 10.0.0.0/8\n*.corp", "y", "10.9.9.9", 81, true},
    {" , ,", "y", "10.9.9.9", 81, false},
};

static void entries_allow_what_they_say_and_no_more(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(entries); i++) {
        struct http_guard *g = guard(&(struct http_guard_config){.egress_allow = entries[i].allow});
        struct err e;
        if (passes(g, entries[i].host, entries[i].addr, entries[i].port, &e) != entries[i].passes)
            fail_msg("row %zu: %s against %s at %s port %d", i, entries[i].allow, entries[i].host,
                     entries[i].addr, entries[i].port);
        http_guard_free(g);
    }
}

static void an_ill_formed_entry_is_quoted(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "10.0.0.0/33",
        "10.0.0.0/-1",
        "10.0.0.0/",
        "10.0.0.0/8x",
        "10.0.0.1/8",
        "fd00::1/8",
        "fd00::/129",
        "[10.0.0.0/8]:80",
        "[fd00::/8",
        "[fd00::/8]80",
        "[fd00::/8]:",
        "a.example:0",
        "a.example:65536",
        "a.example:x",
        "a..example",
        ".example",
        "*",
        "*.",
        "*.*.example",
        "*example",
        "a/b",
        "http://a.example",
        "a b/8",
        "10.1",
        "0x7f000001",
        "2130706433",
        "a.example.",
        "\xc3\xa4.example",
        "::ffff:10.0.0.0/95",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct err e;
        struct http_guard *g =
            http_guard_new(&(struct http_guard_config){.egress_allow = bad[i]}, &e);
        if (g)
            fail_msg("%s is accepted", bad[i]);
        assert_int_equal(e.code, ERR_INVALID);
        assert_non_null(strstr(e.msg, "EGRESS_ALLOW"));
    }
    struct err e;
    assert_null(http_guard_new(&(struct http_guard_config){.egress_allow = "ok.example 9/9"}, &e));
    assert_non_null(strstr(e.msg, "\"9/9\""));
}

static void loopback_passes_only_where_it_is_allowed(void **state)
{
    (void)state;
    struct err e;
    struct http_guard *g =
        guard(&(struct http_guard_config){.allow_loopback = true, .own_port = 3000});
    assert_true(passes(g, "localhost", "127.0.0.1", 8080, &e));
    assert_true(passes(g, "localhost", "::1", 8080, &e));
    assert_true(passes(g, "x.example", "127.8.8.8", 8080, &e));
    assert_true(passes(g, "x.example", "::ffff:127.0.0.1", 8080, &e));
    assert_false(passes(g, "x.example", "64:ff9b::127.0.0.1", 8080, &e));
    assert_false(passes(g, "x.example", "0.0.0.0", 8080, &e));
    assert_false(passes(g, "x.example", "10.0.0.1", 8080, &e));
    assert_true(url_passes(g, "http://localhost:8080/mcp", &e));
    assert_true(url_passes(g, "http://127.0.0.1:8080/mcp", &e));
    assert_true(url_passes(g, "http://[::1]:8080/mcp", &e));
    http_guard_free(g);

    g = guard(&(struct http_guard_config){.allow_loopback = false, .own_port = 3000});
    assert_false(passes(g, "localhost", "127.0.0.1", 8080, &e));
    assert_non_null(strstr(e.msg, "add localhost:8080 to EGRESS_ALLOW"));
    assert_false(url_passes(g, "http://localhost:8080/mcp", &e));
    assert_false(url_passes(g, "https://localhost:8080/mcp", &e));
    assert_false(url_passes(g, "https://mcp.localhost:8080/mcp", &e));
    http_guard_free(g);
}

static void literal_addresses_are_judged_in_the_url(void **state)
{
    (void)state;
    static const char *const refused[] = {
        "https://10.0.0.1/",
        "https://127.0.0.1/",
        "https://127.1/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0177.0.0.1/",
        "https://[::1]/",
        "https://[::ffff:7f00:1]/",
        "https://[fd00::1]:8443/",
        "https://10.0.0.1./",
        "https://[64:ff9b::a00:1]/",
        "https://169.254.169.254/latest/meta-data/",
    };
    struct http_guard *g = guard(&(struct http_guard_config){.own_port = 3000});
    struct err e;
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        if (url_passes(g, refused[i], &e))
            fail_msg("%s passes", refused[i]);
    }
    assert_false(url_passes(g, "https://[fd00::1]:8443/", &e));
    assert_non_null(strstr(e.msg, "add [fd00::1]:8443 to EGRESS_ALLOW"));
    assert_false(url_passes(g, "https://10.0.0.1/", &e));
    assert_non_null(strstr(e.msg, "add 10.0.0.1:443 to EGRESS_ALLOW"));
    assert_true(url_passes(g, "https://8.8.8.8/", &e));
    assert_true(url_passes(g, "https://[2600::1]/", &e));
    http_guard_free(g);
}

static void only_http_without_userinfo_is_called(void **state)
{
    (void)state;
    static const char *const refused[] = {
        "ftp://a.example/",       "file:///etc/passwd",
        "gopher://a.example/",    "javascript:alert(1)",
        "a.example/mcp",          "https://",
        "https://u@a.example/",   "https://u:p@a.example/",
        "https:///mcp",           "//a.example/",
        "https://a.example\\@b/", "https://a b.example/",
        "https://%61.example/",   "",
    };
    struct http_guard *g = guard(&(struct http_guard_config){.egress_allow = "a.example"});
    struct err e;
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        if (url_passes(g, refused[i], &e))
            fail_msg("%s passes", refused[i]);
    }
    assert_true(url_passes(g, "https://a.example/mcp?x=1", &e));
    assert_true(url_passes(g, "HTTPS://A.EXAMPLE:8443/mcp", &e));
    http_guard_free(g);
}

static void plain_http_needs_a_rule(void **state)
{
    (void)state;
    struct err e;
    struct http_guard *g = guard(&(struct http_guard_config){.own_port = 3000});
    assert_false(url_passes(g, "http://a.example/mcp", &e));
    assert_non_null(strstr(e.msg, "add a.example:80 to EGRESS_ALLOW"));
    assert_false(url_passes(g, "http://8.8.8.8/mcp", &e));
    assert_false(passes_plain(g, "a.example", "8.8.8.8", 80));
    assert_true(passes(g, "a.example", "8.8.8.8", 80, &e));
    http_guard_free(g);

    g = guard(&(struct http_guard_config){.egress_allow = "a.example:80 10.0.0.0/8 *.corp"});
    assert_true(url_passes(g, "http://a.example/mcp", &e));
    assert_true(passes_plain(g, "a.example", "8.8.8.8", 80));
    assert_true(url_passes(g, "http://10.0.0.1/mcp", &e));
    assert_true(url_passes(g, "http://x.corp:81/mcp", &e));
    assert_false(url_passes(g, "http://8.8.8.8/mcp", &e));
    /* A name whose address is not known yet: decided when it is. */
    assert_true(url_passes(g, "http://b.example/mcp", &e));
    assert_true(passes_plain(g, "b.example", "10.0.0.1", 80));
    assert_false(passes_plain(g, "b.example", "8.8.8.8", 80));
    http_guard_free(g);
}

static void a_name_that_resolves_differently_the_second_time_gains_nothing(void **state)
{
    (void)state;
    struct err e;
    struct http_guard *g = guard(&(struct http_guard_config){.own_port = 3000});
    assert_true(url_passes(g, "https://rebind.example/", &e));
    assert_true(passes(g, "rebind.example", "93.184.216.34", 443, &e));
    assert_false(passes(g, "rebind.example", "127.0.0.1", 443, &e));
    assert_false(passes(g, "rebind.example", "::ffff:10.0.0.1", 443, &e));
    assert_false(passes(g, "rebind.example", "169.254.169.254", 443, &e));
    http_guard_free(g);
}

static void metadata_services_must_be_named_exactly(void **state)
{
    (void)state;
    static const char *const addresses[] = {
        "169.254.169.254",
        "fd00:ec2::254",
        "100.100.100.200",
        "168.63.129.16",
        "169.254.170.2",
        "fd20:ce::254",
        "::ffff:169.254.169.254",
        "64:ff9b::169.254.169.254",
        "192.0.0.192",
        "64:ff9b::168.63.129.16",
        "2002:a9fe:a9fe::1",
        "::169.254.169.254",
        "64:ff9b:1::169.254.169.254",
    };
    /* Everything but the exact address. */
    struct http_guard *g = guard(&(struct http_guard_config){
        .egress_allow = "0.0.0.0/0 ::/0 169.254.169.254/32:80 169.254.169.254 *.internal "
                        "*.google.internal m.example:80",
        .allow_loopback = true});
    struct err e;
    for (size_t i = 0; i < ARRAY_LEN(addresses); i++) {
        if (passes(g, "m.example", addresses[i], 80, &e))
            fail_msg("%s passes", addresses[i]);
    }
    assert_false(passes(g, "m.example", "169.254.169.254", 80, &e));
    assert_non_null(strstr(e.msg, "add 169.254.169.254:80 to EGRESS_ALLOW"));
    assert_false(url_passes(g, "http://metadata.google.internal/computeMetadata/v1/", &e));
    assert_non_null(strstr(e.msg, "add metadata.google.internal:80 to EGRESS_ALLOW"));
    assert_false(url_passes(g, "http://metadata.google.internal./", &e));
    assert_true(url_passes(g, "http://other.google.internal/", &e));
    http_guard_free(g);

    g = guard(&(struct http_guard_config){
        .egress_allow = "169.254.169.254:80 metadata.google.internal:80 [fd00:ec2::254]:80"});
    assert_true(passes(g, "169.254.169.254", "169.254.169.254", 80, &e));
    assert_false(passes(g, "169.254.169.254", "169.254.169.254", 81, &e));
    assert_true(passes(g, "x", "fd00:ec2::254", 80, &e));
    assert_false(passes(g, "x", "168.63.129.16", 80, &e));
    http_guard_free(g);

    g = guard(&(struct http_guard_config){.egress_allow = "metadata.google.internal:80"});
    assert_true(url_passes(g, "http://metadata.google.internal/", &e));
    assert_true(passes(g, "metadata.google.internal", "169.254.169.254", 80, &e));
    assert_false(passes(g, "x.example", "169.254.169.254", 80, &e));
    http_guard_free(g);
}

static bool an_own_address(char out[INET6_ADDRSTRLEN])
{
    struct ifaddrs *all;
    bool found = false;
    assert_int_equal(getifaddrs(&all), 0);
    for (const struct ifaddrs *i = all; i && !found; i = i->ifa_next) {
        if (!i->ifa_addr || i->ifa_addr->sa_family != AF_INET || strcmp(i->ifa_name, "lo") == 0)
            continue;
        const struct sockaddr_in *in = (const struct sockaddr_in *)i->ifa_addr;
        found = inet_ntop(AF_INET, &in->sin_addr, out, INET6_ADDRSTRLEN) != NULL;
    }
    freeifaddrs(all);
    return found;
}

static void the_own_port_must_be_named_exactly(void **state)
{
    (void)state;
    struct err e;
    struct http_guard *g = guard(&(struct http_guard_config){
        .egress_allow = "0.0.0.0/0 ::/0 *.corp", .allow_loopback = true, .own_port = 3000});
    assert_false(passes(g, "x.corp", "127.0.0.1", 3000, &e));
    assert_non_null(strstr(e.msg, "own port"));
    assert_non_null(strstr(e.msg, "add x.corp:3000 to EGRESS_ALLOW"));
    assert_false(passes(g, "x.corp", "::1", 3000, &e));
    assert_false(passes(g, "x.corp", "0.0.0.0", 3000, &e));
    assert_false(passes(g, "x.corp", "::", 3000, &e));
    assert_false(passes(g, "x.corp", "::ffff:127.0.0.1", 3000, &e));
    assert_false(passes(g, "x.corp", "64:ff9b::127.0.0.1", 3000, &e));
    assert_false(url_passes(g, "http://localhost:3000/mcp", &e));
    assert_true(passes(g, "x.corp", "127.0.0.1", 3001, &e));
    assert_true(passes(g, "x.corp", "10.255.1.2", 3000, &e));
    char own[INET6_ADDRSTRLEN];
    if (an_own_address(own))
        assert_false(passes(g, "x.corp", own, 3000, &e));
    http_guard_free(g);

    g = guard(&(struct http_guard_config){
        .egress_allow = "localhost:3000", .allow_loopback = true, .own_port = 3000});
    assert_true(passes(g, "localhost", "127.0.0.1", 3000, &e));
    assert_true(url_passes(g, "http://localhost:3000/mcp", &e));
    assert_false(passes(g, "x.corp", "127.0.0.1", 3000, &e));
    http_guard_free(g);
}

static void the_database_must_be_named_exactly(void **state)
{
    (void)state;
    struct err e;
    struct http_guard *g = guard(&(struct http_guard_config){
        .egress_allow = "10.0.0.0/8", .database_host = "10.0.0.5", .database_port = 5432});
    assert_false(passes(g, "x.corp", "10.0.0.5", 5432, &e));
    assert_non_null(strstr(e.msg, "database"));
    assert_false(passes(g, "x.corp", "::ffff:10.0.0.5", 5432, &e));
    assert_true(passes(g, "x.corp", "10.0.0.5", 443, &e));
    assert_true(passes(g, "x.corp", "10.0.0.6", 5432, &e));
    http_guard_free(g);

    g = guard(&(struct http_guard_config){.egress_allow = "10.0.0.0/8 10.0.0.5:5432",
                                          .database_host = "10.0.0.5",
                                          .database_port = 5432});
    assert_true(passes(g, "x.corp", "10.0.0.5", 5432, &e));
    http_guard_free(g);

    g = guard(&(struct http_guard_config){
        .allow_loopback = true, .database_host = "localhost", .database_port = 5432});
    assert_false(passes(g, "x.corp", "127.0.0.1", 5432, &e));
    assert_false(passes(g, "localhost", "127.0.0.1", 5432, &e));
    assert_true(passes(g, "localhost", "127.0.0.1", 5433, &e));
    http_guard_free(g);

    g = guard(&(struct http_guard_config){
        .allow_loopback = true, .database_host = "/run/postgresql", .database_port = 5432});
    assert_false(passes(g, "localhost", "127.0.0.1", 5432, &e));
    http_guard_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(special_addresses_are_refused_in_every_form),
        cmocka_unit_test(public_addresses_pass),
        cmocka_unit_test(other_address_families_are_refused),
        cmocka_unit_test(entries_allow_what_they_say_and_no_more),
        cmocka_unit_test(an_ill_formed_entry_is_quoted),
        cmocka_unit_test(loopback_passes_only_where_it_is_allowed),
        cmocka_unit_test(literal_addresses_are_judged_in_the_url),
        cmocka_unit_test(only_http_without_userinfo_is_called),
        cmocka_unit_test(plain_http_needs_a_rule),
        cmocka_unit_test(a_name_that_resolves_differently_the_second_time_gains_nothing),
        cmocka_unit_test(metadata_services_must_be_named_exactly),
        cmocka_unit_test(the_own_port_must_be_named_exactly),
        cmocka_unit_test(the_database_must_be_named_exactly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
