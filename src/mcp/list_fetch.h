/* One list of one server, all of its pages, as Tulle itself asks for it. */
#pragma once

#include "mcp/list_cache.h"

struct fetched_list {
    struct str *items; /* raw JSON objects */
    size_t n;
    int64_t ttl_ms; /* the shortest of its pages; -1: the server says nothing */
    bool is_private;
};
/*
 * New and changed tools are recorded with their hashes before anybody uses them. A server that does
 * not know the method offers nothing. Errors as upstream_ask; ERR_UPSTREAM: more than LIMIT_TOOLS
 * entries, too many pages, no list. Waits.
 */
bool list_fetch(struct services *sv, struct arena *a, struct registry_entry *entry,
                const struct caller *caller, enum list_kind kind, struct fetched_list *out,
                struct err *e) must_use;
