/* Private to http_client*.c: the client, its exchanges, and who does what to them. */
#pragma once

#include <curl/curl.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/uri.h"
#include "io/fiber.h"
#include "io/http_client.h"
#include "io/offload.h"

struct client_sock;
struct wire;
struct wires;

enum { HTTP_CLIENT_METHOD = 16 };

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
    struct wires *wires;  /* connections without curl; NULL: curl does all */
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
    CURL *easy; /* made at the first call that needs it */

    /* What the easy handle is set to; an option that does not change is not set again. */
    struct buf url;               /* NUL-ended */
    struct str host, path, query; /* within url */
    int port;
    bool is_plain;    /* http */
    bool is_operator; /* not judged, connection not shared */
    bool is_judged;   /* url has passed the guard under is_operator */
    bool wants_proxy, is_proxied;
    bool is_small; /* short receive buffer */
    bool has_body;
    bool is_url_set; /* in the easy handle */
    char method[HTTP_CLIENT_METHOD];
    struct buf request; /* curl: header lines, NUL-ended each; else the head as it is sent */
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

    /* Without curl (http_client_wire.c). */
    bool is_wired;
    bool is_head_request;
    bool is_sent;    /* the request, to its last byte */
    bool is_feeding; /* the parser is running: it may not be freed */
    bool was_reused; /* a kept connection */
    bool may_repeat, must_restart, needs_fresh;
    struct wire *wire;
    struct http_lookup *lookup; /* while connecting */
    struct str body;
    size_t n_sent; /* bytes of the request */
    int64_t looked_up_ms, head_ms;

    curl_socket_t fd; /* opened last for this call, or CURL_SOCKET_BAD */
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
/* Judges the call and sets up what will carry it. May wait for a name look-up. */
bool exchange_prepare(struct http_exchange *x, const struct http_call *call,
                      struct err *e) must_use;
/* Back to the pool, or freed. Not while curl runs or the exchange is added. */
void exchange_release(struct http_exchange *x);
void exchange_destroy(struct http_exchange *x);
/* The transfer is done. */
void exchange_finish(struct http_exchange *x, CURLcode result);
/* Wakes the fiber or calls on_end, which ends the exchange. */
void exchange_tell_end(struct http_exchange *x);

/* Framing and the connection are the client's own business: a wrong header would smuggle. */
bool exchange_is_framing(struct str header_name);

/* ---- http_client_easy.c: one easy handle of curl ---- */

/* Makes the handle if there is none, and sets it up for a call. May wait for a name look-up when a
 * proxy is used. */
bool exchange_easy_prepare(struct http_exchange *x, const struct http_call *call,
                           struct err *e) must_use;

/* ---- http_client_answer.c: what the server sent ---- */

/* One line of a head without its end; empty: the head is over. False gives up, x->err says why. */
bool exchange_take_line(struct http_exchange *x, struct str line) must_use;
/* A piece of the body, which is held or handed on. */
bool exchange_take_body(struct http_exchange *x, struct str bytes) must_use;
size_t exchange_on_header(char *bytes, size_t size, size_t n, void *arg);
size_t exchange_on_body(char *bytes, size_t size, size_t n, void *arg);
/* The failure of a transfer in our words. */
void exchange_explain(struct http_exchange *x, CURLcode result);
const char *exchange_connect_failure(long os_errno);
/* A connection was opened for this call, and the proxy has not let it through (yet). */
bool exchange_is_at_proxy(const struct http_exchange *x);

/* ---- http_client_wait.c: deadlines ---- */

/* Parks until the exchange has what is wanted. ERR_TIMEOUT at user_at_ms leaves it usable; the
 * exchange's own limits end it. */
bool exchange_wait(struct http_exchange *x, enum exchange_want want, int64_t user_at_ms,
                   struct err *e) must_use;
/* Takes notice of a limit that has passed: true fills *e. */
bool exchange_is_late(struct http_exchange *x, int64_t now_ms, struct err *e);
/* A limit for an error's text: "30 s". */
enum { LIMIT_TEXT = 32 };
void exchange_limit_text(int64_t ms, char out[LIMIT_TEXT]);
/* When to look again. */
int64_t exchange_deadline(const struct http_exchange *x);

/* ---- http_client_proxy.c: what the operator's settings add ---- */

/* The trust roots of CURLOPT_CAINFO in c->ca_path ("" for curl's own). */
bool client_roots_load(struct http_client *c, const char *ca_bundle, struct err *e) must_use;
bool client_uses_proxy(const struct http_client *c, const struct uri *u);
/* Looks the destination's name up on an offload thread. Waits. The caller frees it (job.free). */
enum { LOOKUP_ADDRESSES = 16 };
struct http_lookup {
    struct offload_job job;
    char host[256];
    struct sockaddr_storage found[LOOKUP_ADDRESSES]; /* without ports */
    size_t n_found;
    size_t next;    /* to be tried */
    int last_errno; /* of the attempts so far */
};
struct http_lookup *exchange_lookup(struct http_exchange *x, struct err *e) must_use;
/* Resolves the destination on an offload thread, judges it, and leaves "host:port:address:port" in
 * x->connect_to_text. Waits. */
bool exchange_resolve(struct http_exchange *x, struct err *e) must_use;
