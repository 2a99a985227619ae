/* Kept connections to plain servers, and one request and answer on each at a time. */
#include "io/http_client_wire.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/text.h"
#include "io/http_answer.h"
#include "log/metrics.h"

enum {
    KEEP_MARGIN_MS = 1000, /* before the server's own end of a silent connection */
    BELIEVED_MS = 500,     /* no server keeps connections for less */
    KEEPALIVE_IDLE_S = 60,
    KEEPALIVE_EVERY_S = 30,
    ORIGIN_KEY = 300,
    RECEIVED = 32 * 1024,
};

/* Where connections go: a host and port as the address names them. */
struct origin {
    struct list idle;
    size_t n_wires;
    char key[ORIGIN_KEY];
};
struct wires {
    struct map *origins;
    struct list idle; /* the longest silent first */
    size_t n_idle;
    struct list unsent;      /* kept ones with a request that goes out at the turn's end */
    char received[RECEIVED]; /* of the connection that is being read */
};
struct wire {
    struct loop_fd f;
    struct list by_origin, by_age; /* while idle */
    struct list unsent;            /* in that list */
    struct http_client *client;
    struct origin *origin;
    struct http_exchange *x; /* NULL: idle */
    struct http_answer_parser parser;
    bool is_connected, is_reused;
    bool gave_up_sending;
    int64_t kept_ms, idle_until_ms; /* when it fell idle, and when that is too long */
    struct loop_timer late;         /* while connecting: the next address is tried */
};

/* ---- the set ---- */

struct wires *wires_new(void)
{
    struct wires *w = calloc(1, sizeof *w);
    if (w && (w->origins = map_new()) != NULL) {
        list_init(&w->idle);
        list_init(&w->unsent);
        return w;
    }
    free(w);
    return NULL;
}

static void wire_close(struct wire *w)
{
    struct wires *set = w->client->wires;
    struct origin *o = w->origin;
    if (!w->x)
        set->n_idle--;
    list_remove(&w->by_age);
    list_remove(&w->by_origin);
    list_remove(&w->unsent);
    loop_timer_stop(w->client->loop, &w->late);
    loop_fd_remove(w->client->loop, &w->f);
    close(w->f.fd);
    http_answer_end(&w->parser);
    free(w);
    if (--o->n_wires == 0)
        free(map_take(set->origins, str_c(o->key)));
}

void wires_free(struct wires *set)
{
    if (!set)
        return;
    LIST_FOR_SAFE(i, next, &set->idle)
    {
        wire_close(CONTAINER_OF(i, struct wire, by_age));
    }
    map_free(set->origins, NULL);
    free(set);
}

/* "host:port", NUL-ended in `out`; absent when that is too long. */
static struct str origin_key(const struct http_exchange *x, char out[ORIGIN_KEY])
{
    char digits[STR_I64_SIZE];
    struct str port = str_i64(digits, x->port);
    size_t n = x->host.n;
    if (n + sizeof ":65535" > ORIGIN_KEY)
        return STR_NONE;
    memcpy(out, x->host.p, n);
    text_lower(out, n);
    out[n++] = ':';
    memcpy(out + n, port.p, port.n);
    n += port.n;
    out[n] = '\0';
    return (struct str){out, n};
}

static struct origin *origin_get(struct wires *set, const struct http_exchange *x)
{
    char text[ORIGIN_KEY];
    struct str key = origin_key(x, text);
    if (str_is_absent(key))
        return NULL;
    struct origin *o = map_get(set->origins, key);
    if (o)
        return o;
    o = calloc(1, sizeof *o);
    if (!o)
        return NULL;
    list_init(&o->idle);
    memcpy(o->key, text, key.n + 1);
    if (map_set(set->origins, key, o, NULL))
        return o;
    free(o);
    return NULL;
}

/* The server neither closed it nor said anything unasked. One that kept it open after an answer, a
 * moment ago, is believed to have: the loop would have told by now. */
