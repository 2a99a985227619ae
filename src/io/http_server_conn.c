/* One open client connection: who it is, how long we wait for it, when it has left. */
#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/uri.h"
#include "io/http_server_parts.h"
#include "log/metrics.h"

enum { TICK_MS = 1000 };

static const int64_t wait_ms[CONN_WAITS] = {
    [CONN_READS] = LIMIT_REQUEST_READ_MS,
    [CONN_IDLES] = LIMIT_CLIENT_IDLE_MS,
    [CONN_LEAVES] = TICK_MS,
};

/* An IPv4 client of a dual-stack socket is shown as what it is. */
static void peer_write(struct server_conn *c, const struct sockaddr *addr)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    if (addr->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const void *)addr;
        inet_ntop(AF_INET, &in->sin_addr, c->peer, sizeof c->peer);
    } else if (addr->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const void *)addr;
        const uint8_t *bytes = in6->sin6_addr.s6_addr;
        if (memcmp(bytes, mapped, sizeof mapped) == 0)
            inet_ntop(AF_INET, bytes + sizeof mapped, c->peer, sizeof c->peer);
        else
            inet_ntop(AF_INET6, bytes, c->peer, sizeof c->peer);
    }
    c->peer_is_loopback = uri_host_is_loopback(str_c(c->peer));
}

static void on_watch(struct loop_fd *f, uint32_t ready)
{
    struct server_conn *c = CONTAINER_OF(f, struct server_conn, watch);
    if (c->is_read_shut && !(ready & (EPOLLHUP | EPOLLERR)))
        return;
    bool is_news = !c->has_left;
    c->has_left = true;
    if (c->request && c->request->is_started)
        server_request_client_left(c->request);
    else if (is_news)
        server_conn_wait(c, CONN_LEAVES);
}

/* Each answer of libmicrohttpd 1.0 stands where the one before did: it is used at once. */
static bool peer_read(struct server_conn *c)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(c->mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (info)
        c->watch.fd = info->connect_fd;
    info = info ? MHD_get_connection_info(c->mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS) : NULL;
    if (info)
        peer_write(c, info->client_addr);
    return info != NULL;
}

struct server_conn *server_conn_new(struct server_daemon *d, struct MHD_Connection *mhd)
{
    struct server_conn *c = calloc(1, sizeof *c);
    if (c)
        c->mhd = mhd;
    if (!c || !peer_read(c)) {
        free(c);
        return NULL;
    }
    c->daemon = d;
    c->watch.on_event = on_watch;
    list_init(&c->wait);
    server_conn_wait(c, CONN_READS);
    server_conn_watch(c);
    metric_add(M_HTTP_CONNECTIONS, 1);
    return c;
}

void server_conn_free(struct server_conn *c)
{
    if (!c)
        return;
    if (c->is_watched)
        loop_fd_remove(c->daemon->server->loop, &c->watch);
    list_remove(&c->wait);
    metric_add(M_HTTP_CONNECTIONS, -1);
    free(c);
}

void server_conn_wait(struct server_conn *c, enum conn_wait what)
{
    struct http_server *s = c->daemon->server;
    list_remove(&c->wait);
    if (what == CONN_WAITS)
        return;
    int64_t now_ms = loop_now_ms(s->loop);
    c->wait_until_ms = now_ms + wait_ms[what];
    list_push(&s->waiting[what], &c->wait);
    if (!s->tick.heap_slot)
        loop_timer_set(s->loop, &s->tick, now_ms + TICK_MS);
}

/*
 * libmicrohttpd reads until a read comes up short. The end that arrived together with the last
 * bytes is then never read, as no further edge tells of it; this makes one. What has arrived can
 * still be read.
 */
static void conn_nudge(struct server_conn *c)
{
    server_conn_wait(c, CONN_READS);
    shutdown(c->watch.fd, SHUT_RD);
}

void server_conn_tick(struct loop_timer *t)
{
    struct http_server *s = CONTAINER_OF(t, struct http_server, tick);
    int64_t now_ms = clock_mono_ms();
    bool somebody_waits = false;
    for (int what = 0; what < CONN_WAITS; what++) {
        LIST_FOR_SAFE(pos, next, &s->waiting[what])
        {
            struct server_conn *c = CONTAINER_OF(pos, struct server_conn, wait);
            if (c->wait_until_ms > now_ms)
                break;
            list_remove(&c->wait);
            if (what == CONN_LEAVES)
                conn_nudge(c);
            else
                server_conn_cut(c);
        }
        somebody_waits |= !list_is_empty(&s->waiting[what]);
    }
    if (somebody_waits)
        loop_timer_set(s->loop, t, now_ms + TICK_MS);
}

/*
 * Edge-triggered and for the peer's closing only: one registration serves all requests of the
 * connection, and what the client sends meanwhile wakes nobody. Without room for the registration,
 * the client's leaving is noticed at the next write.
 */
void server_conn_watch(struct server_conn *c)
{
    if (c->is_watched)
        return;
    c->is_watched = loop_fd_add(c->daemon->server->loop, &c->watch, EPOLLRDHUP | EPOLLET, NULL);
}

void server_conn_cut(const struct server_conn *c)
{
    shutdown(c->watch.fd, SHUT_RDWR);
}

void server_conn_read_no_more(struct server_conn *c)
{
    c->is_read_shut = true;
    shutdown(c->watch.fd, SHUT_RD);
}
