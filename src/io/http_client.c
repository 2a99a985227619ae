/* The calls that the rest of the program makes. See http_client_parts.h for who does what. */
#include "io/http_client_wire.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/secret.h"

enum { RECEIVE_AHEAD = 32 * 1024 };

static void on_detached_timer(struct loop_timer *t);
static void on_detached_soon(struct loop_task *t);

/* ---- client ---- */

static void curl_start(void)
{
    if (curl_global_init(CURL_GLOBAL_ALL) != CURLE_OK)
        bug("libcurl does not start");
}

static bool client_configure(struct http_client *c, const struct http_client_config *config,
                             struct err *e)
{
    if (config->proxy && config->proxy[0]) {
        if (!config->offload)
            bug("a proxy needs offload threads for name look-ups");
        c->proxy = strdup(config->proxy);
        c->no_proxy = strdup(config->no_proxy ? config->no_proxy : "");
        if (!c->proxy || !c->no_proxy)
            return err_set(e, ERR_UNAVAILABLE, "out of memory");
    }
    if (config->offload && !config->uses_curl_only && (c->wires = wires_new()) == NULL)
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    return client_roots_load(c, config->ca_bundle, e) && client_multi_start(c, e);
}

struct http_client *http_client_new(struct loop *l, const struct http_client_config *config,
                                    struct err *e)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, curl_start);
    struct http_client *c = calloc(1, sizeof *c);
    if (!c) {
        err_set(e, ERR_UNAVAILABLE, "out of memory");
        return NULL;
    }
    c->loop = l;
    c->guard = config->guard;
    c->offload = config->offload;
    c->ca_fd = -1;
    list_init(&c->live);
    list_init(&c->starting);
    list_init(&c->closing);
    list_init(&c->idle);
    if (!client_configure(c, config, e)) {
        http_client_free(c);
        return NULL;
    }
    return c;
}

static void list_destroy(struct list *exchanges)
{
    LIST_FOR_SAFE(i, next, exchanges)
    {
        struct http_exchange *x = CONTAINER_OF(i, struct http_exchange, link);
        client_remove(x);
        loop_timer_stop(x->client->loop, &x->timer);
        if (x->is_soon) { /* its task is on the loop and frees it */
            list_remove(&x->link);
            x->client = NULL;
        } else {
            exchange_destroy(x);
        }
    }
}

void http_client_free(struct http_client *c)
{
    if (!c)
        return;
    list_destroy(&c->live);
    list_destroy(&c->starting);
    list_destroy(&c->closing);
    list_destroy(&c->idle);
    wires_free(c->wires);
    client_multi_stop(c);
    if (c->ca_fd >= 0)
        close(c->ca_fd);
    free(c->proxy);
    free(c->no_proxy);
    free(c);
}

/* ---- exchange ---- */

static struct http_exchange *start(struct http_client *c, const struct http_call *call,
                                   size_t max_in, struct err *e)
{
    struct http_exchange *x = exchange_take(c);
    if (!x) {
        err_set(e, ERR_UNAVAILABLE, "out of memory");
        return NULL;
    }
    x->in.max = x->out.max = max_in;
    if (!exchange_prepare(x, call, e)) {
        http_close(x);
        return NULL;
    }
    client_add(x);
    return x;
}

static bool copy_err(const struct http_exchange *x, struct err *e)
{
    if (e)
        *e = x->err;
    return false;
}

struct http_exchange *http_open(struct http_client *c, const struct http_call *call,
                                struct http_answer_head *head, struct err *e)
{
    /* More may arrive between reaching the mark and pausing. */
    struct http_exchange *x = start(c, call, LIMIT_PAUSE_HIGH + RECEIVE_AHEAD, e);
    if (!x)
        return NULL;
    bool ok = exchange_wait(x, WANT_HEAD, INT64_MAX, e);
    if (ok && !x->is_head_done)
        ok = copy_err(x, e);
    if (!ok) {
        http_close(x);
        return NULL;
    }
    *head = (struct http_answer_head){x->status, x->headers, x->n_headers};
    return x;
}

