/* HTTP as everyone above sees it: header pairs, an incoming request, what can be answered.
 * Libraries stay behind it. */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "io/loop.h"
#include "log/trace.h"

struct http_header {
    struct str name;
    struct str value;
};

enum http_method {
    HTTP_GET,
    HTTP_POST,
    HTTP_PUT,
    HTTP_DELETE,
    HTTP_HEAD,
    HTTP_OPTIONS,
    HTTP_PATCH,
    HTTP_OTHER
};

/* One incoming request. Everything in it lives in its arena, which ends when the answer has been
 * sent or the client left. */
struct http_request {
    struct arena *arena;
    struct loop *loop;
    void *context; /* what http_server_start was given: the worker's services */
    enum http_method method;
    struct str method_name;
    struct str path;  /* raw, as sent, without query; starts with '/' */
    struct str query; /* raw; absent without '?' */
    const struct http_header *headers;
    size_t n_headers;
    struct str body;
    char peer[46]; /* the client's address: the TCP peer, or who stands behind TRUSTED_PROXIES */
    bool peer_is_loopback;
    bool peer_is_shared; /* many clients may have this address: no limit counts by it */
    bool is_tls;
    char request_id[36]; /* NUL-ended, made here */
    struct trace trace;
    int64_t started_us;       /* clock_mono_us when the head was complete */
    const void *route;        /* set by on_head */
    struct str params[4];     /* path parameters, set by on_head */
    void *user;               /* the handler's */
    struct http_inner *inner; /* io/http_inner.h: who takes the answer; NULL: a connection */
    /* what has been answered, for the access log */
    struct str failure; /* what went wrong, for the log only; absent: nothing */
    int answered_status;
    int64_t answered_bytes;
};

/* First value of a header (name compared without case), or STR_NONE. */
struct str http_header_get(const struct http_header *headers, size_t n, struct str name);
struct str http_request_header(const struct http_request *rq, struct str name);
/* How often a header occurs. */
size_t http_request_header_count(const struct http_request *rq, struct str name);
/* A method's or header's name (RFC 9110 5.6.2). */
bool http_is_token(struct str s);
const char *http_reason(int status);
/* Keeps what went wrong, detail included, for the log line of this request. */
void http_note_failure(struct http_request *rq, const struct err *e);

/* ---- answering; from the request's fiber ---- */

/* From now on the client's leaving does not cancel the handler: its answer may be fetched another
 * way. What is written to a client that left is still refused with ERR_CANCELLED. */
void http_outlive_client(struct http_request *rq);
bool http_client_has_left(const struct http_request *rq);

/* Adds a header to the answer (copied into the arena). Before http_answer / http_stream_begin.
   Names and values with CR, LF or NUL are a bug(). Content-Length, Transfer-Encoding, Connection
   and X-Request-Id are the server's own: ignored here. */
void http_set_header(struct http_request *rq, struct str name, struct str value);
/* The whole answer. body must live in the arena, be static, or be STR_NONE. Once per request.
 * content_type absent: none. */
void http_answer(struct http_request *rq, int status, struct str content_type, struct str body);
bool http_is_answered(const struct http_request *rq);

/* Starts a streamed answer. length -1: chunked. The head goes out at once. */
bool http_stream_begin(struct http_request *rq, int status, struct str content_type, int64_t length,
                       struct err *e) must_use;
/* Queues bytes (copied); waits while more than LIMIT_STREAM_QUEUE are unsent. ERR_CANCELLED: the
   client left. ERR_TIMEOUT: it took nothing for LIMIT_CLIENT_READ_MS. ERR_UNAVAILABLE: out of
   memory. */
bool http_stream_write(struct http_request *rq, struct str bytes, struct err *e) must_use;
/* Queues bytes without waiting, from any callback of the loop. False when the queue is full or the
   client left. An empty queue takes up to LIMIT_SSE_EVENT. */
bool http_stream_push(struct http_request *rq, struct str bytes);
/* Writes `comment` whenever the stream was silent this long; 0 stops. */
void http_stream_keepalive(struct http_request *rq, int64_t silent_ms, struct str comment);
/* No more bytes; the answer ends when the queue is sent. */
void http_stream_end(struct http_request *rq);
/* Ends the connection at once, the answer incomplete: the reader must notice that it was cut. */
void http_stream_cut(struct http_request *rq);
/*
 * Lets the stream outlive its fiber as a small record: the handler may return, http_stream_push
 * feeds it from callbacks, http_stream_end or the client's leaving ends it. on_close(arg) is called
 * once, before the arena ends.
 */
void http_stream_detach(struct http_request *rq, void (*on_close)(void *arg), void *arg);