static bool is_quiet(const struct wire *w)
{
    char byte;
    if (w->is_reused && loop_now_ms(w->client->loop) - w->kept_ms < BELIEVED_MS)
        return true;
    ssize_t n = recv(w->f.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

/* A kept connection for x: the one that was used last. */
static struct wire *kept_take(struct http_exchange *x)
{
    struct wires *set = x->client->wires;
    char text[ORIGIN_KEY];
    struct str key = origin_key(x, text);
    struct origin *o;
    if (str_is_absent(key))
        return NULL;
    while ((o = map_get(set->origins, key)) != NULL && !list_is_empty(&o->idle)) {
        struct wire *w = CONTAINER_OF(o->idle.prev, struct wire, by_origin);
        if (loop_now_ms(x->client->loop) >= w->idle_until_ms || !is_quiet(w)) {
            wire_close(w); /* with its last connection the origin goes, too */
            continue;
        }
        list_remove(&w->by_origin);
        list_remove(&w->by_age);
        set->n_idle--;
        w->x = x;
        w->is_reused = true;
        return w;
    }
    return NULL;
}

static void wire_keep(struct wire *w)
{
    struct wires *set = w->client->wires;
    int64_t kept_ms = LIMIT_CLIENT_KEPT_MS;
    if (w->parser.kept_s >= 0 && w->parser.kept_s * 1000 < kept_ms)
        kept_ms = w->parser.kept_s * 1000;
    w->kept_ms = loop_now_ms(w->client->loop);
    w->idle_until_ms = w->kept_ms + kept_ms - KEEP_MARGIN_MS;
    w->x = NULL;
    set->n_idle++;
    list_push(&set->idle, &w->by_age);
    list_push(&w->origin->idle, &w->by_origin);
    loop_fd_change(w->client->loop, &w->f, EPOLLIN);
    if (set->n_idle > LIMIT_CLIENT_KEPT)
        wire_close(CONTAINER_OF(set->idle.next, struct wire, by_age));
}

/* ---- the end of an exchange ---- */

static void exchange_leave(struct http_exchange *x)
{
    x->wire = NULL;
    if (x->lookup)
        x->lookup->job.free(&x->lookup->job);
    x->lookup = NULL;
}

void wire_drop(struct http_exchange *x)
{
    if (x->wire)
        wire_close(x->wire);
    exchange_leave(x);
}

static void wire_fail(struct http_exchange *x, enum err_code code, const char *why)
{
    if (x->err.code == ERR_NONE)
        err_set(&x->err, code, "%s", why);
    wire_drop(x);
    x->is_finished = true;
    exchange_tell_end(x);
}

static void wire_finish(struct wire *w, bool is_clean)
{
    struct http_exchange *x = w->x;
    if (is_clean && w->parser.keeps && x->is_sent)
        wire_keep(w);
    else
        wire_close(w);
    exchange_leave(x);
    exchange_finish(x, CURLE_OK);
}

/* ---- sending ---- */

static ssize_t send_some(struct wire *w)
{
    const struct http_exchange *x = w->x;
    struct str head = str_slice(buf_str(&x->request), x->n_sent, SIZE_MAX);
    size_t body_sent = x->n_sent > x->request.n ? x->n_sent - x->request.n : 0;
    struct str body = str_slice(x->body, body_sent, SIZE_MAX);
    struct iovec parts[2];
    size_t n_parts = 0;
    if (head.n)
        parts[n_parts++] = (struct iovec){(void *)(uintptr_t)head.p, head.n};
    if (body.n)
        parts[n_parts++] = (struct iovec){(void *)(uintptr_t)body.p, body.n};
    struct msghdr m = {.msg_iov = parts, .msg_iovlen = n_parts};
    return sendmsg(w->f.fd, &m, MSG_NOSIGNAL);
}

/* False: the connection broke before it took a byte. */
static bool wire_send(struct wire *w)
{
    struct http_exchange *x = w->x;
    while (!x->is_sent && !w->gave_up_sending) {
        ssize_t n = send_some(w);
        if (n >= 0) {
            x->n_sent += (size_t)n;
            x->is_sent = x->n_sent == x->request.n + x->body.n;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            break;
        } else if (errno != EINTR && x->n_sent == 0) {
            return false;
        } else if (errno != EINTR) {
            w->gave_up_sending = true; /* the server's last words say more than this error */
        }
    }
    bool is_done = x->is_sent || w->gave_up_sending;
    loop_fd_change(w->client->loop, &w->f, is_done ? EPOLLIN : EPOLLIN | EPOLLOUT);
    return true;
}

/* ---- receiving ---- */

static bool on_line(void *arg, struct str line)
{
    return exchange_take_line(arg, line);
}

static bool on_body(void *arg, struct str bytes)
{
    return exchange_take_body(arg, bytes);
}

/* A kept connection that the server closes before it has said a word may have been closed before
 * the request arrived. Only what may be done twice is sent again, by the fiber that waits. */
static bool give_back(struct wire *w)
{
    struct http_exchange *x = w->x;
    if (!x->may_repeat || !w->is_reused || x->want == WANT_NOTHING ||
        !http_answer_is_untouched(&w->parser))
        return false;
    wire_drop(x);
    x->n_sent = 0;
    x->sent_ms = 0;
    x->is_sent = x->may_repeat = false;
    x->must_restart = x->needs_fresh = true;
    fiber_wake(&x->wait);
    return true;
}

static void wire_read(struct wire *w)
{
    struct http_exchange *x = w->x;
    struct wires *set = w->client->wires;
    struct err e = {.code = ERR_NONE};
    size_t used = 0;
    ssize_t n = recv(w->f.fd, set->received, sizeof set->received, 0);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return;
    if (n <= 0 && give_back(w))
        return;
    if (n < 0) {
        wire_fail(x, ERR_UPSTREAM, "the connection to the server broke");
        return;
    }
    x->is_feeding = true;
    enum http_answer_state state =
        n == 0 ? http_answer_eof(&w->parser, &e)
               : http_answer_feed(&w->parser, (struct str){set->received, (size_t)n}, &used, &e);
    x->is_feeding = false;
    if (x->is_closed) { /* from within: nobody is interested any more */
        wire_drop(x);
        exchange_release(x);
    } else if (state == HTTP_ANSWER_BAD) {
        wire_fail(x, e.code, e.msg);
    } else if (state == HTTP_ANSWER_DONE) {
        wire_finish(w, n > 0 && used == (size_t)n);
    } else if (!x->is_fetch && !x->on_data && x->in.n >= LIMIT_PAUSE_HIGH) {
        x->is_paused = true;
        loop_fd_change(w->client->loop, &w->f, 0);
    }
}

void wire_unpause(struct http_exchange *x)
{
    x->is_paused = false;
    x->heard_ms = loop_now_ms(x->client->loop);
    if (!x->wire)
        return;
    bool is_sending = !x->is_sent && !x->wire->gave_up_sending;
    loop_fd_change(x->client->loop, &x->wire->f, is_sending ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

/* ---- connecting ---- */

static void connect_next(struct http_exchange *x);
static void connected(struct wire *w);
static void begin_again(struct wire *w);

static void on_event(struct loop_fd *f, uint32_t ready)
{
    struct wire *w = CONTAINER_OF(f, struct wire, f);
    struct http_exchange *x = w->x;
    if (!x) {
        wire_close(w); /* the server closed it, or spoke without being asked */
    } else if (!list_is_empty(&w->unsent)) {
        begin_again(w); /* the same, before it was asked */
    } else if (!w->is_connected) {
        connected(w);
    } else if (x->is_paused) { /* only a broken connection is told now */
        wire_fail(x, ERR_UPSTREAM, "the connection to the server broke");
    } else {
        if ((ready & EPOLLOUT) && !wire_send(w))
            wire_fail(x, ERR_UPSTREAM, "the connection to the server broke");
        else if (ready & (EPOLLIN | EPOLLHUP | EPOLLERR))
            wire_read(w);
    }
}

static void socket_tune(int fd)
{
    static const struct {
        int level, name, value;
    } options[] = {{IPPROTO_TCP, TCP_NODELAY, 1},
                   {SOL_SOCKET, SO_KEEPALIVE, 1},
                   {IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S},
                   {IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_EVERY_S}};
    for (size_t i = 0; i < ARRAY_LEN(options); i++)
        (void)setsockopt(fd, options[i].level, options[i].name, &options[i].value,
                         sizeof options[i].value);
}

/* Not at this address. */
static void connect_failed(struct wire *w, int why)
{
    struct http_exchange *x = w->x;
    wire_close(w);
    x->wire = NULL;
    x->lookup->last_errno = why;
    connect_next(x);
}

static void late_fire(struct loop_timer *t)
{
    connect_failed(CONTAINER_OF(t, struct wire, late), ETIMEDOUT);
}

static struct wire *wire_new(struct http_exchange *x, int fd)
{
    struct http_client *c = x->client;
    struct wire *w = calloc(1, sizeof *w);
    struct origin *o = w ? origin_get(c->wires, x) : NULL;
    if (!o) {
        free(w);
        return NULL;
    }
    *w = (struct wire){.f = {.fd = fd, .on_event = on_event},
                       .client = c,
                       .origin = o,
                       .x = x,
                       .late = {.on_fire = late_fire}};
    list_init(&w->by_age);
    list_init(&w->by_origin);
    list_init(&w->unsent);
    http_answer_init(&w->parser);
    w->parser.on_line = on_line;
    w->parser.on_body = on_body;
    if (loop_fd_add(c->loop, &w->f, EPOLLOUT, NULL)) {
        o->n_wires++;
        return w;
    }
    if (o->n_wires == 0)
        free(map_take(c->wires->origins, str_c(o->key)));
    free(w);
    return NULL;
}

/* False: not at this address; errno or x->err say why. */
static bool connect_begin(struct http_exchange *x, const struct sockaddr *sa)
{
    struct sockaddr_storage to;
    socklen_t n =
        sa->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    memcpy(&to, sa, n);
    if (sa->sa_family == AF_INET6)
        ((struct sockaddr_in6 *)&to)->sin6_port = htons((uint16_t)x->port);
    else
        ((struct sockaddr_in *)&to)->sin_port = htons((uint16_t)x->port);
    int fd = socket(sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return false;
    metric_add(M_UPSTREAM_CONNECTS, 1);
    socket_tune(fd);
    bool is_begun = connect(fd, (struct sockaddr *)&to, n) == 0 || errno == EINPROGRESS;
    x->wire = is_begun ? wire_new(x, fd) : NULL;
    if (x->wire)
        return true;
    int why = is_begun ? ENOMEM : errno;
    close(fd);
    errno = why;
    return false;
}

static void connect_next(struct http_exchange *x)
{
    struct http_lookup *l = x->lookup;
    while (l->next < l->n_found) {
        const struct sockaddr *sa = (const struct sockaddr *)&l->found[l->next++];
        if (!http_guard_address_plain(x->client->guard, x->host, sa, x->port, &x->err)) {
            metric_add(M_EGRESS_REFUSED, 1);
            continue;
        }
        if (connect_begin(x, sa)) {
            if (l->next < l->n_found) /* one that swallows packets keeps nobody from the others */
                loop_timer_set(x->client->loop, &x->wire->late,
                               clock_mono_ms() + LIMIT_CONNECT_STEP_MS);
            return;
        }
        l->last_errno = errno;
    }
    if (l->n_found == 0)
        err_set(&x->err, ERR_UPSTREAM, "the server's name does not resolve");
    else if (l->last_errno != 0) /* refused at one address, failed at another */
        err_set(&x->err, ERR_UPSTREAM, "%s", exchange_connect_failure(l->last_errno));
    wire_fail(x, ERR_UPSTREAM, "the server cannot be reached");
}

static void connected(struct wire *w)
{
    struct http_exchange *x = w->x;
    int why = 0;
    socklen_t n = sizeof why;
    if (getsockopt(w->f.fd, SOL_SOCKET, SO_ERROR, &why, &n) != 0)
        why = errno;
    if (why != 0) {
        connect_failed(w, why);
        return;
    }
    loop_timer_stop(w->client->loop, &w->late);
    w->is_connected = true;
    x->err.code = ERR_NONE; /* one of several addresses may have been refused */
    x->sent_ms = clock_mono_ms();
    http_answer_begin(&w->parser, x->is_head_request);
    w->parser.arg = x;
    if (!wire_send(w))
        wire_fail(x, ERR_UPSTREAM, "the connection to the server broke");
}

bool wire_is_connected(const struct http_exchange *x)
{
    return x->wire && x->wire->is_connected;
}

void wire_begin(struct http_exchange *x)
{
    struct err e = {.code = ERR_NONE};
    if (!x->needs_fresh && (x->wire = kept_take(x)) != NULL) {
        struct wire *w = x->wire;
        x->was_reused = true;
        x->sent_ms = loop_now_ms(x->client->loop);
        http_answer_begin(&w->parser, x->is_head_request);
        w->parser.arg = x;
        w->gave_up_sending = false;
        list_push(&x->client->wires->unsent, &w->unsent);
        loop_hooks_again(x->client->loop);
        return;
    }
    x->was_reused = false;
    x->wire = NULL;
    x->lookup = exchange_lookup(x, &e);
    if (!x->lookup) {
        x->err = e;
        wire_fail(x, ERR_UPSTREAM, "the server cannot be reached");
        return;
    }
    x->looked_up_ms = clock_mono_ms();
    connect_next(x);
}

/* It took no byte: the fiber that waits tries another connection. */
static void begin_again(struct wire *w)
{
    struct http_exchange *x = w->x;
    wire_drop(x);
    x->sent_ms = 0;
    x->must_restart = true;
    fiber_wake(&x->wait);
}

/*
 * What the fibers of one turn ask goes out together: the servers, mostly neighbours, are woken once
 * and answer in one go. Sent one by one, with our own work in between, each wakes them anew, which
 * costs as much as that work.
 */
void wires_send(struct wires *set)
{
    while (set && !list_is_empty(&set->unsent)) {
        struct wire *w = CONTAINER_OF(set->unsent.next, struct wire, unsent);
        list_remove(&w->unsent);
        if (!wire_send(w))
            begin_again(w);
    }
}

void wire_restart(struct http_exchange *x)
{
    x->must_restart = false;
    wire_begin(x);
}
