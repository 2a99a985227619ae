/*
 * One message on its way to a server and the answer that comes back, whatever carries it: HTTP, or
 * a duplex channel (a process's pipes, an event stream of the 2024-11-05 transport) that presents
 * itself as a Streamable HTTP server.
 */
#pragma once

#include "io/http_client.h"

struct exchange;

/* What a carrier does; `x` is the first member of its own record. */
struct exchange_ops {
    bool (*read)(struct exchange *x, struct str *chunk, int64_t deadline_mono_ms, struct err *e);
    bool (*is_ready)(struct exchange *x);
    void (*close)(struct exchange *x);
    void (*detach)(struct exchange *x, bool (*on_data)(void *arg, struct str bytes),
                   void (*on_end)(void *arg, const struct err *e), void *arg);
};
struct exchange {
    const struct exchange_ops *ops;
};

/* Wraps an open HTTP exchange and takes it. NULL for NULL; NULL with ERR_UNAVAILABLE (the HTTP
 * exchange closed) without memory. */
struct exchange *exchange_of_http(struct http_exchange *http, struct err *e) must_use;

/* Waits for the next bytes of the body, as http_read. chunk->n == 0: the end. */
bool exchange_read(struct exchange *x, struct str *chunk, int64_t deadline_mono_ms,
                   struct err *e) must_use;
/* True when exchange_read would not wait. */
bool exchange_read_is_ready(struct exchange *x);
/* Frees; an unfinished answer is broken off, which tells the server that nobody waits. NULL is
 * fine. */
void exchange_close(struct exchange *x);
void exchange_closep(struct exchange **x);
/* Lets an exchange outlive its fiber as a small record, as http_exchange_detach: it frees itself
 * after on_end; exchange_close before that suppresses on_end. */
void exchange_detach(struct exchange *x, bool (*on_data)(void *arg, struct str bytes),
                     void (*on_end)(void *arg, const struct err *e), void *arg);
