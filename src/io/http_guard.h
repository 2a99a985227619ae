/*
 * Which destinations outgoing calls may reach. Judged on the address actually connected to, so that
 * a name that resolves differently the second time (DNS rebinding) gains nothing. Private,
 * loopback, link-local, carrier-grade NAT, multicast, IPv4-mapped and NAT64 forms of these (RFC
 * 6890) are refused unless EGRESS_ALLOW names them; cloud metadata addresses, Tulle's own port and
 * its database only if named exactly (host or address with port).
 */
#pragma once

#include <sys/socket.h>

#include "base/arena.h"
#include "base/err.h"

struct http_guard;

struct http_guard_config {
    const char *egress_allow;  /* the setting's text, or NULL */
    bool allow_loopback;       /* HOST and BASE_URL are loopback */
    int own_port;              /* refused on loopback and own addresses unless named exactly */
    const char *database_host; /* or NULL */
    int database_port;
};

struct http_guard *http_guard_new(const struct http_guard_config *c, struct err *e) must_use;
void http_guard_free(struct http_guard *g);
/* Judges a URL before it is stored or fetched: http or https only, no userinfo, plain http only to
   destinations allowed by name, address or loopback rule; literal addresses are judged here.
   ERR_EGRESS names the line to add to EGRESS_ALLOW. */
bool http_guard_url(const struct http_guard *g, struct str url, struct err *e) must_use;
/* Judges one resolved address for a host name as written in the URL (IPv6 without brackets).
 * ERR_EGRESS as above. */
bool http_guard_address(const struct http_guard *g, struct str host, const struct sockaddr *addr,
                        int port, struct err *e) must_use;
/* The same for plain http: the destination must be allowed by a rule, by name or by address. */
bool http_guard_address_plain(const struct http_guard *g, struct str host,
                              const struct sockaddr *addr, int port, struct err *e) must_use;
