/* Exchanges over HTTP, and what every carrier's share. */
#include "mcp/exchange.h"

#include <stdlib.h>

struct http_carried {
    struct exchange base;
    struct http_exchange *http;
    void (*on_end)(void *arg, const struct err *e); /* once detached */
    bool (*on_data)(void *arg, struct str bytes);
    void *arg;
};

static struct http_carried *carried(struct exchange *x)
{
    return CONTAINER_OF(x, struct http_carried, base);
}

static bool carried_read(struct exchange *x, struct str *chunk, int64_t deadline_mono_ms,
                         struct err *e)
{
    return http_read(carried(x)->http, chunk, deadline_mono_ms, e);
}

static bool carried_is_ready(struct exchange *x)
{
    return http_read_is_ready(carried(x)->http);
}

static void carried_close(struct exchange *x)
{
    struct http_carried *c = carried(x);
    http_close(c->http);
    free(c);
}

static bool carried_on_data(void *arg, struct str bytes)
{
    struct http_carried *c = arg;
    return c->on_data(c->arg, bytes);
}

/* The HTTP exchange frees itself now, and so does what is around it. */
static void carried_on_end(void *arg, const struct err *e)
{
    struct http_carried *c = arg;
    void (*on_end)(void *, const struct err *) = c->on_end;
    void *their_arg = c->arg;
    free(c);
    on_end(their_arg, e);
}

static void carried_detach(struct exchange *x, bool (*on_data)(void *arg, struct str bytes),
                           void (*on_end)(void *arg, const struct err *e), void *arg)
{
    struct http_carried *c = carried(x);
    c->on_data = on_data;
    c->on_end = on_end;
    c->arg = arg;
    http_exchange_detach(c->http, carried_on_data, carried_on_end, c);
}

static const struct exchange_ops carried_ops = {carried_read, carried_is_ready, carried_close,
                                                carried_detach};

struct exchange *exchange_of_http(struct http_exchange *http, struct err *e)
{
    if (!http)
        return NULL;
    struct http_carried *c = calloc(1, sizeof(*c));
    if (!c) {
        http_close(http);
        err_set(e, ERR_UNAVAILABLE, "out of memory");
        return NULL;
    }
    c->base.ops = &carried_ops;
    c->http = http;
    return &c->base;
}

bool exchange_read(struct exchange *x, struct str *chunk, int64_t deadline_mono_ms, struct err *e)
{
    return x->ops->read(x, chunk, deadline_mono_ms, e);
}

bool exchange_read_is_ready(struct exchange *x)
{
    return x->ops->is_ready(x);
}

void exchange_close(struct exchange *x)
{
    if (x)
        x->ops->close(x);
}

void exchange_closep(struct exchange **x)
{
    exchange_close(*x);
    *x = NULL;
}

void exchange_detach(struct exchange *x, bool (*on_data)(void *arg, struct str bytes),
                     void (*on_end)(void *arg, const struct err *e), void *arg)
{
    x->ops->detach(x, on_data, on_end, arg);
}
