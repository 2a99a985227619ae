/*
 * Who wants to hear that a server's lists have changed: one stream to the server for all of a
 * worker who look with the same eyes (connection and credential), opened with the first, ended with
 * the last. Beyond LIMIT_LIST_WATCHES nothing is heard: lists are then as new as their time to
 * live. A session server is heard on the GET stream of a session of its own, a stateless one by
 * subscriptions/listen. A stream that breaks is opened again; what may have been missed is said
 * once.
 */
#pragma once

#include "mcp/list_cache.h"

struct list_watch;
struct list_listener {
    /* kind: LIST_TOOLS, LIST_PROMPTS, or LIST_RESOURCES, templates included. On the loop's thread;
     * must not wait. */
    void (*on_change)(struct list_listener *l, enum list_kind kind);
    struct list link;         /* private */
    struct list_watch *watch; /* private */
};
bool list_watch_join(struct services *sv, const struct caller *caller,
                     const struct registry_entry *entry, struct list_listener *l,
                     struct err *e) must_use;
void list_watch_leave(struct list_listener *l); /* twice is harmless */
/* At shutdown: cancels this worker's fibers. */
void list_watch_stop(struct services *sv);
