/*
 * A real server on a free loopback port. Clients are raw sockets driven by the test's own fiber on
 * the same loop, so that nothing here sleeps or races. Failed checks are counted within the fiber
 * and asserted outside of it.
 */
#pragma once

#include "io/http_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/limits.h"
#include "io/fiber.h"
#include "io/http_server_parts.h"
#include "log/metrics.h"

enum { PATIENCE_MS = 20 * 1000, BODY_CAP = 1000 };

/* ---- the server under test ---- */

static struct {
    struct http_server *server;
    struct http_request *held; /* by /wait, /stream, /detach */
    struct fiber_wait gate;    /* lets /wait go on */
    struct fiber_wait entered; /* a handler holds a request */
    struct fiber_wait ended;   /* on_done was called */
    enum err_code wait_result; /* of /wait and of /flood */
    int handled, done, left, refused, closed;
    size_t flooded;
    int last_status;
    int64_t last_bytes;
    char last_path[64], last_query[64];
    int failures;
} t;

#define CHECK(cond) check((cond), #cond, __LINE__)

static inline bool check(bool ok, const char *what, int line)
{
    if (ok)
        return true;
    print_error("line %d: %s\n", line, what);
    t.failures++;
    return false;
}

static inline int64_t soon(void)
{
    return clock_mono_ms() + PATIENCE_MS;
}

static inline size_t on_head(struct http_request *rq)
{
    snprintf(t.last_path, sizeof t.last_path, "%.*s", STR_FMT(rq->path));
    snprintf(t.last_query, sizeof t.last_query, "%.*s", STR_FMT(rq->query));
    return BODY_CAP;
}

static inline void handle_wait(struct http_request *rq)
{
    struct err e = {0};
    bool ok = fiber_wait(&t.gate, soon(), &e);
    t.wait_result = ok ? ERR_NONE : e.code;
    http_answer(rq, ok ? 200 : err_http(e.code), STR("text/plain"), STR("waited"));
}

static inline void on_close(void *arg)
{
    int *closed = arg;
    ++*closed;
}

static inline void handle_flood(struct http_request *rq)
{
    static char block[64 * 1024];
    struct err e = {0};
    memset(block, 'f', sizeof block);
    while (http_stream_write(rq, (struct str){block, sizeof block}, &e)) {
        t.flooded += sizeof block;
        if (t.flooded == 64 * sizeof block) {
            http_stream_end(rq);
            return;
        }
    }
    t.wait_result = e.code;
}

static inline void handle_stream(struct http_request *rq)
{
    struct err e = {0};
    int64_t length = str_eq(rq->path, STR("/sized")) ? 10 : -1;
    if (!CHECK(http_stream_begin(rq, 200, STR("text/event-stream"), length, &e)))
        return;
    if (str_eq(rq->path, STR("/flood"))) {
        handle_flood(rq);
    } else if (str_eq(rq->path, STR("/detach"))) {
        http_stream_detach(rq, on_close, &t.closed);
    } else if (str_eq(rq->path, STR("/abandon"))) {
        CHECK(http_stream_write(rq, STR("half"), &e));
    } else {
        CHECK(http_stream_write(rq, STR("hello"), &e) && http_stream_write(rq, STR("world"), &e));
        http_stream_end(rq);
    }
}

static inline void handle(struct http_request *rq)
{
    t.handled++;
    t.held = rq;
    fiber_wake(&t.entered);
    if (str_eq(rq->path, STR("/wait"))) {
        handle_wait(rq);
    } else if (str_eq(rq->path, STR("/echo")) || str_ends(rq->path, STR("%2Fb%00c"))) {
        http_set_header(rq, STR("X-Echo"), rq->method_name);
        http_set_header(rq, STR("Content-Length"), STR("7"));
        http_answer(rq, 200, STR("text/plain"), rq->body);
    } else if (str_eq(rq->path, STR("/big"))) {
        char *p = arena_alloc(rq->arena, 1 << 20);
        memset(p, 'b', 1 << 20);
        http_answer(rq, 200, STR("text/plain"), (struct str){p, 1 << 20});
    } else if (!str_eq(rq->path, STR("/forget"))) {
        handle_stream(rq);
    }
}

static inline void refuse(struct http_request *rq, const struct err *e)
{
    t.refused++;
    http_answer(rq, err_http(e->code), STR("text/plain"), arena_dup(rq->arena, str_c(e->msg)));
}

static inline void on_done(struct http_request *rq, bool client_left)
{
    t.done++;
    t.left += client_left;
    t.last_status = rq->answered_status;
    t.last_bytes = rq->answered_bytes;
    t.held = NULL;
    fiber_wake(&t.ended);
}

/* ---- clients ---- */

struct client {
    int fd;
    struct loop_fd watch;
    struct fiber_wait ready;
    struct buf in;
    bool is_ended; /* the server has closed */
    bool was_reset;
};

static inline void client_on_event(struct loop_fd *f, uint32_t ready)
{
    (void)ready;
    fiber_wake(&CONTAINER_OF(f, struct client, watch)->ready);
}

