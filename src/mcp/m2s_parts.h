/*
 * Private to m2s*.c: calls that are kept for stateless clients, and what is alive at the sessions
 * they run in. Everything here is under the table's one lock, but for what says otherwise; nobody
 * waits while holding it.
 */
#pragma once

#include <pthread.h>

#include "base/list.h"
#include "base/map.h"
#include "json/jfilter.h"
#include "mcp/m2s.h"
#include "mcp/proxied.h"
#include "mcp/wakeup.h"

enum {
    M2S_HELD = 256 * 1024, /* bytes waiting for a client before the server is made to wait */
    M2S_COALESCE_MS = 15,  /* questions that come this close together are one round */
    M2S_HANDLE_BYTES = 16,
    M2S_STREAM_MS = 250,    /* for a stream's head, before a call goes ahead without */
    M2S_FAREWELL_MS = 1000, /* for telling a server that something is over */
    M2S_QUESTIONS = 32,     /* of one round */
};

struct m2s_table {
    pthread_mutex_t lock;
    struct map *calls;  /* handle -> struct m2s_call: those that wait for their client */
    struct map *lives;  /* pool key -> struct m2s_live */
    struct list fibers; /* of struct m2s_fiber */
};

/* A fiber without a request: shutdown cancels it. On its own stack. */
struct m2s_fiber {
    struct list link;
    struct services *sv;
    struct fiber *fiber;
};
void m2s_fiber_enter(struct m2s_fiber *f, struct services *sv);
void m2s_fiber_leave(struct m2s_fiber *f);

/* Whose business it is: enough to find connection, credential and session again, on any worker. */
struct m2s_party {
    struct str org_id, connection_id, user_id, principal, capabilities;
};
void m2s_party_of(const struct proxied *p, struct arena *a, struct m2s_party *out);

/* A way to a server: one worker's, one fiber's. */
struct m2s_link {
    struct services *sv;
    struct arena *a;
    const struct m2s_party *party;
    struct registry_entry *entry;
    struct credential cred;
    struct upstream_session session;
    struct str key;      /* of the session in the pool */
    int64_t patience_ms; /* for what it posts; 0: LIMIT_PROBE_MS */
};
/* Connection, credential, session. Waits. m2s_link_end either way. */
bool m2s_link_open(struct m2s_link *k, struct services *sv, struct arena *a,
                   const struct m2s_party *party, struct err *e) must_use;
bool m2s_link_session(struct m2s_link *k, struct err *e) must_use;
void m2s_link_lost(struct m2s_link *k); /* the session: the next m2s_link_session opens another */
void m2s_link_end(struct m2s_link *k);
void m2s_link_message(const struct m2s_link *k, struct upstream_message *m);
/* A message without an answer (a notification, a response). Short deadlines. */
bool m2s_link_post(struct m2s_link *k, struct str body, struct err *e) must_use;
/* A request of Tulle's own; true when the server answered with a result. */
bool m2s_link_ask(struct m2s_link *k, const char *method, struct str params,
                  struct err *e) must_use;

/* ---- calls ---- */

enum m2s_item_kind {
    M2S_MESSAGE,  /* a notification of the server's, as it came */
    M2S_RESPONSE, /* the whole response */
    M2S_CHUNK,    /* a piece of a response that is too large to hold */
    M2S_END,      /* after the last piece */
    M2S_FAILURE,
};
struct m2s_item {
    struct list link;
    enum m2s_item_kind kind;
    struct err failure;
    size_t n;
    char bytes[];
};

/* A request of the server's that waits for the client. */
struct m2s_question {
    struct list link;
    int number;                    /* its key is "r<number>" */
    struct str id, method, params; /* raw; params absent: none. Within the same allocation. */
};

enum m2s_state { M2S_RUNNING, M2S_PARKED, M2S_OVER };

struct m2s_call {
    int refs;
    struct m2s_table *table;
    struct arena *a; /* what follows up to `home`; written before the keeper starts */
    struct m2s_party party;
    struct str method, body, hop_id;
    struct trace trace;
    struct str tracestate;
    int caps, level;
    bool is_ticket; /* waits for its client, but nothing runs: the retry begins anew */
    struct services *home;
    struct fiber *keeper; /* on the home thread only */
    enum m2s_state state;
    struct m2s_live *live;
    struct list live_link;
    struct str session_id; /* in `a` */
    struct list items;
    size_t bytes;
    struct wakeup *reader;    /* the client's fiber, or NULL */
    struct wakeup *keeper_up; /* room for more */
    struct list questions;
    int n_questions;
    int64_t asked_at, parked_until;
    char handle[2 * M2S_HANDLE_BYTES + 1];
    int round;
    struct list answers; /* of struct m2s_item: to be posted to the server */
    bool is_posting, is_cancel_posted, is_answer_posted;
    struct loop_task cancel_task, answer_task;
};

