/*
 * One message on its way through the proxy. Private to the proxied_*.c files; the routes see
 * mcp/proxied_call.h. Order of work: inbound -> connection -> session -> policy -> place in the
 * audit queue -> credential -> server -> answer.
 */
#pragma once

#include "core/policy.h"
#include "mcp/call_limits.h"
#include "mcp/credential.h"
#include "mcp/inbound.h"
#include "mcp/sessions.h"
#include "mcp/upstream_pool.h"
#include "mcp/upstream_reply.h"
#include "mcp/upstream_send.h"
#include "store/audit.h"

/* What a method is about, for the policy and for rewriting its answer. */
enum method_kind {
    METHOD_OTHER,
    METHOD_INITIALIZE,
    METHOD_TOOL_CALL,
    METHOD_RESOURCE, /* read, subscribe, unsubscribe */
    METHOD_PROMPT,
    METHOD_COMPLETE,
    METHOD_LIST_TOOLS,
    METHOD_LIST_RESOURCES,
    METHOD_LIST_TEMPLATES,
    METHOD_LIST_PROMPTS,
    METHOD_LISTEN,
    METHOD_PLAIN, /* ping, logging/setLevel, server/discover: nothing to decide beyond the
                     connection */
};

/* The aggregate (mcp/aggregate.h) through which a message came: how its answer names things. */
struct proxied_view {
    struct str server;           /* the connection's slug, which URIs carry there */
    struct str virtual_id;       /* vs_..., or absent */
    struct str task, task_given; /* what the message is about: its id there, and raw as given */
};

struct proxied {
    struct http_request *rq;
    struct services *sv;
    struct arena *a;
    const struct caller *caller;
    const struct proxied_view *view; /* NULL: the connection's own address */
    struct inbound in;
    struct registry_entry *entry;
    struct credential cred;
    enum method_kind kind;
    const struct connection_tool *tool; /* of a tools/call; NULL: nothing is known of it */
    enum era era;                       /* the server's */
    struct session session;             /* the client's; session.key absent: none */
    struct str hello;                   /* params of its initialize towards the server */
    struct upstream_session pooled;     /* used when the client has none */
    bool is_pooled;
    struct client_session *client; /* a session that Tulle keeps (mcp/client_sessions.h), or NULL */
    bool is_s2m;                   /* ... and its server is stateless (mcp/s2m.h) ... */
    struct str definition;         /* ... whose called tool is defined so; absent: not known */
    bool is_m2s;                   /* a stateless client at a session server (mcp/m2s.h) ... */
    struct str capabilities;       /* ... and what the pooled session declares for it */
    int answer_status;             /* of a JSON answer when its error does not say; 0 otherwise */
    struct str hop_id,
        hop_token;       /* raw JSON: what the server sees for the client's id and progress token */
    bool is_streaming;   /* the answer to the client is an event stream ... */
    bool is_stream_open; /* ... that has begun */
    struct buf early;    /* its events before that */
    struct replay *replay;     /* its events after that, for a client that comes back; or NULL */
    bool is_reserved;          /* a place in the audit queue is ours */
    struct inflight *waiting;  /* in the table of requests that can be cancelled */
    bool is_cancelled;         /* by the client's notifications/cancelled: it wants no answer */
    bool is_connect_retry;     /* a person was sent to authorize, and the client asks again */
    bool is_in_call;           /* past the envelope: failures are answered in-band */
    struct call_limits limits; /* what this call counts for */
    struct str task;           /* the server's id that was sealed last for this message ... */
    struct str task_shown;     /* ... and how the client knows it, raw */
    struct audit_row row;
};

/* ---- proxied_policy.c ---- */
enum method_kind method_kind_of(struct str method);
/* Decides; sets p->kind and p->tool. Denied is ERR_NOT_FOUND in the words of an unknown object, or
 * ERR_INSUFFICIENT_SCOPE. */
bool proxied_decide(struct proxied *p, struct err *e) must_use;
/* May this caller see one entry of a list, or hear of one resource? */
bool proxied_may_see(const struct proxied *p, enum policy_action action, struct str name,
                     const struct connection_tool *tool);

/* ---- proxied_ask.c ---- */
/* Asks p->client what a session server wants to know and posts its answer. False: the call is over.
 */
bool proxied_ask(struct proxied *p, const struct rpc_message *m, struct err *e) must_use;

/* ---- proxied_connect.c ---- */
/* Takes what only answers proxied_connect out of a stateless client's retry. */
bool proxied_connect_read(struct proxied *p, struct err *e) must_use;
/* What can be answered before that authorization: sessions, and the tools that are known already.
 * False: nothing, and *e stays. */
bool proxied_connect_waits(struct proxied *p, struct err *e) must_use;
/* A session that began so: may this request go to the server, of whatever era it is? */
bool proxied_connect_passes(const struct proxied *p);
/* Answers a failure that a person's authorization at the server would mend: URL elicitation where
 * the client declared it, else a text with the address. False: it is not such a one. */
bool proxied_connect(struct proxied *p, struct err *e);

/* ---- proxied_view.c ---- */
/* The URIs of a whole response as the aggregate shows them. Unchanged without a view. */
bool proxied_view_response(struct proxied *p, struct str *response, struct err *e) must_use;
/* A task's id as the aggregate gives it to this client, and back: sealed to principal and
 * aggregate, with the connection that the task runs at. raw: a JSON string. STR_NONE: no memory, or
 * too long; false: no such id. */
struct str proxied_view_task(const struct proxied *p, struct str raw) must_use;
bool proxied_view_task_open(const struct proxied *p, struct str raw, struct str *connection_id,
                            struct str *task) must_use;
