/* Addresses: one form, and what is special about them. */
#include "io/http_guard_parts.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <stdio.h>

struct net4 {
    uint8_t b[4];
    int bits;
};

/*
 * IANA IPv4 Special-Purpose Address Registry: what is not globally reachable; RFC 5771 (multicast),
 * RFC 1112 (reserved). The AS112 and AMT blocks are globally reachable and left out.
 */
static const struct net4 special4[] = {
    {{0, 0, 0, 0}, 8},       /* this network, RFC 791 */
    {{10, 0, 0, 0}, 8},      /* private, RFC 1918 */
    {{100, 64, 0, 0}, 10},   /* carrier-grade NAT, RFC 6598 */
    {{127, 0, 0, 0}, 8},     /* loopback, RFC 1122 */
    {{169, 254, 0, 0}, 16},  /* link-local, RFC 3927 */
    {{172, 16, 0, 0}, 12},   /* private, RFC 1918 */
    {{192, 0, 0, 0}, 24},    /* protocol assignments, RFC 6890 */
    {{192, 0, 2, 0}, 24},    /* documentation, RFC 5737 */
    {{192, 88, 99, 0}, 24},  /* 6to4 relays, RFC 7526 */
    {{192, 168, 0, 0}, 16},  /* private, RFC 1918 */
    {{198, 18, 0, 0}, 15},   /* benchmarks, RFC 2544 */
    {{198, 51, 100, 0}, 24}, /* documentation, RFC 5737 */
    {{203, 0, 113, 0}, 24},  /* documentation, RFC 5737 */
    {{224, 0, 0, 0}, 4},     /* multicast, RFC 5771 */
    {{240, 0, 0, 0}, 4},     /* reserved and broadcast, RFC 1112 */
};

struct net6 {
    uint8_t b[16];
    int bits;
};

/* IPv6 inside global unicast 2000::/3 (RFC 4291); all outside of it is special without a row. */
static const struct net6 special6[] = {
    {{0x20, 0x01}, 23},             /* protocol assignments: Teredo, benchmarks, ORCHID, RFC 2928 */
    {{0x20, 0x01, 0x0d, 0xb8}, 32}, /* documentation, RFC 3849 */
    {{0x20, 0x02}, 16},             /* 6to4, RFC 3056 */
    {{0x3f, 0xff}, 20},             /* documentation, RFC 9637 */
};
static const struct net6 global_unicast = {{0x20}, 3};

static const struct net6 v4_mapped = {{[10] = 0xff, [11] = 0xff}, 96};   /* RFC 4291 2.5.5.2 */
static const struct net6 v4_compatible = {{0}, 96};                      /* RFC 4291 2.5.5.1 */
static const struct net6 v4_translated = {{[8] = 0xff, [9] = 0xff}, 96}; /* RFC 2765 */
static const struct net6 nat64 = {{0x00, 0x64, 0xff, 0x9b}, 96};         /* RFC 6052 */
static const struct net6 nat64_local = {{0x00, 0x64, 0xff, 0x9b, 0x00, 0x01}, 48}; /* RFC 8215 */
static const struct net6 six_to_four = {{0x20, 0x02}, 16};
static const struct net6 teredo = {{0x20, 0x01}, 32}; /* RFC 4380: the client's address, inverted */

static const char *const metadata_addresses[] = {
    "169.254.169.254", /* AWS, Azure, Google, Oracle, OpenStack and others */
    "169.254.170.2",   /* AWS ECS task credentials */
    "169.254.170.23",  /* AWS EKS pod identity */
    "169.254.0.23",    /* Tencent */
    "100.100.100.200", /* Alibaba */
    "168.63.129.16",   /* Azure's host agent: a public address */
    "192.0.0.192",     /* Oracle, older form */
    "fd00:ec2::254",   /* AWS */
    "fd00:ec2::23",    /* AWS EKS pod identity */
    "fd20:ce::254",    /* Google */
    "fe80::a9fe:a9fe", /* OpenStack */
};

static const char *const metadata_hosts[] = {
    "metadata.google.internal",
    "metadata.goog",
    "metadata",
    "instance-data",
    "instance-data.ec2.internal",
    "metadata.tencentyun.com",
    "metadata.azure.internal",
};

static bool bits_equal(const uint8_t *a, const uint8_t *b, int bits)
{
    int whole = bits / 8;
    if (memcmp(a, b, (size_t)whole) != 0)
        return false;
    if (bits % 8 == 0)
        return true;
    unsigned mask = 0xffu << (8 - bits % 8);
    return ((a[whole] ^ b[whole]) & mask & 0xffu) == 0;
}

static bool in6(const struct guard_addr *a, const struct net6 *net)
{
    return !a->is_v4 && bits_equal(a->b, net->b, net->bits);
}

static struct guard_addr from_bytes6(const uint8_t b[16])
{
    struct guard_addr a = {.is_v4 = false};
    if (bits_equal(b, v4_mapped.b, v4_mapped.bits)) {
        a.is_v4 = true;
        memcpy(a.b, b + 12, 4);
    } else {
        memcpy(a.b, b, 16);
    }
    return a;
}

bool guard_addr_from_sock(const struct sockaddr *sa, struct guard_addr *out)
{
    if (sa->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, sa, sizeof in);
        *out = (struct guard_addr){.is_v4 = true};
        memcpy(out->b, &in.sin_addr, 4);
        return true;
    }
    if (sa->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, sa, sizeof in6);
        *out = from_bytes6(in6.sin6_addr.s6_addr);
        return true;
    }
    return false;
}

