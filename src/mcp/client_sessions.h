/*
 * Sessions of clients that Tulle itself keeps: of session-era clients whose server has no session
 * to carry (stateless servers, aggregates). The client's handle is AES-256-GCM sealed to principal
 * and audience and names a record here: what the client declared, its log level, its subscriptions,
 * its GET stream, the requests it has been asked. One table for the process; its lock is held for
 * memory operations only. Nothing survives a restart: a handle is then 404, and the client begins
 * anew (MCP 2025-11-25, Session Management).
 */
#pragma once

#include "crypto/keyring.h"
#include "io/http.h"
#include "mcp/jsonrpc.h"

struct services;
struct caller;
struct client_sessions;
struct client_session;

struct client_sessions *client_sessions_new(const struct keyring *keys) must_use;
void client_sessions_free(struct client_sessions *t);

/* Whose session, and at which address: `audience` is opaque here (a connection, a hub, a virtual
 * server). */
struct client_who {
    struct str org_id, user_id, principal, audience;
};

/* What initialize settled; raw JSON but for the version. Absent texts stay absent. */
struct client_hello {
    struct str version;      /* negotiated */
    struct str capabilities; /* the client's, an object */
    struct str client_info;  /* the client's, an object */
    struct str offered;      /* the capabilities that the client was told of */
    bool is_narrowed;        /* its caller may not use all there is */
    bool is_waiting;         /* opened before anybody had authorized Tulle at the server */
};

/*
 * Opens a session and gives the client's handle. Beyond LIMIT_SESSIONS_PRINCIPAL or
 * LIMIT_SESSIONS_USER of this person at this audience their longest unused session ends; when the
 * audience or the process is full, that of whoever holds most. *out is held until the arena ends.
 * ERR_INVALID: capabilities longer than LIMIT_SESSION_HELLO. ERR_UNAVAILABLE: out of memory.
 * Times are wall clock milliseconds.
 */
bool client_session_open(struct client_sessions *t, struct arena *a, const struct client_who *who,
                         const struct client_hello *hello, int64_t now, struct str *handle,
                         struct client_session **out, struct err *e) must_use;
/* The session of a handle, held until the arena ends; counts as use. ERR_SESSION_NOT_FOUND: forged,
 * expired, ended, another principal's or another audience's. */
bool client_session_find(struct client_sessions *t, struct arena *a, struct str handle,
                         const struct client_who *who, int64_t now, struct client_session **out,
                         struct err *e) must_use;
/* DELETE: its handle is unknown from now on, its stream ends, whoever waits for the client's
 * answers gives up. */
void client_session_end(struct client_session *s);
bool client_session_is_ended(const struct client_session *s);
/* Ends what is unused since now - LIMIT_SESSION_IDLE_MS (an open GET stream is use) or older than
 * LIMIT_SESSION_LIFE_MS. Returns how many. */
size_t client_sessions_reap(struct client_sessions *t, int64_t now);

/* One more holder, for what outlives a request (a listen stream). */
void client_session_hold(struct client_session *s);
void client_session_release(struct client_session *s);

/* These never change; they live as long as the session is held. */
struct str client_session_key(const struct client_session *s); /* names it in mcp/inflight.h */
const struct client_who *client_session_who(const struct client_session *s);
const struct client_hello *client_session_hello(const struct client_session *s);

/* logging/setLevel: false when it is no level of MCP's. The level is absent until it is set. */
bool client_session_set_level(struct client_session *s, struct str level) must_use;
struct str client_session_level(const struct client_session *s);

/* resources/subscribe. True also when it is subscribed already. ERR_UNPROCESSABLE beyond
 * LIMIT_SESSION_URIS; ERR_UNAVAILABLE. */
bool client_session_subscribe(struct client_session *s, struct str uri, struct err *e) must_use;
/* False when it was not subscribed. */
bool client_session_unsubscribe(struct client_session *s, struct str uri);
/* Copies of the URIs. */
bool client_session_uris(const struct client_session *s, struct arena *a, struct str **uris,
                         size_t *n, struct err *e) must_use;
/* True when this URI is subscribed; for a caller that nothing narrows also when it lies below one
 * that is. */
bool client_session_wants(const struct client_session *s, struct str uri);

