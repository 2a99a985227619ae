/*
 * The daemons of one worker, one per address, turned by the worker's loop. libmicrohttpd's own
 * epoll stands in ours; it is turned when that is readable, when it says that it has work left, and
 * after every resume, which it does not speak of.
 */
#include "io/http_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/limits.h"
#include "io/http_server_parts.h"
#include "log/metrics.h"

enum {
    LISTEN_BACKLOG = 1024,
    /* A connection's memory at libmicrohttpd: the head of the request, and behind it that of the
       answer. */
    POOL_BYTES = LIMIT_HEADER_BYTES + 2 * 1024,
    SILENT_MS = 5,      /* without news, after which those that wait for an answer are suspended */
    TURNS_IN_A_ROW = 4, /* of libmicrohttpd while it has work left, before the others get theirs */
};

/* ---- turning ---- */

/* Of requests that wait for their answer libmicrohttpd says that they are work. A turn in which it
 * called for nothing else has left nothing else. */
static bool daemon_has_work(const struct server_daemon *d)
{
    MHD_UNSIGNED_LONG_LONG timeout_ms;
    if (d->n_asking > 0 && d->n_called == d->n_in_vain)
        return false;
    return MHD_get_timeout(d->mhd, &timeout_ms) == MHD_YES && timeout_ms == 0;
}

static void daemon_run(struct server_daemon *d)
{
    d->is_running = true;
    d->must_run = false;
    d->ran_ms = loop_now_ms(d->server->loop);
    /* The first turn may have read half a head, or refused one, without a word to us. */
    int turns = 0, turns_least = d->has_events ? 2 : 1;
    d->has_events = false;
    do {
        d->n_called = d->n_in_vain = 0;
        MHD_run(d->mhd);
    } while (++turns < turns_least || (turns < TURNS_IN_A_ROW && daemon_has_work(d)));
    d->is_running = d->is_silent = false;
}

static void on_epoll(struct loop_fd *f, uint32_t ready)
{
    (void)ready;
    struct server_daemon *d = CONTAINER_OF(f, struct server_daemon, epoll);
    d->must_run = d->has_events = true;
}

/* Once for all that came and all that was answered since the loop last waited. */
static int64_t before_wait(struct loop_hook *h)
{
    struct http_server *s = CONTAINER_OF(h, struct http_server, hook);
    int64_t wish_ms = INT64_MAX;
    for (size_t i = 0; i < s->n_daemons; i++) {
        struct server_daemon *d = &s->daemons[i];
        if (!d->mhd)
            continue;
        d->is_silent = d->n_asking > 0 && loop_now_ms(s->loop) >= d->ran_ms + SILENT_MS;
        if (d->must_run || d->is_silent || daemon_has_work(d))
            daemon_run(d);
        if (daemon_has_work(d))
            wish_ms = 0;
        else if (d->n_asking > 0 && d->ran_ms + SILENT_MS < wish_ms)
            wish_ms = d->ran_ms + SILENT_MS;
    }
    return wish_ms;
}

/* ---- what libmicrohttpd calls ---- */

static void on_connection(void *cls, struct MHD_Connection *mhd, void **context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct server_daemon *d = cls;
    d->n_called++;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        *context = server_conn_new(d, mhd);
        return;
    }
    server_conn_free(*context);
    *context = NULL;
}

static void *on_request_line(void *cls, const char *target, struct MHD_Connection *mhd)
{
    (void)cls;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct server_conn *c = info ? info->socket_context : NULL;
    if (c)
        c->daemon->n_called++;
    return c && target ? server_request_new(c, target) : NULL;
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *mhd, const char *decoded_url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_bytes, void **context)
{
    (void)mhd;
    (void)decoded_url;
    struct server_daemon *d = cls;
    struct server_request *r = *context;
    d->n_called++;
    bool goes_on = r && server_request_turn(r, method, version, upload, upload_bytes);
    return goes_on ? MHD_YES : MHD_NO;
}

static void on_completed(void *cls, struct MHD_Connection *mhd, void **context,
                         enum MHD_RequestTerminationCode code)
{
    struct server_daemon *d = cls;
    (void)mhd;
    d->n_called++;
    if (*context)
        server_request_completed(*context, code != MHD_REQUEST_TERMINATED_COMPLETED_OK);
    *context = NULL;
}

/* What libmicrohttpd has to say is about malformed requests and broken connections. */
static printf_like(2, 0) void on_log(void *cls, const char *format, va_list args)
{
    (void)cls;
    (void)format;
    (void)args;
    metric_add(M_PEER_BUGS, 1);
}

/* ---- listening ---- */

struct address {
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    } sa;
    socklen_t bytes;
};

