/* What a worker owns and every request of it uses. Made by the composition root (floor 6), handed
 * down as rq->context. */
#pragma once

#include "config.h"
#include "base/list.h"
#include "io/loop.h"

struct services {
    int worker;
    struct loop *loop;
    const struct config *config;
    const struct keyring *keys;
    struct offload *offload;
    struct db *db;
    struct vault *vault;
    struct http_guard *guard;
    struct http_client *http;
    struct audit_log *audit;
    struct token_cache *tokens;      /* auth/token_check.h */
    struct registry_cache *registry; /* mcp/registry_cache.h */
    struct session_table *sessions;  /* mcp/sessions.h, of the process */
    struct inflight_table *inflight; /* mcp/inflight.h, of the process */
    struct session_pool *pool;       /* mcp/upstream_pool.h */
    const struct tool_source *tools; /* mcp/tool_source.h: the management tools */
    struct list relays;              /* mcp/proxied_relay.c: streams without a fiber */
    struct fiber *relay_watch;       /* ends those whose credential no longer holds */
    struct fiber *reaper;            /* ends idle sessions; cancelled at shutdown */
    bool *is_draining;
};
