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
    struct token_cache *tokens;       /* auth/token_check.h */
    struct row_cache *rows;           /* core/row_cache.h; NULL: nothing is kept */
    struct rates *rates;              /* core/rates.h, of the process */
    struct row_cache *registry;       /* mcp/registry_cache.h */
    struct session_table *sessions;   /* mcp/sessions.h, of the process */
    struct inflight_table *inflight;  /* mcp/inflight.h, of the process */
    struct client_sessions *clients;  /* mcp/client_sessions.h, of the process */
    struct replay_table *replays;     /* mcp/replay.h, of the process */
    struct sse_clients *sse_clients;  /* mcp/sse_client.h, of the process */
    struct list client_streams;       /* mcp/client_session_stream.c: their GET streams here */
    struct list client_listens;       /* mcp/s2m_listen.c: what feeds them, here */
    struct list uri_hearings;         /* mcp/m2s_hear.c: the same for session servers */
    struct channel_table *channels;   /* mcp/channel.h, of the process */
    struct upstream_health *health;   /* mcp/upstream_health.h, of the process */
    struct session_pool *pool;        /* mcp/upstream_pool.h, of the process */
    struct m2s_table *m2s;            /* mcp/m2s.h, of the process */
    const struct tool_source *tools;  /* mcp/tool_source.h: the management tools */
    struct list_cache *lists;         /* mcp/list_cache.h */
    struct list list_watches;         /* mcp/list_watch.h: streams of changes, here */
    struct list aggregate_streams;    /* mcp/aggregate_stream.c: who hears of them, here */
    struct list relays;               /* mcp/proxied_relay.c: streams without a fiber */
    struct fiber *relay_watch;        /* ends those whose credential no longer holds */
    struct fiber *upkeep;             /* auth/oauth/upkeep.h; first worker only */
    struct fiber *saml_refresher;     /* auth/saml/refresh.h; first worker only */
    struct fiber *prober;             /* finds out when servers are back; first worker only */
    struct fiber *reaper;             /* ends idle sessions; cancelled at shutdown */
    const struct mail_settings *mail; /* auth/mail/mail_settings.h, of the process */
    struct fiber *mail_sender;        /* auth/mail/mailer.h; first worker only */
    bool *is_draining;
};