static bool address_parse(const char *text, int port, struct address *out, struct err *e)
{
    memset(out, 0, sizeof *out);
    if (inet_pton(AF_INET, text, &out->sa.in.sin_addr) == 1) {
        out->sa.in.sin_family = AF_INET;
        out->sa.in.sin_port = htons((uint16_t)port);
        out->bytes = sizeof out->sa.in;
        return true;
    }
    if (inet_pton(AF_INET6, text, &out->sa.in6.sin6_addr) == 1) {
        out->sa.in6.sin6_family = AF_INET6;
        out->sa.in6.sin6_port = htons((uint16_t)port);
        out->bytes = sizeof out->sa.in6;
        return true;
    }
    return err_set(e, ERR_INVALID, "HOST: \"%s\" is not a numeric address", text);
}

/* "::" alone serves IPv4 too; beside an IPv4 address it must not take that one's port. */
static bool serves_both(const char *const *addresses, size_t n)
{
    return n == 1 && strcmp(addresses[0], "::") == 0;
}

static void option_set(int fd, int level, int option, int value)
{
    /* Failing costs comfort, not correctness: what matters shows at bind(). */
    (void)setsockopt(fd, level, option, &value, sizeof value);
}

/* -1 with errno: EADDRINUSE, EADDRNOTAVAIL, EAFNOSUPPORT, EACCES ... */
static int socket_bind(const struct address *a, bool both, bool is_shared)
{
    int fd = socket(a->sa.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (a->sa.any.sa_family == AF_INET6)
        option_set(fd, IPPROTO_IPV6, IPV6_V6ONLY, !both);
    /* Past connections in TIME_WAIT do not count; a listening socket still does. */
    option_set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (is_shared)
        option_set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    if (bind(fd, &a->sa.any, a->bytes) == 0)
        return fd;
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

/* Defaults name ::1 too, which machines without IPv6 lack. */
static bool is_missing(int error)
{
    return error == EADDRNOTAVAIL || error == EAFNOSUPPORT;
}

static bool listen_failed(const char *address, int port, struct err *e)
{
    if (errno == EADDRINUSE)
        return err_set(e, ERR_CONFLICT, "port %d on %s is already in use", port, address);
    return err_set(e, ERR_UNAVAILABLE, "cannot listen on %s port %d: %m", address, port);
}

bool http_server_probe_port(const char *const *addresses, size_t n, int port, struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        struct address a;
        if (!address_parse(addresses[i], port, &a, e))
            return false;
        int fd = socket_bind(&a, serves_both(addresses, n), false);
        if (fd >= 0)
            close(fd);
        else if (n == 1 || !is_missing(errno))
            return listen_failed(addresses[i], port, e);
    }
    return true;
}

static int port_of(int fd)
{
    struct address a;
    a.bytes = sizeof a.sa;
    if (getsockname(fd, &a.sa.any, &a.bytes) != 0)
        return 0;
    return ntohs(a.sa.any.sa_family == AF_INET6 ? a.sa.in6.sin6_port : a.sa.in.sin_port);
}

/* True without a socket when the machine lacks the address and others are asked for. */
static bool daemon_listen(struct server_daemon *d, const char *address, struct err *e)
{
    struct http_server *s = d->server;
    struct address a;
    if (!address_parse(address, s->port, &a, e))
        return false;
    d->listen_fd = socket_bind(&a, serves_both(s->config.addresses, s->config.n_addresses), true);
    if (d->listen_fd < 0)
        return (s->n_daemons > 1 && is_missing(errno)) || listen_failed(address, s->port, e);
    /* Accepted sockets inherit these. The first ends clients that do not take their answer. */
    option_set(d->listen_fd, IPPROTO_TCP, TCP_USER_TIMEOUT, LIMIT_CLIENT_READ_MS);
    option_set(d->listen_fd, IPPROTO_TCP, TCP_NODELAY, 1);
    if (listen(d->listen_fd, LISTEN_BACKLOG) != 0)
        return listen_failed(address, s->port, e);
    if (s->port == 0)
        s->port = port_of(d->listen_fd);
    return true;
}

/* ---- life ---- */

static bool daemon_start(struct server_daemon *d, struct err *e)
{
    const struct http_server_config *config = &d->server->config;
    bool is_tls = config->tls_cert_pem != NULL;
    struct MHD_OptionItem options[] = {
        {MHD_OPTION_CONNECTION_LIMIT, LIMIT_CONNECTIONS, NULL},
        {MHD_OPTION_STRICT_FOR_CLIENT, 1, NULL},
        {is_tls ? MHD_OPTION_HTTPS_MEM_CERT : MHD_OPTION_END, 0,
         (void *)(uintptr_t)config->tls_cert_pem},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)(uintptr_t)config->tls_key_pem},
        {MHD_OPTION_END, 0, NULL},
    };
    unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
    flags |= is_tls ? MHD_USE_TLS : 0;
    d->mhd = MHD_start_daemon(
        flags, 0, NULL, NULL, on_request, d, MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL,
        MHD_OPTION_LISTEN_SOCKET, d->listen_fd, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)POOL_BYTES, MHD_OPTION_NOTIFY_CONNECTION, on_connection, d,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, d, MHD_OPTION_URI_LOG_CALLBACK, on_request_line,
        NULL, MHD_OPTION_ARRAY, options, MHD_OPTION_END);
    if (!d->mhd)
        d->listen_fd = -1; /* failing, libmicrohttpd has closed it */
    if (!d->mhd)
        return err_set(e, ERR_INVALID,
                       is_tls ? "TLS_CERT or TLS_KEY cannot be used"
                              : "the HTTP server cannot be started");
    d->epoll.fd = MHD_get_daemon_info(d->mhd, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    d->epoll.on_event = on_epoll;
    return loop_fd_add(d->server->loop, &d->epoll, EPOLLIN, e);
}

