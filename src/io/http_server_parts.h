/*
 * What the files of the server share: the server, one record per open connection, one per request.
 *
 * A request is held by two: libmicrohttpd (until it says "completed") and its fiber (while handle()
 * runs). The last to let go ends it. Deadlines are ours, not libmicrohttpd's: its timeouts are
 * renewed by every byte, and connections with their own timeout are walked one by one in every
 * turn. Connections that wait for the client stand in lists, oldest first, one list per length of
 * time; those whose deadline has passed are shut down and libmicrohttpd sees them end.
 */
#pragma once

#include "base/buf.h"
#include "base/list.h"
#include "io/fiber.h"
#include "io/http_server.h"

struct MHD_Connection;
struct MHD_Daemon;
struct MHD_Response;

/* What a connection waits for from its client. */
enum conn_wait {
    CONN_READS, /* a request: LIMIT_REQUEST_READ_MS from the connection's or the request's beginning
                 */
    CONN_IDLES, /* the next request of a kept connection: LIMIT_CLIENT_IDLE_MS */
    CONN_LEAVES, /* the end of one whose client has closed its side: a moment */
    CONN_WAITS,  /* how many such lists there are */
};

/* One listening address. */
struct server_daemon {
    struct http_server *server;
    struct MHD_Daemon *mhd; /* NULL: the machine does not have this address */
    struct loop_fd epoll;
    bool must_run;   /* before the loop waits */
    bool has_events; /* and something has happened at its sockets */
    bool is_running; /* within MHD_run */
    bool is_silent;  /* nothing has happened for a moment: whoever waits is suspended */
    int64_t ran_ms;  /* when MHD_run was last called */
    int n_asking;    /* requests with is_asking */
    int n_called;    /* in the last MHD_run: how often it called us, */
    int n_in_vain;   /* and how often for an answer that is not there yet */
    int listen_fd;   /* -1 after http_server_drain */
};

struct http_server {
    struct loop *loop;
    struct http_server_config config;
    struct server_daemon *daemons;
    size_t n_daemons;
    int port;
    struct loop_hook hook;
    struct loop_timer tick;          /* looks at the deadlines */
    struct list waiting[CONN_WAITS]; /* server_conn.wait, oldest first */
    struct list requests;            /* server_request.all: those whose head was read */
    int active;                      /* their number */
    int refs;                        /* the owner, each request */
    bool is_draining;
    bool is_stopping;
};

struct server_conn {
    struct list wait;
    int64_t wait_until_ms;
    struct server_daemon *daemon;
    struct MHD_Connection *mhd;
    struct server_request *request; /* the one being read or answered, or NULL */
    struct loop_fd watch; /* tells when the client leaves; added by the first request that waits */
    bool is_watched;
    bool has_left;     /* the client has closed its side */
    bool is_read_shut; /* or we have, draining */
    bool peer_is_loopback;
    char peer[46];
};

struct answer_header {
    struct answer_header *next;
    const char *name, *value;
};

struct server_stream {
    struct server_request *request;
    int64_t length;   /* bytes promised, -1: chunked */
    struct buf queue; /* [sent..n) waits for the connection */
    size_t sent;
    bool is_ended; /* no more bytes will be queued */
    bool is_cut;
    struct fiber_wait room;
    struct loop_timer keepalive;
    int64_t silent_ms;
    int64_t last_ms; /* when bytes were last queued, clock_mono_ms */
    struct str comment;
    bool is_detached;
    void (*on_close)(void *arg);
    void *on_close_arg;
};

struct server_request {
    struct http_request rq; /* first: the handlers' view */
    struct list all;
    struct http_server *server;
    struct server_conn *conn; /* NULL when libmicrohttpd has done with the request */
    struct fiber *fiber;      /* while handle() runs */
    int refs;

    const char *raw_at;     /* where libmicrohttpd holds the raw target */
    struct str target;      /* our copy, or absent */
    int64_t content_length; /* -1: none given */
    bool expects_continue;
    bool is_http_1_0; /* no chunks: a stream of unknown length ends with its connection */

    size_t body_max;
    struct buf body;
    size_t dropped; /* bytes of a body over the cap */
    bool is_over;

    bool has_head;     /* the first call has been made */
    bool was_shown;    /* on_head or refuse was called: on_done is due */
    bool is_started;   /* the request is complete and its fiber was started or refused */
    bool is_suspended; /* in libmicrohttpd */
    bool is_asking;    /* libmicrohttpd asks for its answer in each of its turns */
    int n_asked;       /* how often it has */
    bool is_answered;  /* http_answer */
    bool is_queued;    /* the head of the answer is libmicrohttpd's */
    bool must_close;   /* Connection: close */
    bool client_left;
    bool outlives_client; /* its handler goes on when the client leaves */

    struct answer_header *headers, **headers_end;
    const char *content_type; /* or NULL */
    struct str body_out;
    struct server_stream *stream; /* http_stream_begin */
};

static inline struct server_request *request_of(const struct http_request *rq)
{
    return CONTAINER_OF((uintptr_t)rq, struct server_request, rq);
}

/* ---- http_server.c ---- */

void server_unref(struct http_server *s);

/* ---- http_server_conn.c ---- */

struct server_conn *server_conn_new(struct server_daemon *d, struct MHD_Connection *mhd);
/* The connection is about to be closed. */
void server_conn_free(struct server_conn *c);
/* Starts the deadline of a wait, or with CONN_WAITS stops it. */
void server_conn_wait(struct server_conn *c, enum conn_wait what);
/* Ends what has waited too long. */
void server_conn_tick(struct loop_timer *t);
/* From now on the client's leaving cancels the connection's request. */
void server_conn_watch(struct server_conn *c);
/* Both directions, at once; libmicrohttpd closes it in its next turn. */
void server_conn_cut(const struct server_conn *c);
/* What the client has sent already is still answered. */
void server_conn_read_no_more(struct server_conn *c);

/* ---- http_server_head.c ---- */

/* Fills r->rq from the head, or says why it is refused. method and version as libmicrohttpd holds
 * them. */
bool server_head_read(struct server_request *r, struct MHD_Connection *mhd, const char *method,
                      const char *version, struct err *e) must_use;

/* ---- http_server_request.c ---- */

struct server_request *server_request_new(struct server_conn *c, const char *raw_target);
/* One call of libmicrohttpd's access handler; false: close the connection. */
bool server_request_turn(struct server_request *r, const char *method, const char *version,
                         const char *upload, size_t *upload_bytes) must_use;
/* libmicrohttpd has done with the request. has_failed: the answer was not sent whole. */
void server_request_completed(struct server_request *r, bool has_failed);
/* The client has closed its side. */
void server_request_client_left(struct server_request *r);
/* Takes the connection out of libmicrohttpd's hands, from within one of its callbacks. */
void server_request_suspend(struct server_request *r);
/* Gives it back, and has libmicrohttpd ask for what there is to send. */
void server_request_wake(struct server_request *r);

/* ---- http_server_answer.c ---- */

/* Hands the answer (whole or stream) to libmicrohttpd. False: close the connection. */
bool server_answer_queue(struct server_request *r) must_use;

/* ---- http_server_stream.c ---- */

/* The response whose content reader takes from the stream's queue, or NULL. */
struct MHD_Response *server_stream_response(struct server_request *r);
/* The fiber has returned: what it left open and did not detach is cut. */
void server_stream_fiber_ended(struct server_request *r);
/* Wakes whoever waits for the stream: the client has left. */
void server_stream_client_left(struct server_request *r);
/* Calls on_close and frees. */
void server_stream_free(struct server_request *r);
