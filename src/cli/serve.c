/* tulle serve: workers, signals, drain. */
#include <errno.h>
#include <malloc.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <unistd.h>

#include "auth/login/accounts.h"
#include "auth/sso/installation_providers.h"
#include "auth/mail/mailer.h"
#include "auth/oauth/upkeep.h"
#include "auth/saml/refresh.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/uri.h"
#include "cli/command.h"
#include "cli/install.h"
#include "cli/port_owner.h"
#include "cli/remote_hint.h"
#include "io/fiber.h"
#include "io/http_server.h"
#include "io/offload.h"
#include "io/otlp.h"
#include "io/worker.h"
#include "log/log.h"
#include "mcp/aggregate.h"
#include "mcp/list_cache.h"
#include "mcp/list_watch.h"
#include "mcp/channel.h"
#include "mcp/m2s.h"
#include "mcp/proxied_call.h"
#include "mcp/s2m.h"
#include "mcp/upstream_health.h"
#include "routes/dispatch.h"

enum { POLL_MS = 20, GRACE_AFTER_CANCEL_MS = 3000, ADDRESSES_MAX = 2 };

/* One worker's part of the server. */
struct serving {
    struct services sv;
    struct http_server *server;
    struct otlp *otlp;
    bool is_otlp_stopped;
};

struct server {
    struct install in;
    const char *addresses[ADDRESSES_MAX];
    size_t n_addresses;
    char *tls_cert, *tls_key;
    int lock_fd;
    char setup_url[512]; /* "": there is an operator */
    int n_active;        /* summed up by count_active, on the workers in turn */
};

/* ---- before the workers ---- */

static bool ipv6_loopback_exists(void)
{
    struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool exists = fd >= 0 && bind(fd, (struct sockaddr *)&any, sizeof(any)) == 0;
    if (fd >= 0)
        (void)close(fd);
    return exists;
}

static void addresses_choose(struct server *s)
{
    if (s->in.config.host) {
        s->addresses[s->n_addresses++] =
            str_eq(str_c(s->in.config.host), STR("localhost")) ? "127.0.0.1" : s->in.config.host;
        return;
    }
    s->addresses[s->n_addresses++] = "127.0.0.1";
    if (ipv6_loopback_exists())
        s->addresses[s->n_addresses++] = "::1";
}

static bool lock_take(struct server *s, struct err *e)
{
    char path[4096];
    if (snprintf(path, sizeof(path), "%s/serve.lock", s->in.config.data_dir) >= (int)sizeof(path))
        return err_set(e, ERR_INVALID, "DATA_DIR is too long");
    s->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (s->lock_fd >= 0 && flock(s->lock_fd, LOCK_EX | LOCK_NB) == 0)
        return true;
    if (errno == EWOULDBLOCK)
        return err_set(e, ERR_CONFLICT, "another tulle serve uses DATA_DIR \"%.200s\" already",
                       s->in.config.data_dir);
    return err_set(e, ERR_UNAVAILABLE, "%.250s: %s", path, strerrordesc_np(errno));
}

static bool port_is_free(struct server *s, struct err *e)
{
    int port = (int)s->in.config.port;
    char owner[120];
    if (http_server_probe_port(s->addresses, s->n_addresses, port, e))
        return true;
    if (e->code != ERR_CONFLICT)
        return false;
    port_owner_describe(port, owner, sizeof(owner));
    return err_set(e, ERR_CONFLICT, "port %d is in use by %s; choose another with --port", port,
                   owner);
}

/* Reads a PEM file whole. */
static bool file_read(const char *path, char **out, struct err *e)
{
    enum { PEM_MAX = 256 * 1024 };
    *out = NULL;
    if (!path)
        return true;
    FILE *f = fopen(path, "re");
    char *text = f ? calloc(1, PEM_MAX + 1) : NULL;
    size_t n = text ? fread(text, 1, PEM_MAX, f) : 0;
    if (f)
        (void)fclose(f);
    if (n > 0 && n < PEM_MAX) {
        *out = text;
        return true;
    }
    free(text);
    return err_set(e, ERR_INVALID, "the file \"%.200s\" cannot be read as PEM", path);
}

/* ---- workers ---- */

static bool worker_listen(struct server *s, struct serving *w, struct err *e)
{
    struct http_server_config c = {.addresses = s->addresses,
                                   .n_addresses = s->n_addresses,
                                   .port = (int)s->in.config.port,
                                   .tls_cert_pem = s->tls_cert,
                                   .tls_key_pem = s->tls_key,
                                   .trusted_proxies = s->in.config.trusted_proxies,
                                   .context = &w->sv,
                                   .on_head = dispatch_on_head,
                                   .handle = dispatch_handle,
                                   .refuse = dispatch_refuse,
                                   .on_done = dispatch_on_done};
    w->server = http_server_start(w->sv.loop, &c, e);
    return w->server != NULL;
}

