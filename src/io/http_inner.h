/*
 * Requests without a connection of their own: one message of several that came in one body, or one
 * whose answer belongs on another stream. Handlers see a request like any other; what they answer
 * goes to the functions below. Everything happens on the thread, and unless said in the fiber, of
 * the handler.
 */
#pragma once

#include "io/http.h"

struct http_inner;

struct http_inner_ops {
    /* A whole answer: its status is in->rq.answered_status. body may be absent. */
    void (*on_answer)(struct http_inner *in, struct str content_type, struct str body);
    /* A streamed answer begins. False with *e: nobody takes it. */
    bool (*on_begin)(struct http_inner *in, struct str content_type, struct err *e);
    /* Bytes of it. may_wait: called from the handler's fiber; otherwise from any callback of the
     * loop, and false says that there is no room. */
    bool (*on_bytes)(struct http_inner *in, struct str bytes, bool may_wait, struct err *e);
    /* No more bytes. is_whole false: it was cut. Once. */
    void (*on_end)(struct http_inner *in, bool is_whole);
};

enum { HTTP_INNER_HEADERS = 8 };

struct http_inner {
    struct http_request rq; /* what the handler is given */
    const struct http_inner_ops *ops;
    void *arg; /* of the ops */
    /* what the handler set; more are dropped */
    struct http_header headers[HTTP_INNER_HEADERS];
    size_t n_headers;
    bool is_answered, is_stream, is_over, is_detached;
    void (*on_close)(void *arg);
    void *on_close_arg;
};

/* A request with `body` that shares the rest (arena, headers, caller, path) with `outer`. */
void http_inner_init(struct http_inner *in, const struct http_request *outer, struct str body,
                     const struct http_inner_ops *ops, void *arg);
/* After the handler has returned: a stream that it left open and did not detach is cut. */
void http_inner_returned(struct http_inner *in);
/* Ends a detached stream: its on_close is called, once. */
void http_inner_close(struct http_inner *in);

/* ---- for http_server_*.c: the functions of io/http.h for such a request ---- */

void http_inner_set_header(struct http_inner *in, struct str name, struct str value);
void http_inner_answer(struct http_inner *in, int status, struct str content_type, struct str body);
bool http_inner_begin(struct http_inner *in, int status, struct str content_type,
                      struct err *e) must_use;
bool http_inner_bytes(struct http_inner *in, struct str bytes, bool may_wait,
                      struct err *e) must_use;
void http_inner_end(struct http_inner *in, bool is_whole);
void http_inner_detach(struct http_inner *in, void (*on_close)(void *arg), void *arg);
