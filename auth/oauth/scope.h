/* Scopes (contract "Scopes"): mcp, mcp:read, mcp:manage, offline_access. Pure. */
#pragma once

#include "base/arena.h"
#include "base/err.h"

#define SCOPES_SUPPORTED "mcp mcp:read mcp:manage offline_access"
#define SCOPE_DEFAULT    "mcp"

/*
 * What an authorization request is given: unknown scopes beside known ones are dropped, only
 * unknown ones are ERR_INVALID_SCOPE, none is the default. At least one of mcp, mcp:read,
 * mcp:manage is always in it.
 */
bool scope_at_authorize(struct arena *a, struct str asked, struct str *out, struct err *e) must_use;
/* What of it makes sense at a resource ("conn_...", "hub", "management"). STR_NONE: memory. */
struct str scope_for_resource(struct arena *a, struct str scope, struct str resource) must_use;
/* Is each of `asked` one of `granted`? */
bool scope_is_within(struct str asked, struct str granted) must_use;
