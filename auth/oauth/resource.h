/*
 * Resource indicators (RFC 8707): the URL forms of what a token may be for, and what each one
 * names. Every form of one connection is one resource, kept by its id. Pure.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "config.h"

enum resource_kind {
    RESOURCE_OPEN,       /* none, or the bare origin: the person chooses */
    RESOURCE_MANAGEMENT, /* /mcp */
    RESOURCE_HUB,        /* /mcp/hub, /mcp/hub/:org */
    RESOURCE_CONNECTION, /* /mcp/:connection, /mcp/:org/:connection; /mcp/vs_... */
};
struct resource_ref {
    enum resource_kind kind;
    struct str org;        /* slug or id; absent: not said */
    struct str connection; /* id or slug; RESOURCE_CONNECTION */
};
/*
 * Compared without regard to the case of scheme and host, the default port, one trailing slash;
 * while BASE_URL is loopback, every loopback name and port is this server. ERR_INVALID_TARGET: no
 * absolute URI, a fragment, another server, or a path where no MCP server can be.
 */
bool resource_parse(const struct config *c, struct str uri, struct resource_ref *out,
                    struct err *e) must_use;
/* The path below the origin in the form that metadata shows: "/mcp", "/mcp/...". False: nothing of
 * ours is there. */
bool resource_path_is_good(struct str path) must_use;
