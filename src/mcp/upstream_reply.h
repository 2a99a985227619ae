/*
 * Reads the answer to one JSON-RPC request from a server, whether it came as JSON or as an event
 * stream: messages that come before the response go to a callback, the response is checked and
 * given back whole.
 */
#pragma once

#include "mcp/exchange.h"
#include "mcp/jsonrpc.h"

struct upstream_response {
    struct str text;   /* the whole response object */
    struct str id;     /* its raw id: the same value as was asked with */
    struct str result; /* raw, or absent */
    struct str error;  /* raw error object, or absent */
};

/* Who hears of a stream while its response is not there yet. Both may wait; false (with *e) gives
 * up. */
struct upstream_listener {
    /* A message before the response: a notification or a request of the server's. */
    bool (*on_message)(void *arg, const struct rpc_message *m, struct err *e);
    /* Nothing more is here just now: called once, before a wait that is not short, or that follows
     * a message. */
    bool (*on_wait)(void *arg, struct err *e);
    /* The stream ended before the response and its events had ids: the stream that goes on after
     * this one (upstream_resume), or NULL with *e. NULL: there is no such thing. */
    struct exchange *(*resume)(void *arg, struct str last_id, int64_t retry_ms, struct err *e);
    void *arg;
};

/*
 * max_held  bytes of one message that will be held
 * listener  may be NULL: notifications are dropped then
 * ERR_UPSTREAM: broken off, not JSON, an answer to something else, no answer at all; ERR_TOO_LARGE;
 * ERR_TIMEOUT; ERR_CANCELLED.
 */
bool upstream_reply_read(struct arena *a, struct exchange *x, const struct http_answer_head *head,
                         struct str id, size_t max_held, const struct upstream_listener *listener,
                         struct upstream_response *out, struct err *e) must_use;

/* Checks that a text is the response to `id`. ERR_UPSTREAM otherwise. */
bool upstream_response_parse(struct arena *a, struct str text, struct str id,
                             struct upstream_response *out, struct err *e) must_use;

/*
 * Turns an answer's status into an error: 401 and 403 ERR_UPSTREAM_AUTH, 404 ERR_SESSION_NOT_FOUND
 * when a session id was sent, the rest ERR_UPSTREAM naming the status (and Retry-After). True for
 * 200 and 202.
 */
bool upstream_status_check(const struct http_answer_head *head, bool has_session,
                           struct err *e) must_use;

enum upstream_body { UPSTREAM_JSON, UPSTREAM_EVENTS, UPSTREAM_OTHER };
enum upstream_body upstream_body_kind(const struct http_answer_head *head);
