/*
 * How the tools, prompts and resources of several servers are called at one address. Pure: a name
 * follows from the server's slug, the thing's own name and what else is there, never from an order.
 *
 *   always  server__tool
 *   clash   tool; server__tool where two servers offer the same
 *
 * Names have at most NAMES_MAX bytes of [A-Za-z0-9_-], which every client and model takes (they
 * often put a prefix of their own before it and stop at 64). Other bytes become '_'. What is too
 * long is cut and ends in six hex digits of its SHA-256; what would be the same as another ends in
 * twelve.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"

enum { NAMES_MAX = 40 };
enum names_mode { NAMES_ALWAYS, NAMES_CLASH };

struct named {
    struct str server; /* the connection's slug */
    struct str name;   /* as the connection shows it */
    struct str fixed;  /* an administrator's word; absent: none */
    struct str given;  /* result; absent: another one has this very name and it cannot be shown */
};
/* Fills given of each. ERR_UNAVAILABLE: out of memory. */
bool names_give(struct arena *a, struct named *list, size_t n, enum names_mode mode,
                struct err *e) must_use;

/* The part before "__" for a server: its slug, shortened when it is long. */
struct str names_prefix(struct arena *a, struct str slug) must_use;
/* Cuts "prefix__rest"; false when there is no such prefix. */
bool names_split(struct str given, struct str *prefix, struct str *rest) must_use;

/*
 * URIs (and URI templates) carry the server's slug as the first segment after the scheme, so that a
 * link in a result and a template that the client fills in find their way back:
 *   file:///a     file://slug//a
 *   ui://app/x    ui://slug/app/x
 *   urn:x         urn:slug/x
 * STR_NONE: it has no scheme, or no memory.
 */
struct str names_uri(struct arena *a, struct str slug, struct str uri) must_use;
/* The way back. False: no such form. */
bool names_uri_split(struct arena *a, struct str given, struct str *slug, struct str *uri) must_use;
