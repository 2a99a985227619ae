/* Private to http_client*.c: the client, its exchanges, and who does what to them. */
#pragma once

#include <curl/curl.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/uri.h"
#include "io/fiber.h"
#include "io/http_client.h"
#include "io/offload.h"

struct client_sock;

struct http_client {
    struct loop *loop;
    CURLM *multi;
    struct loop_hook hook;
    int64_t curl_at_ms; /* when curl wants its timer; INT64_MAX: never */
    bool is_in_curl;    /* a function of curl is running: no handle may be added or removed */
    const struct http_guard *guard;
    struct offload *offload;
    char *proxy; /* NULL: none */
    char *no_proxy;
    int ca_fd; /* the system's roots and CA_BUNDLE in one file, or -1 */
    char ca_path[32];
    struct client_sock **socks; /* by descriptor */
    size_t n_socks;
    struct list live;     /* exchanges in use */
    struct list starting; /* to be added when curl has returned */
    struct list closing;  /* to be freed when curl has returned */
    struct list idle;     /* finished, for reuse with their easy handle */
    size_t n_idle;
};

enum exchange_want { WANT_NOTHING, WANT_HEAD, WANT_BYTES, WANT_END };

struct http_exchange {
    struct list link; /* in exactly one of the client's lists */
    struct http_client *client;
    CURL *easy;

    /* What the easy handle is set to; an option that does not change is not set again. */
    struct buf url;  /* NUL-ended */
    struct str host; /* within url */
    int port;
    bool is_plain;    /* http */
    bool is_operator; /* not judged, connection not shared */
    bool is_judged;   /* url has passed the guard under is_operator */
    bool is_proxied;
    bool is_small; /* short receive buffer */
    bool has_body;
    char method[16];
    struct buf request; /* header lines, NUL-ended each */
    struct curl_slist *nodes;
    size_t n_nodes;
    struct curl_slist connect_to;
    char connect_to_text[80]; /* "::address:port" */
    char why[CURL_ERROR_SIZE];

    /* The answer. */
    struct buf head; /* lines, LF-ended */
    size_t head_bytes;
    size_t n_lines;
    int status;
    struct http_header *headers;
    size_t headers_cap;
    size_t n_headers;
    struct buf in;  /* received, not yet read */
    struct buf out; /* what the reader was given */
    int64_t body_bytes;
    int64_t max_bytes;

    curl_socket_t fd; /* opened last */
    bool is_added;    /* to the multi handle */
    bool is_head_done;
    bool is_finished; /* err says how */
    bool is_fetch;    /* the body is held, nobody reads before the end */
    bool is_paused;
    bool was_refused; /* by the guard: err says why */
    bool is_closed;   /* nobody is interested any more */
    bool is_ending;   /* on_end is running */
    bool is_soon;     /* soon is queued */
    struct err err;

    /* Waiting. */
    struct fiber_wait wait;
    enum exchange_want want;
    int64_t started_ms;
    int64_t sent_ms;  /* connected and sending since; 0: not known to be */
    int64_t heard_ms; /* last byte, or when the reader took up reading again */
    int64_t connect_ms, first_byte_ms, idle_ms, total_ms; /* < 0: no limit */

    /* Detached. */
    bool (*on_data)(void *arg, struct str bytes);
    void (*on_end)(void *arg, const struct err *e);
    void *arg;
    struct loop_timer timer;
    struct loop_task soon;
};

/* ---- http_client_multi.c: curl on the loop ---- */

bool client_multi_start(struct http_client *c, struct err *e) must_use;
void client_multi_stop(struct http_client *c);
/* Adds to the multi handle; while curl runs that is put off. */
void client_add(struct http_exchange *x);
/* Takes from the multi handle, which breaks an unfinished transfer off. A bug while curl runs. */
void client_remove(struct http_exchange *x);
/* The same at any time: while curl runs, the transfer ends at its next byte or with http_close.
   x->err says why. */
void client_break_off(struct http_exchange *x);
/* Lets a paused transfer go on. */
void client_unpause(struct http_exchange *x);
curl_socket_t client_socket_open(void *arg, curlsocktype purpose, struct curl_sockaddr *address);
int client_socket_close(void *arg, curl_socket_t fd);
/* The socket that was opened last for x is connected. (curl tells only when TLS is done as well.)
 */
bool client_has_tcp(const struct http_exchange *x);

/* ---- http_client_exchange.c: one easy handle ---- */

/* A free exchange from the pool or a new one, in c->live. NULL: out of memory. */
struct http_exchange *exchange_take(struct http_client *c);
/* Sets the easy handle up for a call. May wait for a name look-up when a proxy is used. */
bool exchange_prepare(struct http_exchange *x, const struct http_call *call,
                      struct err *e) must_use;
/* Back to the pool, or freed. Not while curl runs or the exchange is added. */
void exchange_release(struct http_exchange *x);
void exchange_destroy(struct http_exchange *x);
/* curl is done with it. */
void exchange_finish(struct http_exchange *x, CURLcode result);
/* Wakes the fiber or calls on_end, which ends the exchange. */
void exchange_tell_end(struct http_exchange *x);

/* ---- http_client_answer.c: what curl hands over ---- */

size_t exchange_on_header(char *bytes, size_t size, size_t n, void *arg);
size_t exchange_on_body(char *bytes, size_t size, size_t n, void *arg);
/* The failure of a transfer in our words. */
void exchange_explain(struct http_exchange *x, CURLcode result);

/* ---- http_client_wait.c: deadlines ---- */

/* Parks until the exchange has what is wanted. ERR_TIMEOUT at user_at_ms leaves it usable; the
 * exchange's own limits end it. */
bool exchange_wait(struct http_exchange *x, enum exchange_want want, int64_t user_at_ms,
                   struct err *e) must_use;
/* Takes notice of a limit that has passed: true fills *e. */
bool exchange_is_late(struct http_exchange *x, int64_t now_ms, struct err *e);
/* When to look again. */
int64_t exchange_deadline(const struct http_exchange *x);

/* ---- http_client_proxy.c: what the operator's settings add ---- */

/* The trust roots of CURLOPT_CAINFO in c->ca_path ("" for curl's own). */
bool client_roots_load(struct http_client *c, const char *ca_bundle, struct err *e) must_use;
bool client_uses_proxy(const struct http_client *c, const struct uri *u);
/* Resolves the destination on an offload thread, judges it, and leaves "host:port:address:port" in
 * x->connect_to_text. Waits. */
bool exchange_resolve(struct http_exchange *x, struct err *e) must_use;
