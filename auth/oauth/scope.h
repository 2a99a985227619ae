/*
 * Scopes (contract "Scopes"): mcp, mcp:read, mcp:manage, offline_access, openid, profile, email;
 * and conn:CONNECTION_ID (only this one, of several all that are named), conn:CONNECTION_ID:read
 * (of it only what reads). Pure.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"

#define SCOPES_SUPPORTED "mcp mcp:read mcp:manage offline_access openid profile email"
#define SCOPES_OPENID    "openid profile email"
#define SCOPE_DEFAULT    "mcp"

/*
 * What an authorization request is given: unknown scopes beside known ones are dropped, only
 * unknown ones are ERR_INVALID_SCOPE, none is the default. At least one of mcp, mcp:read,
 * mcp:manage is always in it.
 */
bool scope_at_authorize(struct arena *a, struct str asked, struct str *out, struct err *e) must_use;
/* What of it makes sense at a resource ("conn_...", "hub", "management"). STR_NONE: memory. */
struct str scope_for_resource(struct arena *a, struct str scope, struct str resource) must_use;
/* conn:... ? */
bool scope_is_connection(struct str word);
/*
 * `asked` with the connections of `granted` where it names none itself: leaving them out must not
 * widen. STR_NONE: memory.
 */
struct str scope_keep_narrow(struct arena *a, struct str asked, struct str granted) must_use;
/* `scope` with other words in the place of its connections, and mcp:read for mcp where it is to
 * read only. STR_NONE: memory. */
struct str scope_narrow(struct arena *a, struct str scope, struct str connections,
                        bool is_read_only) must_use;
/* Is each of `asked` one of `granted`? */
bool scope_is_within(struct str asked, struct str granted) must_use;
