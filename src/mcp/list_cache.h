/*
 * What servers list, remembered by a worker: tools, prompts, resources, templates, each fetched
 * whole (all pages) by a fiber of its own, so that a slow server keeps nobody waiting longer than
 * they want and its answer is there for the next one who asks. Kept as long as the server says
 * (ttlMs), never shared between principals where it says cacheScope private. Source: MCP
 * 2026-07-28, Caching; spec/aggregates.md.
 */
#pragma once

#include "mcp/registry_cache.h"

struct list_cache;
struct list_cache *list_cache_new(void) must_use;
void list_cache_free(struct list_cache *c);
/* Cancels what is being fetched: before the worker ends. */
void list_cache_stop(struct list_cache *c);

/* LIST_OFFERS: no list of the server's, but its capabilities, kept in the same way: one object. */
enum list_kind {
    LIST_TOOLS,
    LIST_PROMPTS,
    LIST_RESOURCES,
    LIST_TEMPLATES,
    N_LIST_KINDS,
    LIST_OFFERS = N_LIST_KINDS,
};
/* The member of a list's result ("tools") and of one entry that names it ("name", "uri"). */
const char *list_kind_array(enum list_kind kind);
const char *list_kind_name(enum list_kind kind);
const char *list_kind_method(enum list_kind kind);

enum listing_state {
    LISTING_FRESH,        /* as the server says */
    LISTING_UNAUTHORIZED, /* the server wants a credential that this person has not given: what it
                             was known to offer */
    LISTING_ABSENT,       /* it did not answer (in time) */
};
struct listing {
    struct registry_entry *entry; /* given: the server */
    enum list_kind kind;          /* given */
    enum listing_state state;
    const struct str *items; /* raw JSON objects, valid as long as the request's arena */
    size_t n;
    struct str reason; /* of LISTING_ABSENT and LISTING_UNAUTHORIZED, for administrators' eyes */
};

/*
 * Fills every listing, fetching what is missing or stale at the same time; what has not come by
 * the deadline (monotonic ms) is LISTING_ABSENT and goes on coming. is_stale_good: what was known
 * before is good enough. False only for ERR_CANCELLED and ERR_UNAVAILABLE (memory).
 */
bool list_cache_get(struct services *sv, struct arena *a, const struct caller *caller,
                    struct listing *list, size_t n, bool is_stale_good, int64_t deadline_ms,
                    struct err *e) must_use;
/* The server says that a list has changed: it is fetched anew by whoever asks next, on any worker.
 */
void list_cache_forget(struct str connection_id, enum list_kind kind);
