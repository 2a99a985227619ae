/* Redirect URIs: what may be registered, and when a given one is a registered one. Pure. */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "base/uri.h"

/*
 * May a client register it? https; http to a loopback host; a private-use scheme (RFC 8252
 * section 7.1, "cursor://..."). Not: fragments, user information, wildcards, schemes that run or
 * read something. ERR_REDIRECT_URI says why.
 */
bool redirect_uri_check(struct str uri, struct err *e) must_use;
/*
 * Byte for byte equal (RFC 3986 section 6.2.1); for http to 127.0.0.1, [::1] or localhost the port
 * does not count (RFC 8252 section 7.3), everything else does, the spelling of the host too.
 */
bool redirect_uri_matches(struct str registered, struct str given) must_use;
/* One of a list separated by spaces. */
bool redirect_uri_is_listed(struct str list, struct str given) must_use;

/* Where a redirect leads, for people: "client.example", "127.0.0.1", "cursor://host" for private
 * schemes. STR_NONE: memory. */
struct str redirect_uri_host(struct arena *a, struct str uri) must_use;
/* For CSP form-action: "https://client.example:8443" or "cursor:". STR_NONE: memory. */
struct str redirect_uri_origin(struct arena *a, struct str uri) must_use;
/* Does it lead to a place on the web that its owner alone answers? Loopback and private schemes do
 * not. */
bool redirect_uri_is_remote(struct str uri) must_use;
