/* The inside of a client session. Private to client_session*.c. Everything that changes is under
 * the table's lock unless it says another thing. */
#pragma once

#include <pthread.h>

#include "base/list.h"
#include "base/map.h"
#include "mcp/client_sessions.h"

enum { CLIENT_KEY_HEX = 32 };

struct client_sessions {
    pthread_mutex_t lock;
    struct map *by_key;
    const struct keyring *keys;
};

/* A message that waits for the GET stream. */
struct outbox_item {
    struct outbox_item *next;
    size_t n;
    char bytes[];
};

struct client_session {
    struct client_sessions *table;
    char key[CLIENT_KEY_HEX + 1];
    struct client_who who;
    struct client_hello hello;
    char *text; /* of who and hello, one allocation */
    int64_t opened_at;
    int refs; /* the table's own is one */
    bool is_ended;
    int64_t used_at;
    int level; /* index of the level's name, -1: not set */
    char **uris;
    size_t n_uris;
    void (*on_end)(void *arg);
    void *attached;
    uint64_t turns, attached_turn;

    /* What it has at single servers of an aggregate; and, of such a part, where its messages go. */
    struct list branches, branch_link;
    struct client_session *parent; /* whose part it is; NULL once it has ended */
    client_branch_sink_fn *branch_sink;
    client_sink_fn *sink; /* of a part of no session: never changes */
    void *sink_arg;

    struct list asks; /* of struct client_ask */
    size_t n_asks;
    uint64_t asked; /* serial of the last one */

    struct outbox_item *out_first, *out_last;
    size_t out_n, out_bytes;
    struct client_stream *stream;
};

/* A record that is in no table yet; one reference. NULL: out of memory. */
struct client_session *client_session_make(struct client_sessions *t, const struct client_who *who,
                                           const struct client_hello *hello, int64_t now) must_use;
/* Ends the parts of a session that has ended. Without the lock. */
void client_branches_end(struct client_session *s);
bool client_branch_push(struct client_session *s, struct str message);
/* With the lock held: what an ending session leaves to do. */
void client_asks_end_locked(struct client_session *s);
void client_stream_wake_locked(struct client_session *s);
void client_outbox_free(struct client_session *s);