static bool worker_start(struct worker *worker, void *arg, struct err *e)
{
    struct server *s = arg;
    struct serving *w = calloc(1, sizeof(*w));
    if (!w)
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    worker->context = w;
    if (!services_open(&s->in, worker->index, worker->loop, &w->sv, e) || !worker_listen(s, w, e) ||
        !proxied_reaper_start(&w->sv, e) || !proxied_relay_watch_start(&w->sv, e))
        return false;
    if (worker->index == 0 && (!upstream_health_start(&w->sv, e) || !mailer_start(&w->sv, e) ||
                               !upkeep_start(&w->sv, e) || !saml_refresh_start(&w->sv, e)))
        return false;
    if (worker->index == 0 && s->in.config.otel_endpoint) {
        w->otlp = otlp_start(worker->loop, w->sv.http, s->in.config.otel_endpoint, e);
        return w->otlp != NULL;
    }
    return true;
}

static void worker_stop(struct worker *worker)
{
    struct serving *w = worker->context;
    if (!w)
        return;
    if (w->server)
        http_server_stop(w->server);
    services_close(&w->sv);
    free(w);
}

/* ---- shutdown: each of these runs on the workers ---- */

static void drain_worker(struct worker *worker, void *arg unused_arg)
{
    struct serving *w = worker->context;
    http_server_drain(w->server);
}

static void count_active(struct worker *worker, void *arg)
{
    struct server *s = arg;
    struct serving *w = worker->context;
    __atomic_add_fetch(&s->n_active, http_server_active(w->server), __ATOMIC_RELAXED);
}

static void cancel_worker(struct worker *worker, void *arg unused_arg)
{
    struct serving *w = worker->context;
    http_server_cancel_all(w->server);
}

static void otlp_end(void *arg)
{
    struct serving *w = arg;
    otlp_stop(w->otlp);
    w->otlp = NULL;
}

static void end_helpers(struct worker *worker, void *arg unused_arg)
{
    struct serving *w = worker->context;
    fiber_cancel(w->sv.reaper);
    fiber_cancel(w->sv.relay_watch);
    if (w->sv.prober)
        fiber_cancel(w->sv.prober);
    if (w->sv.upkeep)
        fiber_cancel(w->sv.upkeep);
    if (w->sv.saml_refresher)
        fiber_cancel(w->sv.saml_refresher);
    mailer_stop(&w->sv);
    m2s_stop(&w->sv);
    s2m_listens_end(&w->sv);
    channels_stop(&w->sv);
    aggregate_streams_end(&w->sv);
    list_watch_stop(&w->sv);
    list_cache_stop(w->sv.lists);
    if (w->otlp && !fiber_start(worker->loop, otlp_end, w, NULL, NULL))
        w->otlp = NULL;
}

static void count_helpers(struct worker *worker, void *arg)
{
    struct server *s = arg;
    struct serving *w = worker->context;
    /* Fibers that nobody waits for (a key's last use, a found era) end before what they use does;
     * one stays, the audit writer's on its own thread. */
    int n_fibers = worker->index == 0 ? fiber_count() - 1 : 0;
    int n_channels = worker->index == 0 ? channels_count(s->in.channels) : 0;
    __atomic_add_fetch(&s->n_active, n_fibers + n_channels + (w->otlp ? 1 : 0), __ATOMIC_RELAXED);
}

/* Waits until the workers count nothing any more. */
static bool wait_until_none(struct server *s, struct workers *ws,
                            void (*count)(struct worker *, void *), int64_t limit_ms)
{
    int64_t deadline = clock_mono_ms() + limit_ms;
    for (;;) {
        __atomic_store_n(&s->n_active, 0, __ATOMIC_RELAXED);
        workers_each(ws, count, s);
        if (__atomic_load_n(&s->n_active, __ATOMIC_RELAXED) == 0)
            return true;
        if (clock_mono_ms() >= deadline)
            return false;
        (void)usleep(POLL_MS * 1000);
    }
}

static void shut_down(struct server *s, struct workers *ws)
{
    LOG(EV_DRAINING, LF_INT("seconds", s->in.config.drain_seconds));
    __atomic_store_n(&s->in.is_draining, true, __ATOMIC_RELAXED);
    workers_each(ws, drain_worker, NULL);
    if (!wait_until_none(s, ws, count_active, s->in.config.drain_seconds * 1000)) {
        workers_each(ws, cancel_worker, NULL);
        (void)wait_until_none(s, ws, count_active, GRACE_AFTER_CANCEL_MS);
    }
    workers_each(ws, end_helpers, NULL);
    (void)wait_until_none(s, ws, count_helpers, GRACE_AFTER_CANCEL_MS);
    /* Jobs whose waiters have gone still report to a loop: they end while the loops turn. */
    offload_free(s->in.offload);
    s->in.offload = NULL;
    workers_join(ws);
}