bool http_read(struct http_exchange *x, struct str *chunk, int64_t deadline_mono_ms, struct err *e)
{
    if (!exchange_wait(x, WANT_BYTES, deadline_mono_ms ? deadline_mono_ms : INT64_MAX, e))
        return false;
    if (x->in.n == 0) {
        *chunk = (struct str){"", 0};
        return x->err.code == ERR_NONE ? true : copy_err(x, e);
    }
    struct buf read = x->in;
    buf_reset(&x->out);
    x->in = x->out;
    x->out = read;
    *chunk = buf_str(&x->out);
    if (x->is_paused && !x->is_finished)
        client_unpause(x);
    return true;
}

bool http_read_is_ready(const struct http_exchange *x)
{
    return x->in.n > 0 || x->is_finished;
}

void http_close(struct http_exchange *x)
{
    if (!x || x->is_closed || x->is_ending)
        return;
    struct http_client *c = x->client;
    x->on_end = NULL;
    if (x->is_feeding) {
        x->is_closed = true; /* who feeds it frees it */
        return;
    }
    if (x->is_soon) {
        x->is_closed = true; /* on_detached_soon frees it */
        if (x->is_wired || !c->is_in_curl)
            client_remove(x);
        return;
    }
    if (c->is_in_curl && x->is_added) {
        x->is_closed = true;
        list_remove(&x->link);
        list_push(&c->closing, &x->link);
        return;
    }
    client_remove(x);
    exchange_release(x);
}

void http_closep(struct http_exchange **x)
{
    http_close(*x);
}

static bool head_copy(const struct http_exchange *x, struct arena *a, struct http_answer_head *out)
{
    struct http_header *headers = arena_alloc(a, (x->n_headers + 1) * sizeof *headers);
    struct str text = arena_dup(a, buf_str(&x->head));
    if (!headers || str_is_absent(text))
        return false;
    for (size_t i = 0; i < x->n_headers; i++) {
        const struct http_header *h = &x->headers[i];
        headers[i].name = str_slice(text, (size_t)(h->name.p - x->head.p), h->name.n);
        headers[i].value = str_slice(text, (size_t)(h->value.p - x->head.p), h->value.n);
    }
    *out = (struct http_answer_head){x->status, headers, x->n_headers};
    return true;
}

bool http_fetch(struct http_client *c, struct arena *a, const struct http_call *call,
                size_t max_held, struct http_fetched *out, struct err *e)
{
    auto_free(http_closep) struct http_exchange *x = start(c, call, max_held, e);
    if (!x)
        return false;
    x->is_fetch = true;
    if (!exchange_wait(x, WANT_END, INT64_MAX, e))
        return false;
    if (x->err.code != ERR_NONE)
        return copy_err(x, e);
    struct http_fetched got = {.body = arena_dup(a, buf_str(&x->in))};
    if (str_is_absent(got.body) || !head_copy(x, a, &got.head))
        return err_set(e, ERR_TOO_LARGE, "the server's answer is too large to be held");
    *out = got;
    return true;
}

/* ---- detached ---- */

static void detached_timer_set(struct http_exchange *x)
{
    int64_t at_ms = exchange_deadline(x);
    if (at_ms != INT64_MAX)
        loop_timer_set(x->client->loop, &x->timer, at_ms);
}

/* The body is lent, and its owner may go now. Who answers before the request is there wants no more
 * of it. */
static void body_let_go(struct http_exchange *x)
{
    bool is_sent = x->is_wired ? x->is_sent : x->n_sent >= x->body.n;
    x->body = STR_NONE;
    if (is_sent || x->is_finished)
        return;
    err_set(&x->err, ERR_UPSTREAM, "the server answered before it had read the request");
    client_break_off(x);
}

