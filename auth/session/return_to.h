/*
 * Where a person goes on after signing in: a path of this server only, never another origin (open
 * redirects). /oauth/authorize sends people to /login?return_to=<its own path and query>,
 * percent-encoded; sign-in redirects there afterwards.
 */
#pragma once

#include "base/arena.h"
#include "base/str.h"

/* `path` when it is a path and query of this server ("/..." but not "//" or "/\\", no controls, at
 * most LIMIT_RETURN_TO bytes), else "/". */
struct str return_to_safe(struct str path);
/* "/login?return_to=..." for a path with query. STR_NONE: out of memory. */
struct str return_to_login(struct arena *a, struct str path_and_query) must_use;