static bool text_copy(struct str text, char out[64])
{
    if (text.n == 0 || text.n >= 64 || memchr(text.p, 0, text.n))
        return false;
    memcpy(out, text.p, text.n);
    out[text.n] = 0;
    return true;
}

bool guard_addr_parse_strict(struct str text, struct guard_addr *out)
{
    char z[64];
    uint8_t b[16];
    if (!text_copy(text, z))
        return false;
    if (inet_pton(AF_INET, z, b) == 1) {
        *out = (struct guard_addr){.is_v4 = true};
        memcpy(out->b, b, 4);
        return true;
    }
    if (inet_pton(AF_INET6, z, b) == 1) {
        *out = from_bytes6(b);
        return true;
    }
    return false;
}

bool guard_addr_parse(struct str text, struct guard_addr *out)
{
    if (guard_addr_parse_strict(text, out))
        return true;
    char z[64];
    struct in_addr in;
    if (!text_copy(text, z) || strpbrk(z, " \t\r\n\v\f") || inet_aton(z, &in) == 0)
        return false;
    *out = (struct guard_addr){.is_v4 = true};
    memcpy(out->b, &in, 4);
    return true;
}

bool guard_addr_equal(const struct guard_addr *a, const struct guard_addr *b)
{
    return a->is_v4 == b->is_v4 && memcmp(a->b, b->b, a->is_v4 ? 4 : 16) == 0;
}

bool guard_addr_in(const struct guard_addr *a, const struct guard_addr *net, int bits)
{
    return a->is_v4 == net->is_v4 && bits_equal(a->b, net->b, bits);
}

/* The IPv4 address that a translator or tunnel would deliver to. */
static bool embedded_v4(const struct guard_addr *a, struct guard_addr *out)
{
    size_t at;
    uint8_t flip = 0;
    if (in6(a, &nat64) || in6(a, &nat64_local) || in6(a, &v4_compatible) ||
        in6(a, &v4_translated)) {
        at = 12;
    } else if (in6(a, &six_to_four)) {
        at = 2;
    } else if (in6(a, &teredo)) {
        at = 12;
        flip = 0xff;
    } else {
        return false;
    }
    *out = (struct guard_addr){.is_v4 = true};
    for (size_t i = 0; i < 4; i++)
        out->b[i] = (uint8_t)(a->b[at + i] ^ flip);
    return true;
}

bool guard_addr_is_loopback(const struct guard_addr *a)
{
    static const uint8_t one[16] = {[15] = 1};
    return a->is_v4 ? a->b[0] == 127 : memcmp(a->b, one, 16) == 0;
}

static bool is_special4(const uint8_t b[4])
{
    for (size_t i = 0; i < ARRAY_LEN(special4); i++) {
        if (bits_equal(b, special4[i].b, special4[i].bits))
            return true;
    }
    return false;
}

bool guard_addr_is_special(const struct guard_addr *a)
{
    if (a->is_v4)
        return is_special4(a->b);
    if (in6(a, &nat64)) /* how an IPv6-only host reaches IPv4: as good as the address inside */
        return is_special4(a->b + 12);
    if (!in6(a, &global_unicast))
        return true;
    for (size_t i = 0; i < ARRAY_LEN(special6); i++) {
        if (in6(a, &special6[i]))
            return true;
    }
    return false;
}

bool guard_addr_is_metadata(const struct guard_addr *a, struct guard_addr *exact)
{
    struct guard_addr inside;
    bool has_inside = embedded_v4(a, &inside);
    for (size_t i = 0; i < ARRAY_LEN(metadata_addresses); i++) {
        struct guard_addr m;
        if (!guard_addr_parse_strict(str_c(metadata_addresses[i]), &m))
            bug("the table of metadata addresses is ill-formed");
        if (guard_addr_equal(a, &m) || (has_inside && guard_addr_equal(&inside, &m))) {
            *exact = *a;
            return true;
        }
    }
    return false;
}

bool guard_host_is_metadata(struct str host)
{
    for (size_t i = 0; i < ARRAY_LEN(metadata_hosts); i++) {
        if (str_ieq(host, str_c(metadata_hosts[i])))
            return true;
    }
    return false;
}

bool guard_addr_is_own(const struct guard_addr *a)
{
    static const uint8_t zero[16] = {0};
    if (guard_addr_is_loopback(a) || memcmp(a->b, zero, a->is_v4 ? 4 : 16) == 0)
        return true;
    struct guard_addr inside;
    bool has_inside = embedded_v4(a, &inside);
    if (has_inside && guard_addr_is_loopback(&inside))
        return true;
    struct ifaddrs *all;
    if (getifaddrs(&all) != 0)
        return true; /* unknown counts as own: the safe side */
    bool found = false;
    for (const struct ifaddrs *i = all; i && !found; i = i->ifa_next) {
        struct guard_addr own;
        if (i->ifa_addr && guard_addr_from_sock(i->ifa_addr, &own))
            found = guard_addr_equal(a, &own) || (has_inside && guard_addr_equal(&inside, &own));
    }
    freeifaddrs(all);
    return found;
}

void guard_addr_format(const struct guard_addr *a, char out[GUARD_ADDR_TEXT])
{
    char text[INET6_ADDRSTRLEN] = "";
    inet_ntop(a->is_v4 ? AF_INET : AF_INET6, a->b, text, sizeof text);
    snprintf(out, GUARD_ADDR_TEXT, a->is_v4 ? "%s" : "[%s]", text);
}
