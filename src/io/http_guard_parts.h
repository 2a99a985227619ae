/* Private to http_guard*.c and http_client_proxy.c: addresses in one form, the special-use tables,
 * and the rules of EGRESS_ALLOW. */
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/str.h"

/* An address in network order. IPv4-mapped IPv6 is IPv4 here: it is what the kernel connects to. */
struct guard_addr {
    bool is_v4;
    uint8_t b[16]; /* IPv4: the first four bytes */
};

/* False for families other than IPv4 and IPv6. */
bool guard_addr_from_sock(const struct sockaddr *sa, struct guard_addr *out) must_use;
/* Address text without brackets; every form that the C library's resolver would take for a number
 * ("127.1", "0x7f000001"). */
bool guard_addr_parse(struct str text, struct guard_addr *out) must_use;
/* The same for the dotted or colon form only, as it stands in a setting. */
bool guard_addr_parse_strict(struct str text, struct guard_addr *out) must_use;
bool guard_addr_equal(const struct guard_addr *a, const struct guard_addr *b);
bool guard_addr_in(const struct guard_addr *a, const struct guard_addr *net, int bits);

/* 127.0.0.0/8 (mapped too) and ::1. */
bool guard_addr_is_loopback(const struct guard_addr *a);
/* Not globally reachable (IANA special-purpose address registries, RFC 6890 and successors), or
 * multicast. */
bool guard_addr_is_special(const struct guard_addr *a);
/* Answers credentials to whoever asks from inside a cloud. *exact: the address that must be named.
 */
bool guard_addr_is_metadata(const struct guard_addr *a, struct guard_addr *exact);
bool guard_host_is_metadata(struct str host);
/* One of this machine's interfaces, loopback or unspecified, tunnelled forms included. */
bool guard_addr_is_own(const struct guard_addr *a);

enum { GUARD_ADDR_TEXT = INET6_ADDRSTRLEN + 3 };
/* As in a URL: IPv6 in brackets. */
void guard_addr_format(const struct guard_addr *a, char out[GUARD_ADDR_TEXT]);

struct guard_rule {
    enum { RULE_CIDR, RULE_ADDRESS, RULE_HOST, RULE_SUFFIX } kind;
    struct guard_addr net;
    int bits;
    struct str name; /* RULE_SUFFIX: with its leading dot */
    int port;        /* 0: any */
};

/* One entry of EGRESS_ALLOW. name borrows from text. ERR_INVALID quotes the entry. */
bool guard_rule_parse(struct str text, struct guard_rule *out, struct err *e) must_use;
/* host without a trailing dot. */
bool guard_rule_names_host(const struct guard_rule *r, struct str host, int port);
bool guard_rule_covers(const struct guard_rule *r, const struct guard_addr *a, int port);
