/* What the channel_*.c files share. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "base/list.h"
#include "base/secret.h"
#include "mcp/channel.h"
#include "mcp/jsonrpc.h"
#include "mcp/wakeup.h"

struct channel;
struct channel_exchange;

/* What carries the messages. All but send on the channel's own worker. */
struct channel_carrier {
    const char *name;
    /* Begins. stdio: at once; HTTP+SSE waits for the address to post to. Also fails with
     * ERR_METHOD_NOT_ALLOWED where there is no such server. */
    bool (*start)(struct services *sv, struct arena *a, struct channel *c,
                  const struct upstream_message *m, struct err *e);
    /* Any worker, not under the lock: one message. x: the request's exchange, which may be told
     * of a failure later, or NULL: the message has been taken when this returns. */
    bool (*send)(struct services *sv, struct arena *a, struct channel *c,
                 const struct upstream_message *m, struct str body, struct channel_exchange *x,
                 struct err *e);
    void (*turn)(struct channel *c); /* after a wake-up: there is something to write or to resume */
    void (*stop)(struct channel *c); /* channel_ended follows */
    void (*abandon)(struct channel *c);
};

enum channel_state { CHANNEL_STARTING, CHANNEL_OPEN, CHANNEL_ENDED };
enum { CHANNEL_RECENT = 16, CHANNEL_ID_SIZE = 48, CHANNEL_RPC_ID = 320 };

/* A request that nobody waits for any more: a cancellation may still name it. */
struct channel_recent {
    char id[CHANNEL_RPC_ID];
    uint64_t wire_id;
};

struct channel {
    struct list link; /* in the table; under the table's lock */
    struct channel_table *table;
    atomic_int refs;
    struct arena *keep;
    struct str id;  /* the Mcp-Session-Id */
    struct str key; /* of a stateless process; absent: a session's */
    bool is_shared; /* that process serves several principals */
    struct str org_id, connection_id, principal;
    int64_t connection_updated_at;
    struct services *sv; /* of its own worker; only there */
    struct wakeup *turn; /* for its own worker */
    const struct channel_carrier *carrier;
    void *carried;
    int64_t started_at;
    atomic_llong used_at;
    atomic_int n_open; /* exchanges */
    atomic_int n_own;  /* messages of the channel itself that are on their way (HTTP+SSE) */

    pthread_mutex_t lock; /* what follows */
    enum channel_state state;
    struct err why; /* it has ended */
    bool is_owner_gone, wants_stop, is_stopping;
    bool has_answered; /* a response has come */
    bool is_probe;     /* begun to find out the server's era */
    bool is_paused;    /* not reading: somebody has too much to read already */
    uint64_t next_id;
    struct list waiting;               /* requests, oldest first */
    struct channel_exchange *listener; /* of GET */
    struct buf kept;                   /* for it, while there is none */
    int n_kept;
    struct buf out; /* to be written by the carrier */
    size_t backlog; /* bytes that the carrier holds unsent */
    struct channel_recent recent[CHANNEL_RECENT];
    size_t n_recent;
};

struct channel_exchange {
    struct exchange base;
    struct list link;  /* in c->waiting */
    struct channel *c; /* NULL: all that there will be is here */
    struct wakeup *wake;
    struct fiber_wait *reader; /* parked */
    uint64_t wire_id;
    struct str id, token;                   /* the caller's, raw; heap */
    bool is_stateless, is_listen, is_first; /* is_first: the channel was opened for it */
    bool is_get, has_sent;
    int64_t first_byte_ms, idle_ms, deadline; /* negative, or INT64_MAX: none */
    int64_t since;                            /* the last byte, or the beginning */
    bool has_read;
    struct buf reading; /* the reader's */
    struct http_header headers[2];
    char session_id[CHANNEL_ID_SIZE];
    struct http_answer_head head;
    bool (*on_data)(void *arg, struct str bytes);
    void (*on_end)(void *arg, const struct err *e);
    void *arg;
    bool is_delivering, is_closed;

    /* under c->lock */
    struct buf in; /* events that have not been read */
    bool is_ended;
    bool is_other_era; /* it was refused as a server of the stateless era refuses */
    struct err why;
};

/* ---- channel.c, channel_trouble.c ---- */
struct channel_table {
    pthread_mutex_t lock;
    struct list all;
    struct map *trouble; /* "connection|principal" -> struct channel_trouble */
    atomic_int n;
};
void channel_unref(struct channel *c);
/* By its session id, or (id absent) by its key. With a reference for the caller; NULL: none. */
struct channel *channel_find(struct channel_table *t, struct str id, struct str key,
                             struct str connection_id) must_use;
/* A new channel, with a reference for the caller. Errors as channel_send. */
struct channel *channel_open(struct services *sv, struct arena *a, const struct upstream_message *m,
                             struct str key, struct err *e) must_use;
/* Any thread, under the lock: its worker is to look. */
void channel_wake(struct channel *c);
/* Any thread: it is to end. */
void channel_stop(struct channel *c);
/* Its own worker: it has ended, of itself or as asked. why: told to those who wait. Takes the
 * carrier's reference. */
void channel_ended(struct channel *c, const struct err *why);
/* Has this principal waited long enough since its program ended last? ERR_UPSTREAM says how long
 * still. */
bool channel_trouble_check(struct channel_table *t, const struct upstream_message *m,
                           struct err *e) must_use;
/* It ended of itself; why NULL: it goes well, forget what was. */
void channel_trouble_note(struct channel_table *t, const struct channel *c, bool has_answered,
                          const struct err *why);

/* ---- channel_serve.c ---- */
/* Does one process serve all callers of this server? */
bool channel_is_shared(const struct connection *conn);

/* ---- channel_route.c ---- */
/* Its own worker: one message has come. False: the channel is not to be read on for now. */
void channel_incoming(struct channel *c, struct str text);
/* Under the lock: who waits for this wire id. */
struct channel_exchange *channel_waiting(struct channel *c, struct str wire_id);

/* ---- channel_exchange.c ---- */
struct channel_exchange *channel_exchange_new(struct channel *c, struct err *e) must_use;
/* An answer without content. */
struct exchange *channel_exchange_plain(int status, struct http_answer_head *head,
                                        struct err *e) must_use;
/* Under the lock. */
void channel_exchange_push(struct channel_exchange *x, struct str message);
void channel_exchange_fail(struct channel_exchange *x,
                           const struct err *why); /* NULL: a clean end */
/* Waits until there is something to read or it has ended. */
bool channel_exchange_wait(struct channel_exchange *x, int64_t deadline_mono_ms,
                           struct err *e) must_use;

extern const struct channel_carrier channel_stdio, channel_sse;