/* ---- the command ---- */

static int worker_count(const struct config *c)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    if (c->workers > 0)
        return (int)c->workers;
    return cores < 1 ? 1 : cores > LIMIT_WORKERS ? LIMIT_WORKERS : (int)cores;
}

static bool first_operator(struct services *sv, struct arena *a, void *arg, struct err *e)
{
    struct server *s = arg;
    struct str url;
    if (!installation_providers_start(sv, a, e) || !accounts_first_operator(sv, a, &url, e))
        return false;
    (void)snprintf(s->setup_url, sizeof(s->setup_url), "%.*s", STR_FMT(url));
    return true;
}

static bool prepare(struct server *s, int argc, char **argv, struct err *e)
{
    if (!install_configure(&s->in, argc - 1, argv + 1, e))
        return false;
    if (s->in.n_rest > 0)
        return err_set(e, ERR_INVALID, "\"%.60s\" is no setting; tulle serve --help lists them",
                       s->in.rest[0]);
    addresses_choose(s);
    if (!install_make_data_dir(&s->in, e) || !lock_take(s, e) || !port_is_free(s, e) ||
        !file_read(s->in.config.tls_cert, &s->tls_cert, e) ||
        !file_read(s->in.config.tls_key, &s->tls_key, e) || !install_open(&s->in, e))
        return false;
    if (s->in.n_migrated > 0)
        LOG(EV_MIGRATED, LF_INT("applied", s->in.n_migrated));
    return install_run(&s->in, first_operator, s, e);
}

/* The link, and how to open it where there is a browser. */
static void setup_print(const struct server *s)
{
    char host[256], line[600];
    struct remote_place place;
    struct uri base;
    (void)printf("Set up: %s\n", s->setup_url);
    remote_place_read(&place, host, sizeof(host));
    if (s->in.config.base_is_loopback && uri_parse(str_c(s->in.config.origin), &base) &&
        remote_hint_write(&place, uri_port(&base), (int)s->in.config.port, line, sizeof(line)))
        (void)printf("No browser here? On your machine: %s\n", line);
}

static bool run(struct server *s, sigset_t *signals, struct err *e)
{
    struct workers *ws =
        workers_start(worker_count(&s->in.config), worker_start, worker_stop, s, e);
    if (!ws)
        return false;
    (void)printf("Tulle is at %s\n", s->in.config.origin);
    if (s->setup_url[0])
        setup_print(s);
    (void)fflush(stdout);
    LOG(EV_STARTED, LF_STR("url", str_c(s->in.config.origin)), LF_INT("port", s->in.config.port),
        LF_INT("workers", worker_count(&s->in.config)));
    int received;
    (void)sigwait(signals, &received);
    shut_down(s, ws);
    return true;
}

/* glibc gives memory back at 128 KiB, and takes what is larger from the system: the writers, which
 * fill and free half a megabyte a commit, would have the kernel clear all of it each time. */
static void memory_hold(void)
{
#ifdef __GLIBC__
    enum { TAKEN_ALONE = 1024 * 1024, GIVEN_BACK = 2 * 1024 * 1024 }; /* bytes, of each thread */
    /* NOLINTBEGIN(concurrency-mt-unsafe): no other thread runs yet */
    (void)mallopt(M_MMAP_THRESHOLD, TAKEN_ALONE);
    (void)mallopt(M_TRIM_THRESHOLD, GIVEN_BACK);
    /* NOLINTEND(concurrency-mt-unsafe) */
#endif
}

int command_serve(int argc, char **argv)
{
    struct server s = {.lock_fd = -1};
    struct err e = {.code = ERR_NONE};
    sigset_t signals;
    if (argc > 1 && str_eq(str_c(argv[1]), STR("--help")))
        return command_config(argc, argv);
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    (void)pthread_sigmask(SIG_BLOCK, &signals, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    memory_hold();
    bool is_good = prepare(&s, argc, argv, &e) && run(&s, &signals, &e);
    install_close(&s.in);
    free(s.tls_cert);
    free(s.tls_key);
    if (s.lock_fd >= 0)
        (void)close(s.lock_fd);
    if (!is_good)
        return command_failed(&e);
    LOG(EV_STOPPED, LF_INT("code", 0));
    return 0;
}