struct m2s_call *m2s_call_new(struct proxied *p) must_use;
void m2s_call_ref(struct m2s_call *c);
void m2s_call_unref(struct m2s_call *c);
/* Takes the lock themselves. */
void m2s_push(struct m2s_call *c, enum m2s_item_kind kind, struct str bytes, const struct err *why);
struct m2s_item *m2s_take(struct m2s_call *c);
void m2s_items_free(struct list *items);
/* Nobody waits for it any more: it ends, and the server is told. */
void m2s_call_abandon(struct m2s_call *c);
/* The same, with the lock held. */
void m2s_call_abandon_locked(struct m2s_call *c);
/* Starts its keeper on this worker. */
bool m2s_keeper_start(struct m2s_call *c, struct services *sv, struct err *e) must_use;
/* A request of the server's: kept for the client, or refused at once over `k`. */
void m2s_question_take(struct m2s_call *c, struct m2s_link *k, const struct rpc_message *m);
/* An answer of Tulle's own: {} to ping, else an error (ERR_INTERNAL: -32603, the rest -32601). */
void m2s_refuse(struct m2s_link *k, const struct rpc_message *m, const struct err *why);
/* Posts c->answers from the home worker, soon. With the lock held. */
void m2s_answers_post_locked(struct m2s_call *c);

/* ---- sessions ---- */

enum m2s_stream { M2S_STREAM_NONE, M2S_STREAM_OPENING, M2S_STREAM_OPEN, M2S_STREAM_REFUSED };

struct m2s_live {
    int refs;
    struct m2s_table *table;
    struct arena *a;
    struct str key;
    struct m2s_party party;
    char session_id[256]; /* of the session that the subscriptions and the level are at */
    struct list calls, listens;
    struct map *uris; /* what is subscribed -> how often, as a pointer-sized number */
    int level;        /* set at the server; -1: none */
    enum m2s_stream stream;
    bool is_renewed;     /* the session is another one; it knows of no subscription yet */
    bool is_late;        /* the stream that is being opened */
    int generation;      /* of the stream: one for an earlier session ends */
    struct list waiters; /* for the stream's first answer */
};

/* The live record of a link's session, made if there is none; a reference. NULL: out of memory. */
struct m2s_live *m2s_live_get(struct m2s_link *k) must_use;
void m2s_live_unref(struct m2s_live *l);
/* Makes sure that the session's own stream is open, known to be refused, or late: there are servers
 * that say nothing before the first event. Waits for patience_ms at most, and once. */
bool m2s_live_stream(struct m2s_live *l, struct services *sv, int64_t patience_ms,
                     struct err *e) must_use;
/* The log level that the calls in flight need. Waits. */
void m2s_live_level(struct m2s_live *l, struct m2s_link *k);
/* A message that came on no call's stream, or that is for more than the call whose stream it came
 * on: to whom it belongs. */
void m2s_live_dispatch(struct m2s_live *l, struct m2s_link *k, const struct rpc_message *m);

/* ---- listeners ---- */

struct m2s_listen {
    struct list link; /* in the live record's listens */
    struct m2s_live *live;
    bool tools, prompts, resources;
    struct str *uris;
    size_t n_uris;
    struct str id;         /* raw: the subscription's; absent: it has no stream of its own */
    struct buf out;        /* what waits for the loop's thread: events, or the raw URIs of updated
                              resources, a line each */
    struct wakeup *wakeup; /* home thread: takes `out` */
};
bool m2s_listen(struct proxied *p, struct err *e) must_use;
/* Ends its part in the live record, in the background where the server has to be told. On its own
 * thread; the caller frees what holds it. */
void m2s_listen_leave(struct m2s_listen *l, struct services *sv);
/* Subscribes to raw, a JSON string; it joins l->uris, which has the room. False: refused. */
bool m2s_listen_add(struct m2s_listen *l, struct m2s_link *k, struct arena *a, struct str raw,
                    struct err *e) must_use;
/* Appends an event for it if it wants it. With the lock held. */
void m2s_listen_offer(struct m2s_listen *l, const struct rpc_message *m);
/* After a gap: everything may have changed. With the lock held. */
void m2s_listen_offer_all(struct m2s_listen *l);
/* One URI more or less; the server is asked when it is the first or the last. False: refused. */
bool m2s_subscribe(struct m2s_live *l, struct m2s_link *k, struct str uri, struct err *e) must_use;
void m2s_unsubscribe(struct m2s_live *l, struct m2s_link *k, struct str uri);

/* ---- an aggregate's subscriptions (m2s_hear.c) ---- */

void m2s_hearings_end(struct services *sv);

/* ---- the client's side ---- */

/* What a result of this request receives on its way. */
void m2s_stamp_of(const struct proxied *p, struct jfilter_stamp *out);

bool m2s_run(struct proxied *p, struct err *e) must_use;
bool m2s_resume(struct proxied *p, struct str state, struct str responses, struct err *e) must_use;