/* Where a message or an answer (its params or its result) names a task, and what stands there for
 * the client: n edits of at most VIEW_TASK_EDITS. is_status: params.taskId is one. False: no
 * memory, or too long. */
enum { VIEW_TASK_EDITS = 2 };
bool proxied_view_tasks(struct proxied *p, struct str object, bool is_status,
                        struct rpc_edit edits[VIEW_TASK_EDITS], size_t *n) must_use;
/* The client's answer to a question about a task, with the server's own id of it. STR_NONE: no
 * memory. */
struct str proxied_view_task_back(struct proxied *p, struct str result) must_use;
/* One URI, raw JSON in and out. STR_NONE: no memory, or it cannot be shown there. */
struct str proxied_view_uri(const struct proxied *p, struct arena *a, struct str raw) must_use;

/* ---- proxied_call.c ---- */
/* Runs a message for which in, entry and view are set: judged, sent, answered, recorded. */
void proxied_run(struct proxied *p);
/* Answers a failure and records it. */
void proxied_fail(struct proxied *p, struct err *e);

/* ---- proxied_forward.c ---- */
/* The client's bytes with id, progress token, tool name and cursor replaced, and sent. Retries once
 * when a pooled session is gone. */
struct exchange *proxied_forward(struct proxied *p, struct http_answer_head *head,
                                 struct err *e) must_use;
/* The steps of it. */
bool proxied_ids_choose(struct proxied *p, struct err *e) must_use;
bool proxied_body(struct proxied *p, struct str *out, struct err *e) must_use;
struct pool_who proxied_pool_who(const struct proxied *p);
/* The message towards the server, filled from p but for the body. */
void proxied_message(struct proxied *p, struct upstream_message *m);
/* Answers a request of the server's that cannot reach the client: {} to ping, -32601 to the rest.
 */
void proxied_refuse_request(struct proxied *p, const struct rpc_message *m);

/* ---- proxied_list.c ---- */
/* The response with the client's id, and lists without what the caller may not use. */
bool proxied_rewrite(struct proxied *p, const struct upstream_response *r, struct str *out,
                     struct err *e) must_use;
/* A cursor of the server's, sealed for the client, and back. Raw JSON strings in and out. */
bool proxied_cursor_seal(struct proxied *p, struct str raw, struct str *sealed,
                         struct err *e) must_use;
bool proxied_cursor_open(struct proxied *p, struct str sealed_raw, struct str *raw,
                         struct err *e) must_use;

/* ---- proxied_answer.c ---- */
/* Passes the server's answer on to the client, JSON or event stream, and records the call before
 * its last byte. */
bool proxied_answer(struct proxied *p, struct exchange *x, const struct http_answer_head *head,
                    struct err *e) must_use;
/* Its steps. Begins the event stream to the client with what has been gathered; writes one event,
 * or gathers it while the stream has not begun; rewrites, records and answers the response. */
bool proxied_stream_open(struct proxied *p, struct err *e) must_use;
bool proxied_event(struct proxied *p, struct str message, struct err *e) must_use;
bool proxied_finish(struct proxied *p, const struct upstream_response *r, int status,
                    struct err *e) must_use;
/* Sends a whole response as it is, as JSON or as the last event. */
bool proxied_send(struct proxied *p, struct str text, int status, struct err *e) must_use;
/* One message of the server's that is not the response, rewritten for this client into *out;
 * absent: not for the client. */
bool proxied_translate(struct proxied *p, struct arena *a, const struct rpc_message *m,
                       struct str *out, struct err *e) must_use;

/* ---- proxied_large.c ---- */
struct jfilter;
/* The JSON of which `held` has arrived and x brings the rest, in bounded memory. */
bool proxied_pass_large(struct proxied *p, struct exchange *x, const struct http_answer_head *head,
                        struct str held, struct err *e) must_use;
/* Was that an answer, whole, to what was asked? ERR_UPSTREAM. */
bool proxied_large_check(const struct proxied *p, const struct jfilter *f, struct err *e) must_use;

/* ---- proxied_session.c ---- */
bool proxied_initialize(struct proxied *p, struct err *e) must_use;
bool proxied_notification(struct proxied *p, struct err *e) must_use;
bool proxied_response(struct proxied *p, struct err *e) must_use;
struct session_ref proxied_session_ref(const struct proxied *p);

/* ---- proxied_revive.c ---- */
/* The server answered 404 to p->session: opens a new one there in its place, so that the message,
 * which was not accepted, may be sent once more. False: it cannot be. Waits. */
bool proxied_revive(struct proxied *p) must_use;
/* After a request was answered: keeps what a new session at the server would have to be told. */
void proxied_remember(struct proxied *p);

/* ---- proxied_relay.c ---- */
/* Hands a stream that may last (GET, subscriptions/listen) over to a small record, without this
 * fiber. Takes x. */
bool proxied_relay(struct proxied *p, struct exchange *x, struct err *e) must_use;

/* May who opened a stream still have it? connection_id absent: an aggregate's, which looks after
 * its members itself. A store that does not answer is no evidence. Waits. */
bool proxied_still_holds(struct services *sv, struct arena *a, const struct caller *before,
                         struct str connection_id);

/* The same without a server's stream behind it: begins with `first`; on_close(arg) once, when it is
 * over. http_stream_push feeds it. */
bool proxied_relay_own(struct proxied *p, struct str first, void (*on_close)(void *arg), void *arg,
                       struct err *e) must_use;

/* ---- proxied_audit.c ---- */
bool proxied_reserve(struct proxied *p, struct err *e) must_use;
/* Writes the row of this call. outcome: ok tool_error denied failed cancelled. With AUDIT_SYNC it
 * waits and may fail. */
bool proxied_record(struct proxied *p, const char *outcome, const struct err *why, size_t bytes_out,
                    struct err *e) must_use;
