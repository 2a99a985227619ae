/*
 * curl's multi interface on the loop. A socket is registered with epoll when curl first watches it
 * and stays registered between the transfers of a kept connection; curl's own sockets are forgotten
 * when curl closes them, those of its resolver when curl stops watching them. curl's timer is an
 * absolute time that a loop hook looks at before every wait, so busy sockets do not put it off.
 */
#include "io/http_client_wire.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "log/metrics.h"

struct client_sock {
    struct loop_fd f;
    struct http_client *client;
    bool is_kept;       /* registered even while curl does not watch it, until it is closed */
    bool is_registered; /* with the loop */
    const struct http_exchange *opener; /* only to be compared */
    uint32_t wanted;                    /* events; 0: curl does not watch it */
};

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *sock);
static int on_timer(CURLM *multi, long timeout_ms, void *arg);
static int64_t on_before_wait(struct loop_hook *h);
static void settle(struct http_client *c);

bool client_multi_start(struct http_client *c, struct err *e)
{
    c->multi = curl_multi_init();
    if (!c->multi)
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
    curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
    curl_multi_setopt(c->multi, CURLMOPT_MAXCONNECTS, (long)LIMIT_CLIENT_KEPT);
    c->curl_at_ms = INT64_MAX;
    c->hook.before_wait = on_before_wait;
    loop_hook_add(c->loop, &c->hook);
    return true;
}

void client_multi_stop(struct http_client *c)
{
    if (!c->multi)
        return;
    loop_hook_remove(c->loop, &c->hook);
    c->is_in_curl = true;
    curl_multi_cleanup(c->multi);
    c->is_in_curl = false;
    for (size_t i = 0; i < c->n_socks; i++) {
        if (c->socks[i])
            bug("curl left a socket open");
    }
    free(c->socks);
}

/* ---- sockets ---- */

static struct client_sock *sock_get(const struct http_client *c, curl_socket_t fd)
{
    return (size_t)fd < c->n_socks ? c->socks[fd] : NULL;
}

static struct client_sock *sock_new(struct http_client *c, curl_socket_t fd)
{
    size_t at = (size_t)fd;
    if (at >= c->n_socks) {
        size_t n = at < 32 ? 64 : at * 2;
        struct client_sock **socks = calloc(n, sizeof(struct client_sock *));
        if (!socks)
            return NULL;
        for (size_t i = 0; i < c->n_socks; i++)
            socks[i] = c->socks[i];
        free(c->socks);
        c->socks = socks;
        c->n_socks = n;
    }
    struct client_sock *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->client = c;
    s->f.fd = fd;
    c->socks[at] = s;
    return s;
}

static void sock_unregister(struct client_sock *s)
{
    if (s->is_registered)
        loop_fd_remove(s->client->loop, &s->f);
    s->is_registered = false;
}

static void sock_free(struct client_sock *s)
{
    sock_unregister(s);
    s->client->socks[s->f.fd] = NULL;
    free(s);
}

static void run(struct http_client *c, curl_socket_t fd, int bits)
{
    int running;
    c->is_in_curl = true;
    curl_multi_socket_action(c->multi, fd, bits, &running);
    c->is_in_curl = false;
    settle(c);
}

static void on_event(struct loop_fd *f, uint32_t ready)
{
    struct client_sock *s = CONTAINER_OF(f, struct client_sock, f);
    if (!s->wanted) {
        /* A kept connection that the server closed: curl finds out when it wants to use it. */
        sock_unregister(s);
        return;
    }
    int bits = 0;
    if (ready & (EPOLLIN | EPOLLRDHUP | EPOLLHUP))
        bits |= CURL_CSELECT_IN;
    if (ready & EPOLLOUT)
        bits |= CURL_CSELECT_OUT;
    if (ready & EPOLLERR)
        bits |= CURL_CSELECT_ERR;
    run(s->client, f->fd, bits);
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *sock)
{
    (void)easy;
    (void)sock;
    struct http_client *c = arg;
    struct client_sock *s = sock_get(c, fd);
    if (what == CURL_POLL_REMOVE) {
        if (s && s->is_kept)
            s->wanted = 0;
        else if (s)
            sock_free(s);
        return 0;
    }
    if (!s && !(s = sock_new(c, fd)))
        return 0; /* the transfer's deadline ends it */
    /* A socket that never got beyond connecting is closed without a word. */
    if (s->opener && (what & CURL_POLL_IN))
        s->is_kept = true;
    s->wanted = (what & CURL_POLL_IN ? (uint32_t)EPOLLIN : 0) |
                (what & CURL_POLL_OUT ? (uint32_t)EPOLLOUT : 0);
    if (s->is_registered) {
        loop_fd_change(c->loop, &s->f, s->wanted);
    } else {
        s->f.on_event = on_event;
        s->is_registered = loop_fd_add(c->loop, &s->f, s->wanted, NULL);
    }
    return 0;
}

