/* What opens the stream of subscriptions/listen (MCP 2026-07-28, Subscriptions). */
#pragma once

#include "base/arena.h"

/* The key of `_meta` by which an event names its subscription: the id of the listen request. */
#define META_SUBSCRIPTION_ID "io.modelcontextprotocol/subscriptionId"

struct listen_honoured {
    bool tools, prompts, resources; /* their lists' changes */
    const struct str *uris;         /* raw; of resources whose updates are told */
    size_t n_uris;
    const struct str *tasks; /* raw; whose changes are told */
    size_t n_tasks;
};
/* notifications/subscriptions/acknowledged as an event. id: raw, of the request. STR_NONE: out of
 * memory, or larger than LIMIT_BODY_MCP. */
struct str listen_acknowledge(struct arena *a, struct str id,
                              const struct listen_honoured *h) must_use;