void http_exchange_detach(struct http_exchange *x, bool (*on_data)(void *arg, struct str bytes),
                          void (*on_end)(void *arg, const struct err *e), void *arg)
{
    x->on_data = on_data;
    x->on_end = on_end;
    x->arg = arg;
    x->timer.on_fire = on_detached_timer;
    x->soon.run = on_detached_soon;
    detached_timer_set(x);
    body_let_go(x);
    /* The request is out: a silent stream need not hold it. */
    if (!x->is_wired)
        curl_easy_setopt(x->easy, CURLOPT_HTTPHEADER, NULL);
    secret_wipe(x->request.p, x->request.n);
    buf_end(&x->request);
    buf_end(&x->out);
    free(x->nodes);
    x->nodes = NULL;
    x->n_nodes = 0;
    if (x->in.n == 0 && !x->is_finished && !x->is_paused) {
        buf_end(&x->in);
        return;
    }
    x->is_soon = true;
    loop_soon(x->client->loop, &x->soon);
}

static void on_detached_timer(struct loop_timer *t)
{
    struct http_exchange *x = CONTAINER_OF(t, struct http_exchange, timer);
    if (!exchange_is_late(x, clock_mono_ms(), &x->err)) {
        detached_timer_set(x);
        return;
    }
    client_break_off(x);
    exchange_tell_end(x);
}

/* What was received before detaching, and perhaps the end. */
static void on_detached_soon(struct loop_task *t)
{
    struct http_exchange *x = CONTAINER_OF(t, struct http_exchange, soon);
    x->is_soon = false;
    if (!x->client) {
        exchange_destroy(x);
        return;
    }
    bool goes_on = true;
    if (x->in.n > 0 && !x->is_closed) {
        struct buf received = x->in;
        buf_init(&x->in, received.max);
        x->is_soon = true; /* a http_close within on_data is carried out below */
        goes_on = x->on_data(x->arg, buf_str(&received));
        x->is_soon = false;
        buf_end(&received);
    }
    if (x->is_closed) {
        client_remove(x);
        exchange_release(x);
    } else if (!goes_on) {
        client_break_off(x);
        err_set(&x->err, ERR_CANCELLED, "broken off");
        exchange_tell_end(x);
    } else if (x->is_finished) {
        exchange_tell_end(x);
    } else if (x->is_paused) {
        client_unpause(x);
    }
}

/* ---- timing ---- */

static void wired_timing(const struct http_exchange *x, struct http_timing *out)
{
    bool is_connected = !x->was_reused && x->sent_ms > 0;
    *out = (struct http_timing){
        .dns_ms = x->was_reused ? -1 : x->looked_up_ms - x->started_ms,
        .connect_ms = is_connected ? x->sent_ms - x->looked_up_ms : -1,
        .tls_ms = -1,
        .first_byte_ms = x->is_head_done ? x->head_ms - x->sent_ms : -1,
        .was_reused = x->was_reused,
    };
}

void http_exchange_timing(const struct http_exchange *x, struct http_timing *out)
{
    curl_off_t dns_us = 0, connect_us = 0, tls_us = 0, first_us = 0, sent_us = 0;
    long connects = 0;
    if (x->is_wired) {
        wired_timing(x, out);
        return;
    }
    curl_easy_getinfo(x->easy, CURLINFO_NAMELOOKUP_TIME_T, &dns_us);
    curl_easy_getinfo(x->easy, CURLINFO_CONNECT_TIME_T, &connect_us);
    curl_easy_getinfo(x->easy, CURLINFO_APPCONNECT_TIME_T, &tls_us);
    curl_easy_getinfo(x->easy, CURLINFO_PRETRANSFER_TIME_T, &sent_us);
    curl_easy_getinfo(x->easy, CURLINFO_STARTTRANSFER_TIME_T, &first_us);
    curl_easy_getinfo(x->easy, CURLINFO_NUM_CONNECTS, &connects);
    out->was_reused = connects == 0;
    bool is_new = connects > 0;
    out->dns_ms = is_new && dns_us > 0 ? dns_us / 1000 : -1;
    out->connect_ms = is_new && connect_us > 0 ? (connect_us - dns_us) / 1000 : -1;
    out->tls_ms = is_new && tls_us > 0 ? (tls_us - connect_us) / 1000 : -1;
    out->first_byte_ms = x->is_head_done ? (first_us - sent_us) / 1000 : -1;
}
