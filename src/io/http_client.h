/*
 * Outgoing HTTP of one worker: libcurl's multi interface on the loop. Connections are kept and
 * reused, redirects are never followed, every connection passes the guard, answers are streamed
 * with back-pressure.
 */
#pragma once

#include "io/http.h"
#include "io/http_guard.h"

struct http_client;
struct http_exchange;
struct offload;

struct http_client_config {
    const struct http_guard *guard;
    const char *proxy, *no_proxy; /* HTTPS_PROXY, NO_PROXY; NULL: none. The destination's name is
                                     resolved and judged first. */
    const char *ca_bundle;        /* extra trust roots, a file, or NULL */
    struct offload *offload;      /* for name look-ups; needed with a proxy, and for plain http
                                     without curl */
    bool uses_curl_only;          /* also for plain http: for tests, which cannot speak TLS */
};

struct http_call {
    struct str method; /* "POST" */
    struct str url;
    const struct http_header *headers;
    size_t n_headers;
    struct str body;    /* must live until http_close */
    bool is_repeatable; /* may be sent once more when a kept connection turns out to be closed */
    bool is_operator_destination; /* an address from the operator's settings (OTLP): no guard */
    int64_t connect_ms, first_byte_ms, idle_ms,
        total_ms;      /* 0: the LIMIT_ defaults; negative: no limit */
    int64_t max_bytes; /* of the answer's body; 0: LIMIT_ANSWER_BYTES */
};

struct http_answer_head {
    int status;
    const struct http_header *headers; /* in the exchange; valid until http_close */
    size_t n_headers;
};

struct http_client *http_client_new(struct loop *l, const struct http_client_config *c,
                                    struct err *e) must_use;
/* Breaks off what is open, without on_end. Not from a callback of the client. NULL is fine. */
void http_client_free(struct http_client *c);

/*
 * Sends a call and waits for the answer's head. NULL with ERR_EGRESS (guard), ERR_UPSTREAM (DNS,
 * refused, TLS, broken: the message says which, no addresses), ERR_TIMEOUT (names the phase),
 * ERR_CANCELLED.
 */
struct http_exchange *http_open(struct http_client *c, const struct http_call *call,
                                struct http_answer_head *head, struct err *e) must_use;
/* Waits for the next bytes of the body. chunk->n == 0: the end. The chunk is valid until the next
   call. deadline 0: idle_ms rules. ERR_TIMEOUT after `deadline_mono_ms` leaves the exchange usable
   (for keep-alives between reads). */
bool http_read(struct http_exchange *x, struct str *chunk, int64_t deadline_mono_ms,
               struct err *e) must_use;
/* True when http_read would not wait: bytes are here, or the end is. */
bool http_read_is_ready(const struct http_exchange *x);
/* Frees; an unfinished transfer is broken off (which is how a modern server learns of a
 * cancellation). NULL is fine. */
void http_close(struct http_exchange *x);
void http_closep(struct http_exchange **x);

/* The whole exchange with the body held in the arena. ERR_TOO_LARGE over max_held bytes. */
struct http_fetched {
    struct http_answer_head head; /* copied into the arena */
    struct str body;
};
bool http_fetch(struct http_client *c, struct arena *a, const struct http_call *call,
                size_t max_held, struct http_fetched *out, struct err *e) must_use;

/*
 * Lets an exchange outlive its fiber as a small record: from now on bytes go to on_data (return
 * false to break off) and the end to on_end (e is NULL at a clean end), both from the loop. The
 * exchange frees itself after on_end; http_close before that suppresses on_end. Not with idle
 * limits: pass idle_ms -1 in the call for streams that may be silent. The call's body is not needed
 * afterwards: a request that has not been sent whole by now is broken off.
 */
void http_exchange_detach(struct http_exchange *x, bool (*on_data)(void *arg, struct str bytes),
                          void (*on_end)(void *arg, const struct err *e), void *arg);

/* Phases of the last connection for CONNECTION_TEST, milliseconds, -1 when it did not happen
 * (reused connection). */
struct http_timing {
    int64_t dns_ms, connect_ms, tls_ms, first_byte_ms;
    bool was_reused;
};
void http_exchange_timing(const struct http_exchange *x, struct http_timing *out);
