/*
 * The HTTP/1.1 server of one worker: libmicrohttpd in external-epoll mode on a shared port. Reads
 * head and body under the caps that on_head answers, then runs handle() in a fiber. Cancels that
 * fiber when the client leaves; one that shuts down its sending side counts as gone as soon as the
 * handler waits. Answers smuggling attempts (Content-Length with Transfer-Encoding, repeated
 * Content-Length, Transfer-Encoding, Host or Authorization) with 400 and closes. Every answer
 * carries X-Request-Id.
 */
#pragma once

#include "io/http.h"

struct http_server;

struct http_server_config {
    const char *const *addresses; /* numeric, e.g. {"127.0.0.1", "::1"} */
    size_t n_addresses;
    int port;
    const char *tls_cert_pem, *tls_key_pem; /* contents, or NULL */
    const char *trusted_proxies;            /* TRUSTED_PROXIES, or NULL */
    void *context;                          /* for rq->context */
    /* The head is complete: route it. Returns the largest body in bytes that will be read. Must not
     * wait. */
    size_t (*on_head)(struct http_request *rq);
    /* The request is complete; runs in a fiber and must answer. An unanswered return is a bug
     * answered with 500. */
    void (*handle)(struct http_request *rq);
    /* Over the body cap, bad head, no fiber free: write the error answer for `e` (same form as
     * everywhere). Must not wait. */
    void (*refuse)(struct http_request *rq, const struct err *e);
    /* The answer has been sent or the client left: for the access log and metrics. Must not wait.
     */
    void (*on_done)(struct http_request *rq, bool client_left);
};

/*
 * Listens and serves until http_server_stop. The process must ignore SIGPIPE. NULL with ERR_INVALID
 * (an address that is no number, TLS files that cannot be used), ERR_CONFLICT (port taken),
 * ERR_UNAVAILABLE. An address that the machine lacks is passed over when others are given.
 */
struct http_server *http_server_start(struct loop *l, const struct http_server_config *config,
                                      struct err *e) must_use;
/* The port listened on: config->port, or the one that the kernel chose for 0. */
int http_server_port(const struct http_server *s);
/* Stops accepting; answers in flight go on (with Connection: close). */
void http_server_drain(struct http_server *s);
/* Open requests (streams included). */
int http_server_active(const struct http_server *s);
/* Calls on_stop-less streams to an end: http_stream_end on every detached stream, fiber_cancel on
 * the rest. */
void http_server_cancel_all(struct http_server *s);
/* After drain, when nothing is active (or after cancel_all): frees. Cuts what is still open; fibers
   that have not returned yet keep on using config.context while the loop turns. Not from within a
   request. NULL is fine. */
void http_server_stop(struct http_server *s);

/* Tries to bind the port without sharing it, so that two servers never have it silently.
 * ERR_CONFLICT names the port. */
bool http_server_probe_port(const char *const *addresses, size_t n, int port,
                            struct err *e) must_use;