/* What belongs to a session and ends with it; one. on_end(arg) is called once, on any thread,
 * without locks held; at once when the session has ended already. It replaces the one before,
 * which is ended. Null detaches arg: false when it was not the one, and its on_end has been called
 * or is about to be. */
bool client_session_attach(struct client_session *s, void (*on_end)(void *arg), void *arg);
/* For what hears of the session's URIs, and takes a while to begin: a turn is taken before the URIs
 * are read, and what read them last stays. False: that is another one, and nothing is attached. */
uint64_t client_session_turn(struct client_session *s);
bool client_session_attach_in_turn(struct client_session *s, void (*on_end)(void *arg), void *arg,
                                   uint64_t turn);
void *client_session_attached(const struct client_session *s);

/* ---- parts of a session at the servers of an aggregate (client_session_branch.c) ---- */

/*
 * A session of its own for what is subscribed to at one server: it has URIs and something attached,
 * but no handle and no stream; what is pushed to it goes to a sink. The one of a session ends with
 * it. The sink of a session's part is called on any thread, that of a part of no session on the
 * thread of whoever feeds it; both without locks.
 */
typedef void client_branch_sink_fn(struct client_session *of, const struct client_session *branch,
                                   struct str message);
typedef void client_sink_fn(void *arg, const struct client_session *branch, struct str message);
/* The part of this name, made if there is none. Held. NULL: the session has ended, or no memory. */
struct client_session *client_session_branch(struct client_session *s, struct str audience,
                                             client_branch_sink_fn *sink) must_use;
/* NULL: there is none. Held. */
struct client_session *client_session_branch_find(struct client_session *s,
                                                  struct str audience) must_use;
/* All of them, held. */
size_t client_session_branches(struct client_session *s, struct client_session **out, size_t max);
/* A part of no session; client_session_end gives it back. NULL: out of memory. */
struct client_session *client_session_alone(struct client_sessions *t, const struct client_who *who,
                                            const struct client_hello *hello, client_sink_fn *sink,
                                            void *arg) must_use;
bool client_session_is_branch(const struct client_session *s);

/* ---- towards the client (client_session_stream.c) ---- */

/*
 * A message for the GET stream, from any thread. Without a stream LIMIT_OUTBOX of them are kept,
 * the oldest give way. False: the session has ended or the message cannot be kept.
 */
bool client_session_push(struct client_session *s, struct str message);
bool client_session_has_stream(const struct client_session *s);
/*
 * Answers GET: begins the event stream and lets it outlive its fiber. A stream that the session had
 * is ended: clients reconnect before they notice. still_holds (may wait) is asked whenever
 * authorization data changed, with the caller of now; false ends the stream.
 */
typedef bool client_stream_check_fn(struct services *sv, struct arena *a, const struct caller *now,
                                    struct str audience);
bool client_session_stream(struct client_session *s, struct http_request *rq,
                           client_stream_check_fn *still_holds, struct err *e) must_use;
/* Checks this worker's streams once; called by the watch of proxied_relay.c. May wait. */
void client_streams_check(struct services *sv, uint64_t epoch);

/* ---- questions (client_session_ask.c) ---- */

struct client_question {
    struct str method; /* sampling/createMessage elicitation/create roots/list */
    struct str params; /* raw object, or absent */
    /* the answer, raw, in the arena; both absent: none */
    struct str result, error;
};
/* How a message reaches the client: on the stream of the call in progress. May wait. */
typedef bool client_send_fn(void *arg, struct str message, struct err *e);

/*
 * Sends n requests with fresh ids and waits until every one is answered. send absent: on the GET
 * stream. What is unanswered at the end is withdrawn with notifications/cancelled.
 * ERR_TIMEOUT at the deadline; ERR_CANCELLED; ERR_SESSION_NOT_FOUND: the session ended meanwhile;
 * ERR_RATE_LIMITED beyond LIMIT_SESSION_ASKS; what send says.
 */
bool client_session_ask(struct client_session *s, struct arena *a, struct client_question *q,
                        size_t n, int64_t deadline_mono_ms, client_send_fn *send, void *arg,
                        struct err *e) must_use;
/* A response that the client posted, from any thread. False: it answers nothing that was asked (or
 * a second time): accept and drop it. */
bool client_session_answer(struct client_session *s, const struct rpc_message *m);