static struct http_server *server_new(struct loop *l, const struct http_server_config *config)
{
    struct http_server *s = calloc(1, sizeof *s);
    struct server_daemon *daemons = calloc(config->n_addresses, sizeof *daemons);
    if (!s || !daemons) {
        free(s);
        free(daemons);
        return NULL;
    }
    s->loop = l;
    s->config = *config;
    s->daemons = daemons;
    s->n_daemons = config->n_addresses;
    s->port = config->port;
    s->refs = 1;
    s->tick.on_fire = server_conn_tick;
    s->hook.before_wait = before_wait;
    list_init(&s->requests);
    for (int i = 0; i < CONN_WAITS; i++)
        list_init(&s->waiting[i]);
    for (size_t i = 0; i < s->n_daemons; i++)
        daemons[i] = (struct server_daemon){.server = s, .listen_fd = -1};
    loop_hook_add(l, &s->hook);
    return s;
}

struct http_server *http_server_start(struct loop *l, const struct http_server_config *config,
                                      struct err *e)
{
    struct http_server *s = server_new(l, config);
    if (!s) {
        err_set(e, ERR_UNAVAILABLE, "out of memory");
        return NULL;
    }
    bool ok = config->n_addresses > 0 || err_set(e, ERR_INVALID, "HOST names no address");
    for (size_t i = 0; ok && i < s->n_daemons; i++) {
        ok = daemon_listen(&s->daemons[i], config->addresses[i], e) &&
             (s->daemons[i].listen_fd < 0 || daemon_start(&s->daemons[i], e));
    }
    if (ok && s->port == 0)
        ok = err_set(e, ERR_UNAVAILABLE, "the machine has none of the addresses of HOST");
    if (ok)
        return s;
    http_server_stop(s);
    return NULL;
}

int http_server_port(const struct http_server *s)
{
    return s->port;
}

int http_server_active(const struct http_server *s)
{
    return s->active;
}

void http_server_drain(struct http_server *s)
{
    s->is_draining = true;
    for (size_t i = 0; i < s->n_daemons; i++) {
        struct server_daemon *d = &s->daemons[i];
        if (d->mhd && d->listen_fd >= 0)
            MHD_quiesce_daemon(d->mhd);
        if (d->listen_fd >= 0)
            close(d->listen_fd);
        d->listen_fd = -1;
    }
    LIST_FOR(pos, &s->waiting[CONN_IDLES])
    server_conn_read_no_more(CONTAINER_OF(pos, struct server_conn, wait));
    /* Streams without a fiber wait for news that may never come: they end now, cleanly. */
    LIST_FOR(pos, &s->requests)
    {
        struct server_request *r = CONTAINER_OF(pos, struct server_request, all);
        if (!r->fiber && r->stream)
            http_stream_end(&r->rq);
    }
}

void http_server_cancel_all(struct http_server *s)
{
    LIST_FOR(pos, &s->requests)
    {
        struct server_request *r = CONTAINER_OF(pos, struct server_request, all);
        if (r->fiber)
            fiber_cancel(r->fiber);
        else if (r->stream)
            http_stream_end(&r->rq);
        else if (r->conn && !r->is_started) /* its client still writes it */
            server_conn_cut(r->conn);
    }
}

void server_unref(struct http_server *s)
{
    if (--s->refs > 0)
        return;
    free(s->daemons);
    free(s);
}

/*
 * libmicrohttpd must not be stopped with suspended connections: they are resumed and closed in one
 * last turn. A fiber that still runs holds the server's memory until it has returned.
 */
void http_server_stop(struct http_server *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->n_daemons; i++) /* what was answered in the loop's last turn */
        if (s->daemons[i].mhd && s->daemons[i].must_run && !s->daemons[i].is_running)
            daemon_run(&s->daemons[i]);
    if (!s->is_draining)
        http_server_drain(s);
    http_server_cancel_all(s);
    LIST_FOR(pos, &s->requests)
    server_request_wake(CONTAINER_OF(pos, struct server_request, all));
    s->is_stopping = true;
    for (size_t i = 0; i < s->n_daemons; i++) {
        struct server_daemon *d = &s->daemons[i];
        if (!d->mhd)
            continue;
        if (d->is_running)
            bug("http_server_stop from within a request");
        loop_fd_remove(s->loop, &d->epoll);
        MHD_run(d->mhd);
        MHD_stop_daemon(d->mhd);
        d->mhd = NULL;
    }
    loop_hook_remove(s->loop, &s->hook);
    loop_timer_stop(s->loop, &s->tick);
    server_unref(s);
}