static inline void client_open_small(struct client *c, int receive_bytes)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port = htons((uint16_t)http_server_port(t.server))};
    memset(c, 0, sizeof *c);
    buf_init(&c->in, 64 << 20);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (receive_bytes)
        setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes);
    CHECK(connect(c->fd, (struct sockaddr *)&to, sizeof to) == 0);
    c->watch.fd = c->fd;
    c->watch.on_event = client_on_event;
}

static inline void client_open(struct client *c)
{
    client_open_small(c, 0);
}

static inline void client_close(struct client *c)
{
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    buf_end(&c->in);
}

/* What does not fit into the socket's buffers goes once the server has had a turn. */
static inline void client_send_bytes(struct client *c, struct str bytes)
{
    while (bytes.n > 0) {
        ssize_t n = send(c->fd, bytes.p, bytes.n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN)
            fiber_yield();
        else if (n < 0)
            return;
        else
            bytes = str_slice(bytes, (size_t)n, bytes.n);
    }
}

static inline void client_send(struct client *c, const char *text)
{
    client_send_bytes(c, str_c(text));
}

static inline bool client_wait_readable(struct client *c)
{
    struct err e;
    struct loop *l = loop_self();
    fiber_rearm(&c->ready);
    bool ok = loop_fd_add(l, &c->watch, EPOLLIN, &e) && fiber_wait(&c->ready, soon(), &e);
    loop_fd_remove(l, &c->watch);
    return CHECK(ok);
}

/* One read; false at the end. */
static inline bool client_read(struct client *c)
{
    if (c->is_ended || !client_wait_readable(c))
        return false;
    char *to = buf_reserve(&c->in, 64 * 1024);
    ssize_t n = recv(c->fd, to, 64 * 1024, MSG_DONTWAIT);
    c->was_reset = n < 0;
    c->is_ended = n <= 0;
    c->in.n += n > 0 ? (size_t)n : 0;
    return n > 0;
}

static inline bool client_has(const struct client *c, const char *text)
{
    return str_find(buf_str(&c->in), str_c(text)) != SIZE_MAX;
}

/* Reads until `text` has come. */
static inline bool client_gets(struct client *c, const char *text)
{
    while (!client_has(c, text)) {
        if (!client_read(c))
            return false;
    }
    return true;
}

static inline void client_read_all(struct client *c)
{
    while (client_read(c))
        ;
}

/* Sends, reads one answer that ends with `last`, and forgets it. */
static inline bool client_asks(struct client *c, const char *request, const char *last)
{
    client_send(c, request);
    bool ok = client_gets(c, last);
    buf_reset(&c->in);
    return ok;
}

/* A connection of its own for one request; true when it is answered with the status and closed. */
static inline bool refused_with(struct str request, const char *status_line)
{
    struct client c;
    client_open(&c);
    client_send_bytes(&c, request);
    client_read_all(&c);
    bool ok = str_starts(buf_str(&c.in), str_c(status_line)) && c.is_ended;
    if (!ok)
        print_error("got: %.*s\n", STR_FMT(buf_str(&c.in)));
    client_close(&c);
    return ok;
}

static inline bool wait_for(struct fiber_wait *w)
{
    struct err e;
    bool ok = fiber_wait(w, soon(), &e);
    fiber_rearm(w);
    return CHECK(ok);
}

/* Until every request has ended. */
static inline bool wait_until_quiet(void)
{
    int64_t until_ms = soon();
    while (http_server_active(t.server) > 0 && clock_mono_ms() < until_ms)
        fiber_yield();
    return CHECK(http_server_active(t.server) == 0);
}

/* ---- running ---- */

static inline void run_on_server(void *arg)
{
    void (*test)(void) = *(void (**)(void))arg;
    static const char *const addresses[] = {"127.0.0.1"};
    struct http_server_config config = {
        .addresses = addresses,
        .n_addresses = 1,
        .on_head = on_head,
        .handle = handle,
        .refuse = refuse,
        .on_done = on_done,
    };
    struct err e;
    t.server = http_server_start(loop_self(), &config, &e);
    if (!CHECK(t.server != NULL))
        return;
    test();
    if (!t.server)
        return;
    http_server_cancel_all(t.server);
    wait_until_quiet();
    http_server_stop(t.server);
}

static inline void run(void (*test)(void))
{
    struct err e;
    memset(&t, 0, sizeof t);
    t.wait_result = ERR_NONE;
    int64_t connections = metric_value(M_HTTP_CONNECTIONS);
    int64_t streams = metric_value(M_HTTP_STREAMS);
    assert_true(fiber_main(run_on_server, &test, &e));
    assert_int_equal(t.failures, 0);
    assert_int_equal(metric_value(M_HTTP_CONNECTIONS), connections);
    assert_int_equal(metric_value(M_HTTP_STREAMS), streams);
}

#define TEST(name)                                                                                 \
    static void name##_body(void);                                                                 \
    static void name(void **state)                                                                 \
    {                                                                                              \
        (void)state;                                                                               \
        run(name##_body);                                                                          \
    }                                                                                              \
    static void name##_body(void)

#define GET(path)  "GET " path " HTTP/1.1\r\nHost: h\r\n\r\n"
#define POST(path) "POST " path " HTTP/1.1\r\nHost: h\r\n"
