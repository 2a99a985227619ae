/* RFC 3986 URIs, taken apart and compared. */
#pragma once

#include "base/arena.h"
#include "base/str.h"

struct uri {
    struct str scheme;   /* as given; compare with str_ieq */
    struct str userinfo; /* absent when there is no '@' */
    struct str host;     /* without brackets for IPv6 */
    bool host_is_ipv6;
    int port;            /* -1 when absent */
    struct str path;     /* may be empty */
    struct str query;    /* absent without '?' */
    struct str fragment; /* absent without '#' */
};

/* Splits an absolute URI with authority or a scheme-only one ("cursor:x"). Refuses controls,
 * spaces, bytes > 0x7E, bad ports. */
bool uri_parse(struct str s, struct uri *out) must_use;
/* True for http and https. */
bool uri_is_http(const struct uri *u);
/* The port, or the scheme's default (80, 443), or -1. */
int uri_port(const struct uri *u);
/* "scheme://host[:port]" in lower case, default port dropped. STR_NONE when out of memory. */
struct str uri_origin(struct arena *a, const struct uri *u) must_use;
/* 4 or 6 when `host` is a literal IP address (IPv6 without brackets), else 0. */
int uri_ip_version(struct str host);
/* "localhost", 127.0.0.0/8 or ::1. */
bool uri_host_is_loopback(struct str host);
/* One relative reference resolved against a base (RFC 3986 section 5.2). STR_NONE when it does not
 * resolve. */
struct str uri_resolve(struct arena *a, struct str base, struct str ref) must_use;
