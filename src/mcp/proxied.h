/*
 * One message on its way through the proxy. Private to the proxied_*.c files; the routes see
 * mcp/proxied_call.h. Order of work: inbound -> connection -> session -> policy -> place in the
 * audit queue -> credential -> server -> answer.
 */
#pragma once

#include "core/policy.h"
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

struct proxied {
    struct http_request *rq;
    struct services *sv;
    struct arena *a;
    const struct caller *caller;
    struct inbound in;
    struct registry_entry *entry;
    struct credential cred;
    enum method_kind kind;
    const struct connection_tool *tool; /* of a tools/call; NULL: nothing is known of it */
    enum era era;                       /* the server's */
    struct session session;             /* the client's; session.key absent: none */
    struct upstream_session pooled;     /* used when the client has none */
    bool is_pooled;
    struct str hop_id,
        hop_token;       /* raw JSON: what the server sees for the client's id and progress token */
    bool is_streaming;   /* the answer to the client is an event stream ... */
    bool is_stream_open; /* ... that has begun */
    struct buf early;    /* its events before that */
    bool is_reserved;    /* a place in the audit queue is ours */
    bool is_cancelled;   /* by the client's notifications/cancelled: it wants no answer */
    bool is_in_call;     /* past the envelope: failures are answered in-band */
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

/* ---- proxied_forward.c ---- */
/* The client's bytes with id, progress token, tool name and cursor replaced, and sent. Retries once
 * when a pooled session is gone. */
struct http_exchange *proxied_forward(struct proxied *p, struct http_answer_head *head,
                                      struct err *e) must_use;
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
bool proxied_answer(struct proxied *p, struct http_exchange *x, const struct http_answer_head *head,
                    struct err *e) must_use;
/* One message of the server's that is not the response, rewritten for this client into *out;
 * absent: not for the client. */
bool proxied_translate(struct proxied *p, struct arena *a, const struct rpc_message *m,
                       struct str *out, struct err *e) must_use;

/* ---- proxied_session.c ---- */
bool proxied_initialize(struct proxied *p, struct err *e) must_use;
bool proxied_notification(struct proxied *p, struct err *e) must_use;
bool proxied_response(struct proxied *p, struct err *e) must_use;
struct session_ref proxied_session_ref(const struct proxied *p);

/* ---- proxied_relay.c ---- */
/* Hands a stream that may last (GET, subscriptions/listen) over to a small record, without this
 * fiber. Takes x. */
bool proxied_relay(struct proxied *p, struct http_exchange *x, struct err *e) must_use;

/* ---- proxied_audit.c ---- */
bool proxied_reserve(struct proxied *p, struct err *e) must_use;
/* Writes the row of this call. outcome: ok tool_error denied failed cancelled. With AUDIT_SYNC it
 * waits and may fail. */
bool proxied_record(struct proxied *p, const char *outcome, const struct err *why, size_t bytes_out,
                    struct err *e) must_use;