curl_socket_t client_socket_open(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
    (void)purpose;
    struct http_exchange *x = arg;
    struct http_client *c = x->client;
    if (!x->is_operator && !x->is_proxied) {
        bool ok =
            x->is_plain
                ? http_guard_address_plain(c->guard, x->host, &address->addr, x->port, &x->err)
                : http_guard_address(c->guard, x->host, &address->addr, x->port, &x->err);
        if (!ok) {
            x->was_refused = true;
            metric_add(M_EGRESS_REFUSED, 1);
            return CURL_SOCKET_BAD;
        }
    }
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK,
                    address->protocol);
    if (fd < 0)
        return CURL_SOCKET_BAD;
    struct client_sock *s = sock_new(c, fd);
    if (!s) {
        close(fd);
        return CURL_SOCKET_BAD;
    }
    s->opener = x;
    x->fd = fd;
    metric_add(M_UPSTREAM_CONNECTS, 1);
    return fd;
}

int client_socket_close(void *arg, curl_socket_t fd)
{
    struct client_sock *s = sock_get(arg, fd);
    if (s)
        sock_free(s);
    return close(fd);
}

bool client_has_tcp(const struct http_exchange *x)
{
    const struct client_sock *s = sock_get(x->client, x->fd);
    struct sockaddr_storage peer;
    socklen_t n = sizeof peer;
    return s && s->opener == x && getpeername(x->fd, (struct sockaddr *)&peer, &n) == 0;
}

/* ---- time ---- */

static int on_timer(CURLM *multi, long timeout_ms, void *arg)
{
    (void)multi;
    struct http_client *c = arg;
    if (timeout_ms < 0)
        c->curl_at_ms = INT64_MAX;
    else if (timeout_ms == 0)
        c->curl_at_ms = 0; /* due at the next look, without asking the clock */
    else
        c->curl_at_ms = clock_mono_ms() + timeout_ms;
    return 0;
}

static int64_t on_before_wait(struct loop_hook *h)
{
    struct http_client *c = CONTAINER_OF(h, struct http_client, hook);
    if (c->curl_at_ms <= loop_now_ms(c->loop)) {
        c->curl_at_ms = INT64_MAX;
        run(c, CURL_SOCKET_TIMEOUT, 0);
    }
    wires_send(c->wires);
    return c->curl_at_ms;
}

/* ---- handles ---- */

void client_add(struct http_exchange *x)
{
    struct http_client *c = x->client;
    if (x->is_wired) {
        wire_begin(x);
        return;
    }
    if (c->is_in_curl) {
        list_remove(&x->link);
        list_push(&c->starting, &x->link);
        return;
    }
    /* Adding touches curl's timer only; the transfer starts when that fires. */
    if (curl_multi_add_handle(c->multi, x->easy) != CURLM_OK) {
        exchange_finish(x, CURLE_OUT_OF_MEMORY);
        return;
    }
    x->is_added = true;
}

void client_remove(struct http_exchange *x)
{
    struct http_client *c = x->client;
    if (x->is_wired)
        wire_drop(x);
    if (!x->is_added)
        return;
    if (c->is_in_curl)
        bug("a handle is removed while curl runs");
    c->is_in_curl = true;
    curl_multi_remove_handle(c->multi, x->easy);
    c->is_in_curl = false;
    x->is_added = false;
}

void client_break_off(struct http_exchange *x)
{
    x->is_finished = true;
    if (x->is_wired || !x->client->is_in_curl)
        client_remove(x);
}

void client_unpause(struct http_exchange *x)
{
    struct http_client *c = x->client;
    if (x->is_wired) {
        wire_unpause(x);
        return;
    }
    x->is_paused = false;
    x->heard_ms = loop_now_ms(c->loop);
    bool was_in_curl = c->is_in_curl;
    c->is_in_curl = true;
    CURLcode result = curl_easy_pause(x->easy, CURLPAUSE_CONT);
    c->is_in_curl = was_in_curl;
    if (result == CURLE_OK)
        return;
    if (!was_in_curl)
        client_remove(x);
    exchange_finish(x, result);
}

/* What had to wait until curl returned. */
static void settle(struct http_client *c)
{
    for (const CURLMsg *m; m = curl_multi_info_read(c->multi, &(int){0}), m;) {
        if (m->msg != CURLMSG_DONE)
            continue;
        CURLcode result = m->data.result;
        struct http_exchange *x = NULL;
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &x);
        client_remove(x); /* m is gone from here on */
        if (!x->is_closed)
            exchange_finish(x, result);
    }
    while (!list_is_empty(&c->closing)) {
        struct http_exchange *x = CONTAINER_OF(c->closing.next, struct http_exchange, link);
        client_remove(x);
        exchange_release(x);
    }
    while (!list_is_empty(&c->starting)) {
        struct http_exchange *x = CONTAINER_OF(c->starting.next, struct http_exchange, link);
        list_remove(&x->link);
        list_push(&c->live, &x->link);
        client_add(x);
    }
}
