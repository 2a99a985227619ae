/* The outgoing client against a server of raw sockets: answers of every kind, failures, deadlines,
 * the guard, the proxy. */
#include "io/http_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <dlfcn.h>
#include <netdb.h>
#include <netinet/in.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/limits.h"
#include "io/fiber.h"
#include "io/offload.h"
#include "log/metrics.h"
#include "unit/raw_server.h"

/* ---- names: what the resolver of this process says ---- */

static atomic_int rebind_lookups;
static atomic_bool slow_is_released;

static int real_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                            struct addrinfo **out)
{
    static int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&lock);
    if (!real) {
        void *symbol = dlsym(RTLD_NEXT, "getaddrinfo");
        memcpy(&real, &symbol, sizeof real);
    }
    pthread_mutex_unlock(&lock);
    return real(node, service, hints, out);
}

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **out)
{
    if (node && strcmp(node, "inner.test") == 0)
        node = "127.0.0.1";
    else if (node && strcmp(node, "tunnel-refused.test") == 0)
        node = "127.0.0.9";
    else if (node && strcmp(node, "rebind.test") == 0)
        node = rebind_lookups++ == 0 ? "127.0.0.2" : "127.0.0.1";
    else if (node && strcmp(node, "unknown.test") == 0)
        return EAI_NONAME;
    else if (node && strcmp(node, "slow.test") == 0) {
        while (!slow_is_released)
            usleep(1000);
        return EAI_AGAIN;
    }
    return real_getaddrinfo(node, service, hints, out);
}

/* ---- the fixture: one server, one guard, one client, one fiber ---- */

struct fixture {
    struct raw_server *server;
    struct http_guard *guard;
    struct http_client *client;
    struct offload *offload;
    struct arena *arena;
    char url[300];
};

static struct fixture fx;

struct setup {
    const char *egress_allow;
    bool no_loopback;
    bool use_proxy;
    const char *no_proxy;
    void (*test)(void);
};

static void in_fiber(void *arg)
{
    const struct setup *s = arg;
    struct err e;
    char proxy[64];
    snprintf(proxy, sizeof proxy, "http://127.0.0.1:%d", fx.server->port);
    fx.guard = http_guard_new(&(struct http_guard_config){.egress_allow = s->egress_allow,
                                                          .allow_loopback = !s->no_loopback},
                              &e);
    assert_non_null(fx.guard);
    fx.client = http_client_new(fiber_loop(),
                                &(struct http_client_config){.guard = fx.guard,
                                                             .proxy = s->use_proxy ? proxy : NULL,
                                                             .no_proxy = s->no_proxy,
                                                             .offload = fx.offload},
                                &e);
    assert_non_null(fx.client);
    s->test();
    http_client_free(fx.client);
    http_guard_free(fx.guard);
}

static void run_with(const struct setup *s)
{
    struct err e;
    struct setup copy = *s;
    fx.server = raw_server_start();
    fx.offload = offload_new(1, &e);
    fx.arena = arena_new((size_t)32 * 1024 * 1024);
    int fibers = fiber_count();
    assert_true(fiber_main(in_fiber, &copy, &e));
    assert_int_equal(fiber_count(), fibers);
    offload_free(fx.offload);
    arena_end(fx.arena);
    raw_server_stop(fx.server);
}

static void run(void (*test)(void))
{
    run_with(&(struct setup){.test = test});
}

static struct str url_at(const char *host, const char *path)
{
    snprintf(fx.url, sizeof fx.url, "http://%s:%d%s", host, fx.server->port, path);
    return str_c(fx.url);
}

static struct http_call get(const char *path)
{
    return (struct http_call){.method = STR("GET"), .url = url_at("127.0.0.1", path)};
}

static void fetch_ok(const struct http_call *call, struct http_fetched *out)
{
    struct err e = {.code = ERR_NONE};
    if (!http_fetch(fx.client, fx.arena, call, 1 << 20, out, &e))
        fail_msg("%s (%s)", e.msg, e.detail);
}

/* What a failing fetch says. */
static struct err fetch_err(const struct http_call *call)
{
    struct http_fetched got;
    struct err e = {.code = ERR_NONE};
    assert_false(http_fetch(fx.client, fx.arena, call, 1 << 20, &got, &e));
    return e;
}

static void assert_err(struct err e, enum err_code code, const char *text)
{
    if (e.code != code || !strstr(e.msg, text))
        fail_msg("%s: \"%s\" (%s), expected \"%s\"", err_text(e.code), e.msg, e.detail, text);
}

static void assert_str(struct str s, const char *expected)
{
    if (!str_eq(s, str_c(expected)))
        fail_msg("\"%.*s\", expected \"%s\"", STR_FMT(s), expected);
}

static struct http_exchange *open_ok(const struct http_call *call, struct http_answer_head *head)
{
    struct err e = {.code = ERR_NONE};
    struct http_exchange *x = http_open(fx.client, call, head, &e);
    if (!x)
        fail_msg("%s (%s)", e.msg, e.detail);
    return x;
}

/* Gives the loop turns until the server's counter is there. */
static void wait_for(const atomic_int *counter, int at_least)
{
    int64_t until_ms = clock_mono_ms() + 20000;
    while (*counter < at_least) {
        if (clock_mono_ms() > until_ms)
            fail_msg("the server did not see it");
        struct err e;
        assert_true(fiber_sleep_until(clock_mono_ms() + 1, &e));
    }
}

/* ---- answers ---- */

static void many_calls(void)
{
    for (int i = 0; i < 20; i++) {
        struct http_fetched got;
        struct http_call call = get("/ok");
        fetch_ok(&call, &got);
        assert_int_equal(got.head.status, 200);
        assert_str(got.body, "{\"ok\":true}");
        struct str type =
            http_header_get(got.head.headers, got.head.n_headers, STR("content-type"));
        assert_str(type, "application/json");
        struct str empty = http_header_get(got.head.headers, got.head.n_headers, STR("X-Empty"));
        assert_int_equal(empty.n, 0);
    }
    assert_int_equal(fx.server->connections, 1);
}

static void a_connection_is_kept_and_reused(void **state)
{
    (void)state;
    run(many_calls);
}

static void fetch_body(const char *path, int status, const char *body)
{
    struct http_fetched got;
    struct http_call call = get(path);
    fetch_ok(&call, &got);
    assert_int_equal(got.head.status, status);
    assert_str(got.body, body);
}

static void framings(void)
{
    fetch_body("/chunked", 200, "abcdefg");
    fetch_body("/until-close", 200, "until close");
    fetch_body("/none", 204, "");
    fetch_body("/once", 200, "ok");
    fetch_body("/ok", 200, "{\"ok\":true}");
    fetch_body("/missing", 404, "");
}

static void every_framing_is_read(void **state)
{
    (void)state;
    run(framings);
}

static void hints(void)
{
    struct http_fetched got;
    struct http_call call = get("/hints");
    fetch_ok(&call, &got);
    assert_int_equal(got.head.status, 200);
    assert_true(str_is_absent(http_header_get(got.head.headers, got.head.n_headers, STR("Link"))));
    assert_str(http_header_get(got.head.headers, got.head.n_headers, STR("X-Real")), "1");
}

static void an_interim_answer_is_not_the_answer(void **state)
{
    (void)state;
    run(hints);
}

static void redirect(void)
{
    struct http_fetched got;
    struct http_call call = get("/redirect");
    fetch_ok(&call, &got);
    assert_int_equal(got.head.status, 302);
    assert_int_equal(fx.server->requests, 1);
}

static void a_redirect_is_not_followed(void **state)
{
    (void)state;
    run(redirect);
}

static void encoded(void)
{
    fetch_body("/gzip", 200, "\x1f\x8b!");
    assert_null(strcasestr(fx.server->last, "accept-encoding"));
}

static void encodings_are_neither_asked_for_nor_undone(void **state)
{
    (void)state;
    run(encoded);
}

static void cookies(void)
{
    fetch_body("/cookie", 200, "");
    fetch_body("/ok", 200, "{\"ok\":true}");
    assert_null(strcasestr(fx.server->last, "\r\ncookie"));
}

static void cookies_are_not_kept(void **state)
{
    (void)state;
    run(cookies);
}

/* ---- requests ---- */

static void post_with(struct str body, const struct http_header *headers, size_t n,
                      struct http_fetched *got)
{
    struct http_call call = {.method = STR("POST"),
                             .url = url_at("127.0.0.1", "/echo"),
                             .headers = headers,
                             .n_headers = n,
                             .body = body};
    fetch_ok(&call, got);
}

static void requests(void)
{
    const struct http_header headers[] = {
        {STR("Content-Type"), STR("application/json")},
        {STR("X-Empty"), STR("")},
        {STR("Host"), STR("evil.example")},
        {STR("Content-Length"), STR("3")},
        {STR("transfer-encoding"), STR("chunked")},
        {STR("Connection"), STR("close")},
    };
    struct http_fetched got;
    post_with(STR("{\"a\":1}"), headers, ARRAY_LEN(headers), &got);
    assert_true(str_starts(got.body, STR("POST /echo HTTP/1.1\r\n")));
    assert_true(str_ends(got.body, STR("\r\n\r\n{\"a\":1}")));
    assert_true(str_find(got.body, STR("Content-Type: application/json\r\n")) != SIZE_MAX);
    assert_true(str_find(got.body, STR("X-Empty:\r\n")) != SIZE_MAX);
    assert_true(str_find(got.body, STR("Content-Length: 7\r\n")) != SIZE_MAX);
    assert_true(str_find(got.body, STR("evil")) == SIZE_MAX);
    assert_true(str_find(got.body, STR("chunked")) == SIZE_MAX);
    assert_true(str_find(got.body, STR("Content-Length: 3")) == SIZE_MAX);

    /* The same handle, another shape: nothing of the call before is left. */
    post_with(STR(""), NULL, 0, &got);
    assert_true(str_find(got.body, STR("Content-Length: 0\r\n")) != SIZE_MAX);
    assert_true(str_find(got.body, STR("Content-Type")) == SIZE_MAX);
    assert_true(str_find(got.body, STR("X-Empty")) == SIZE_MAX);

    static const char *const methods[] = {"GET", "DELETE",  "PUT",  "POST",
                                          "GET", "OPTIONS", "PATCH"};
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        struct http_call call = get("/echo");
        call.method = str_c(methods[i]);
        bool has_body = i == 2 || i == 6;
        call.body = has_body ? STR("body") : STR_NONE;
        fetch_ok(&call, &got);
        assert_true(str_starts(got.body, call.method));
        assert_int_equal(str_ends(got.body, STR("\r\n\r\nbody")), has_body);
    }
    struct http_call head = get("/ok");
    head.method = STR("HEAD");
    fx.server->status = 200;
    head.url = url_at("127.0.0.1", "/status");
    fetch_ok(&head, &got);
    assert_int_equal(got.body.n, 0);
    assert_true(strncmp(fx.server->last, "HEAD ", 5) == 0);
    fetch_body("/ok", 200, "{\"ok\":true}");
}

static void what_is_sent_is_what_was_asked(void **state)
{
    (void)state;
    run(requests);
}

static void large_request(void)
{
    static char body[200000];
    memset(body, 'b', sizeof body);
    struct http_fetched got;
    post_with((struct str){body, sizeof body}, NULL, 0, &got);
    assert_true(got.body.n > sizeof body);
    assert_true(str_find(got.body, STR("xpect")) == SIZE_MAX);
    assert_memory_equal(got.body.p + got.body.n - sizeof body, body, sizeof body);
}

static void a_large_body_is_sent_at_once(void **state)
{
    (void)state;
    run(large_request);
}

static void bad_requests(void)
{
    static const struct http_header bad[] = {
        {STR("X-A"), STR("b\r\nX-Injected: 1")},
        {STR("X-A"), STR("b\nc")},
        {STR("X-A"), STR("b\0c")},
        {STR("X A"), STR("b")},
        {STR(""), STR("b")},
        {STR("X-A\r\nB"), STR("b")},
        {STR("X:A"), STR("b")},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct http_call call = get("/ok");
        call.headers = &bad[i];
        call.n_headers = 1;
        assert_err(fetch_err(&call), ERR_INVALID, "header");
    }
    struct http_call call = get("/ok");
    call.method = STR("GET / HTTP/1.1\r\nX: ");
    assert_err(fetch_err(&call), ERR_INVALID, "method");
    call = get("/ok");
    call.url = STR("ftp://127.0.0.1/x");
    assert_err(fetch_err(&call), ERR_INVALID, "http");
    assert_int_equal(fx.server->requests, 0);
    fetch_body("/ok", 200, "{\"ok\":true}");
}

static void ill_formed_requests_are_not_sent(void **state)
{
    (void)state;
    run(bad_requests);
}

/* ---- streaming ---- */

static void stream(void)
{
    struct http_answer_head head;
    struct http_call call = get("/large");
    struct http_exchange *x = open_ok(&call, &head);
    assert_int_equal(head.status, 200);
    assert_str(http_header_get(head.headers, head.n_headers, STR("content-length")), "1000000");
    size_t n = 0;
    struct str chunk;
    struct err e;
    do {
        assert_true(http_read(x, &chunk, 0, &e));
        for (size_t i = 0; i < chunk.n; i++)
            assert_int_equal(chunk.p[i], 'l');
        n += chunk.n;
    } while (chunk.n > 0);
    assert_int_equal(n, 1000000);
    assert_true(http_read(x, &chunk, 0, &e));
    assert_int_equal(chunk.n, 0);
    http_close(x);
    call = get("/ok");
    fetch_body("/ok", 200, "{\"ok\":true}");
    assert_int_equal(fx.server->connections, 1);
}

static void an_answer_is_read_in_pieces(void **state)
{
    (void)state;
    run(stream);
}

static void endless(void)
{
    struct http_answer_head head;
    struct http_call call = get("/endless");
    call.max_bytes = INT64_MAX;
    struct http_exchange *x = open_ok(&call, &head);
    size_t n = 0, largest = 0;
    struct err e;
    for (int i = 0; i < 100; i++) {
        for (int turn = 0; turn < 30; turn++) /* a reader slower than the server */
            fiber_yield();
        struct str chunk;
        assert_true(http_read(x, &chunk, 0, &e));
        assert_true(chunk.n > 0);
        n += chunk.n;
        largest = chunk.n > largest ? chunk.n : largest;
    }
    assert_true(n > 2 * LIMIT_PAUSE_HIGH); /* it was paused and went on */
    assert_in_range(largest, 1, LIMIT_PAUSE_HIGH + 32 * 1024);
    http_close(x);
    wait_for(&fx.server->hangups, 1);
}

static void a_slow_reader_bounds_the_memory_of_an_endless_stream(void **state)
{
    (void)state;
    run(endless);
}

static void stalled(void)
{
    struct http_answer_head head;
    struct http_call call = get("/stall");
    struct http_exchange *x = open_ok(&call, &head);
    struct str chunk;
    struct err e;
    assert_true(http_read(x, &chunk, 0, &e));
    assert_str(chunk, "first");
    assert_false(http_read(x, &chunk, clock_mono_ms() + 5, &e));
    assert_int_equal(e.code, ERR_TIMEOUT);
    raw_server_go(fx.server);
    assert_true(http_read(x, &chunk, 0, &e));
    assert_str(chunk, "other");
    assert_true(http_read(x, &chunk, 0, &e));
    assert_int_equal(chunk.n, 0);
    http_close(x);
}

static void a_reader_may_look_in_between_and_go_on(void **state)
{
    (void)state;
    run(stalled);
}

static void too_large(void)
{
    struct http_call call = get("/large");
    call.max_bytes = 999999;
    assert_err(fetch_err(&call), ERR_TOO_LARGE, "too large");
    call.max_bytes = 1000000;
    struct http_fetched got;
    fetch_ok(&call, &got);
    assert_int_equal(got.body.n, 1000000);
    struct err e;
    assert_false(http_fetch(fx.client, fx.arena, &call, 999999, &got, &e));
    assert_err(e, ERR_TOO_LARGE, "held");

    struct http_answer_head head;
    call.max_bytes = 300;
    struct http_exchange *x = http_open(fx.client, &call, &head, &e);
    bool ok = x != NULL;
    struct str chunk = {"x", 1};
    while (ok && chunk.n > 0)
        ok = http_read(x, &chunk, 0, &e);
    assert_false(ok);
    assert_int_equal(e.code, ERR_TOO_LARGE);
    http_close(x);
    struct http_call large_head = get("/large-head");
    assert_err(fetch_err(&large_head), ERR_TOO_LARGE, "head");
}

static void answers_have_a_maximum(void **state)
{
    (void)state;
    run(too_large);
}

/* ---- failures ---- */

static int closed_port(void)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof in;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&in, sizeof in), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &n), 0);
    close(fd);
    return ntohs(in.sin_port);
}

static void failures(void)
{
    static const struct {
        const char *path, *text;
    } rows[] = {
        {"/cut", "cut off"},        {"/cut-chunk", "cut off"}, {"/close", "without an answer"},
        {"/garbage", "not proper"}, {"/bad-status", "not proper"}, {"/folded", "header"},
        {"/switch", "status"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct http_call call = get(rows[i].path);
        struct err e = fetch_err(&call);
        if (e.code != ERR_UPSTREAM || !strstr(e.msg, rows[i].text))
            fail_msg("%s: %s \"%s\" (%s)", rows[i].path, err_text(e.code), e.msg, e.detail);
    }
    struct http_call call = get("/ok");
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%d/", closed_port());
    call.url = str_c(url);
    assert_err(fetch_err(&call), ERR_UPSTREAM, "refused the connection");
    call.url = url_at("unknown.test", "/ok");
    assert_err(fetch_err(&call), ERR_UPSTREAM, "does not resolve");
    snprintf(url, sizeof url, "https://127.0.0.1:%d/close", fx.server->port);
    call.url = str_c(url);
    call.connect_ms = 2000;
    assert_err(fetch_err(&call), ERR_TIMEOUT, "TLS handshake");
}

static void each_failure_is_named(void **state)
{
    (void)state;
    run(failures);
}

static void cut_stream(void)
{
    struct http_answer_head head;
    struct http_call call = get("/cut");
    struct http_exchange *x = open_ok(&call, &head);
    struct str chunk;
    struct err e;
    assert_true(http_read(x, &chunk, 0, &e));
    assert_str(chunk, "only this");
    assert_false(http_read(x, &chunk, 0, &e));
    assert_err(e, ERR_UPSTREAM, "cut off");
    assert_false(http_read(x, &chunk, 0, &e));
    http_close(x);
}

static void a_cut_answer_gives_what_came_and_then_the_failure(void **state)
{
    (void)state;
    run(cut_stream);
}

static void stale(void)
{
    /* The server closes the kept connection; the next call must not fail for that. */
    for (int i = 0; i < 5; i++)
        fetch_body("/once", 200, "ok");
    fetch_body("/ok", 200, "{\"ok\":true}");
}

static void a_connection_closed_meanwhile_is_replaced(void **state)
{
    (void)state;
    run(stale);
}

/* ---- deadlines ---- */

static void silent_limits(void)
{
    struct http_call call = get("/silent");
    call.first_byte_ms = 30;
    assert_err(fetch_err(&call), ERR_TIMEOUT, "the server did not answer within 30 ms");
    wait_for(&fx.server->hangups, 1);
    call.first_byte_ms = 60000;
    call.total_ms = 30;
    assert_err(fetch_err(&call), ERR_TIMEOUT, "the call did not end within 30 ms");
    wait_for(&fx.server->hangups, 2);

    call = get("/stall");
    call.idle_ms = 30;
    assert_err(fetch_err(&call), ERR_TIMEOUT, "fell silent for 30 ms");
    wait_for(&fx.server->hangups, 3);

    struct http_answer_head head;
    struct http_exchange *x = open_ok(&call, &head);
    struct str chunk;
    struct err e;
    assert_true(http_read(x, &chunk, 0, &e));
    assert_false(http_read(x, &chunk, 0, &e));
    assert_err(e, ERR_TIMEOUT, "fell silent for 30 ms");
    http_close(x);
    wait_for(&fx.server->hangups, 4);
}

static void every_silence_has_a_limit(void **state)
{
    (void)state;
    run(silent_limits);
}

static void full_backlog(void)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof in;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fill[4];
    assert_int_equal(bind(fd, (const struct sockaddr *)&in, sizeof in), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &n), 0);
    assert_int_equal(listen(fd, 0), 0);
    for (size_t i = 0; i < ARRAY_LEN(fill); i++) {
        fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        (void)!connect(fill[i], (const struct sockaddr *)&in, sizeof in);
    }
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%d/", ntohs(in.sin_port));
    struct http_call call = {.method = STR("GET"), .url = str_c(url), .connect_ms = 50};
    assert_err(fetch_err(&call), ERR_TIMEOUT, "did not accept a connection within 50 ms");
    for (size_t i = 0; i < ARRAY_LEN(fill); i++)
        close(fill[i]);
    close(fd);
}

static void connecting_has_a_limit(void **state)
{
    (void)state;
    run(full_backlog);
}

static void slow_name(void)
{
    struct http_call call = get("/ok");
    call.url = url_at("slow.test", "/ok");
    call.connect_ms = 30;
    slow_is_released = false;
    assert_err(fetch_err(&call), ERR_TIMEOUT, "name was not resolved within 30 ms");
    slow_is_released = true;
}

static void name_resolution_neither_blocks_the_loop_nor_lasts(void **state)
{
    (void)state;
    run(slow_name);
}

/* ---- cancellation ---- */

struct opener {
    const char *path;
    bool reads;
    struct err e;
    struct fiber_wait ended;
};

static void open_and_wait(void *arg)
{
    struct opener *o = arg;
    struct http_answer_head head;
    struct http_call call = get(o->path);
    o->e.code = ERR_NONE;
    auto_free(http_closep) struct http_exchange *x = http_open(fx.client, &call, &head, &o->e);
    struct str chunk = {"x", 1};
    while (x && chunk.n > 0 && http_read(x, &chunk, 0, &o->e)) {
    }
    fiber_wake(&o->ended);
}

static void cancel_one(const char *path, int hangups)
{
    struct opener o = {.path = path};
    struct fiber *f;
    struct err e;
    int requests = fx.server->requests;
    assert_true(fiber_start(fiber_loop(), open_and_wait, &o, &f, &e));
    wait_for(&fx.server->requests, requests + 1);
    fiber_yield();
    fiber_cancel(f);
    assert_true(fiber_wait(&o.ended, clock_mono_ms() + 20000, &e));
    assert_int_equal(o.e.code, ERR_CANCELLED);
    wait_for(&fx.server->hangups, hangups);
}

static void cancelled(void)
{
    cancel_one("/silent", 1);
    cancel_one("/stall", 2);
    fetch_body("/ok", 200, "{\"ok\":true}");
}

static void a_cancelled_call_closes_its_connection(void **state)
{
    (void)state;
    run(cancelled);
}

/* ---- many at once ---- */

struct crowd {
    int left;
    int ok;
    struct fiber_wait ended;
};

static void crowd_member(void *arg)
{
    struct crowd *c = arg;
    struct arena *a = arena_new(1 << 20);
    char url[100];
    snprintf(url, sizeof url, "http://127.0.0.1:%d/echo", fx.server->port);
    for (int i = 0; i < 20; i++) {
        char body[64];
        snprintf(body, sizeof body, "%p %d", (void *)a, i);
        struct http_call call = {.method = STR("POST"), .url = str_c(url), .body = str_c(body)};
        struct http_fetched got;
        struct err e;
        if (http_fetch(fx.client, a, &call, 4096, &got, &e) && str_ends(got.body, str_c(body)))
            c->ok++;
    }
    arena_end(a);
    if (--c->left == 0)
        fiber_wake(&c->ended);
}

static void crowded(void)
{
    enum { MEMBERS = 30 };
    struct crowd c = {.left = MEMBERS};
    struct err e;
    for (int i = 0; i < MEMBERS; i++)
        assert_true(fiber_start(fiber_loop(), crowd_member, &c, NULL, &e));
    assert_true(fiber_wait(&c.ended, clock_mono_ms() + 60000, &e));
    assert_int_equal(c.ok, MEMBERS * 20);
    assert_in_range(fx.server->connections, 1, MEMBERS);
}

static void concurrent_calls_get_their_own_answers(void **state)
{
    (void)state;
    run(crowded);
}

/* ---- the guard ---- */

static void refused_by_guard(void)
{
    struct http_call call = get("/ok");
    int64_t before = metric_value(M_EGRESS_REFUSED);
    assert_err(fetch_err(&call), ERR_EGRESS, "to EGRESS_ALLOW");
    /* A harmless name: the address is judged when it is known. */
    call.url = url_at("inner.test", "/ok");
    char line[64];
    snprintf(line, sizeof line, "add inner.test:%d to EGRESS_ALLOW", fx.server->port);
    assert_err(fetch_err(&call), ERR_EGRESS, line);
    assert_int_equal(metric_value(M_EGRESS_REFUSED), before + 2);

    call.is_operator_destination = true;
    struct http_fetched got;
    fetch_ok(&call, &got);
    /* Its connection serves nobody who has to pass the guard. */
    call.is_operator_destination = false;
    assert_err(fetch_err(&call), ERR_EGRESS, line);
    assert_int_equal(fx.server->connections, 1);
}

static void the_guard_judges_the_address_connected_to(void **state)
{
    (void)state;
    run_with(&(struct setup){
        .egress_allow = "10.0.0.0/8", .no_loopback = true, .test = refused_by_guard});
}

static void rebinding(void)
{
    struct http_call call = get("/once");
    call.url = url_at("rebind.test", "/once");
    struct http_fetched got;
    rebind_lookups = 0;
    fetch_ok(&call, &got);
    /* A client of its own: curl remembers names for a minute. */
    struct err e;
    struct http_client *second =
        http_client_new(fiber_loop(), &(struct http_client_config){.guard = fx.guard}, &e);
    assert_false(http_fetch(second, fx.arena, &call, 1000, &got, &e));
    assert_err(e, ERR_EGRESS, "add rebind.test:");
    assert_int_equal(rebind_lookups, 2);
    assert_int_equal(fx.server->connections, 1);
    http_client_free(second);
}

static void a_name_that_moves_to_a_private_address_is_refused(void **state)
{
    (void)state;
    run_with(
        &(struct setup){.egress_allow = "127.0.0.2/32", .no_loopback = true, .test = rebinding});
}

/* ---- the proxy ---- */

static void proxied(void)
{
    struct http_call call = get("/ok");
    call.url = url_at("inner.test", "/ok");
    struct http_fetched got;
    fetch_ok(&call, &got);
    assert_str(got.body, "{\"ok\":true}");
    char target[64];
    snprintf(target, sizeof target, "127.0.0.1:%d", fx.server->port);
    assert_string_equal(fx.server->tunnel, target);
    assert_non_null(strstr(fx.server->last, "Host: inner.test:"));
    assert_true(
        str_is_absent(http_header_get(got.head.headers, got.head.n_headers, STR("X-Proxy"))));
    fetch_ok(&call, &got);
    assert_int_equal(fx.server->connections, 1);

    call.url = url_at("tunnel-refused.test", "/ok");
    assert_err(fetch_err(&call), ERR_UPSTREAM, "proxy refused the connection with status 403");
    call.url = url_at("unknown.test", "/ok");
    assert_err(fetch_err(&call), ERR_UPSTREAM, "does not resolve");

    fx.server->tunnel[0] = 0;
    call.url = url_at("127.0.0.1", "/ok");
    fetch_ok(&call, &got);
    call.url = url_at("rebind.test", "/ok");
    rebind_lookups = 0;
    fetch_ok(&call, &got);
    assert_string_equal(fx.server->tunnel, "");
}

static void a_proxy_is_told_the_judged_address(void **state)
{
    (void)state;
    run_with(&(struct setup){.egress_allow = "127.0.0.0/8",
                             .use_proxy = true,
                             .no_proxy = "other.test, .rebind.test",
                             .test = proxied});
}

static void proxied_refusal(void)
{
    struct http_call call = get("/ok");
    call.url = url_at("inner.test", "/ok");
    assert_err(fetch_err(&call), ERR_EGRESS, "add inner.test:");
    assert_int_equal(fx.server->connections, 0);
}

static void the_guard_stands_before_the_proxy(void **state)
{
    (void)state;
    run_with(&(struct setup){.egress_allow = "10.0.0.0/8",
                             .no_loopback = true,
                             .use_proxy = true,
                             .test = proxied_refusal});
}

/* ---- detached ---- */

struct sink {
    char text[256];
    size_t n;
    int ends;
    bool refuses;
    bool closes;
    struct http_exchange *x;
    struct err e;
    struct fiber_wait got;
    struct fiber_wait ended;
};

static bool sink_data(void *arg, struct str bytes)
{
    struct sink *s = arg;
    memcpy(s->text + s->n, bytes.p, bytes.n);
    s->n += bytes.n;
    fiber_wake(&s->got);
    if (s->closes)
        http_close(s->x);
    return !s->refuses;
}

static void sink_end(void *arg, const struct err *e)
{
    struct sink *s = arg;
    s->ends++;
    s->e.code = ERR_NONE;
    if (e)
        s->e = *e;
    http_close(s->x); /* harmless here */
    fiber_wake(&s->ended);
}

static void sink_start(struct sink *s)
{
    struct http_answer_head head;
    struct http_call call = get("/events");
    call.idle_ms = -1;
    call.total_ms = -1;
    s->x = open_ok(&call, &head);
    http_exchange_detach(s->x, sink_data, sink_end, s);
}

static void sink_wait(struct fiber_wait *w)
{
    struct err e;
    assert_true(fiber_wait(w, clock_mono_ms() + 20000, &e));
    fiber_rearm(w);
}

static void detached(void)
{
    struct sink s = {.n = 0};
    sink_start(&s);
    sink_wait(&s.got);
    assert_string_equal(s.text, "data: 1\n\n");
    raw_server_go(fx.server);
    sink_wait(&s.got);
    assert_string_equal(s.text, "data: 1\n\ndata: 2\n\n");
    raw_server_go(fx.server);
    sink_wait(&s.ended);
    assert_int_equal(s.ends, 1);
    assert_int_equal(s.e.code, ERR_NONE);

    /* Received before the detaching, the end included. */
    struct sink late = {.n = 0};
    struct http_answer_head head;
    struct http_call call = get("/chunked");
    late.x = open_ok(&call, &head);
    int64_t until_ms = clock_mono_ms() + 5;
    while (clock_mono_ms() < until_ms)
        fiber_yield();
    http_exchange_detach(late.x, sink_data, sink_end, &late);
    assert_int_equal(late.ends, 0); /* never within the call */
    sink_wait(&late.ended);
    assert_string_equal(late.text, "abcdefg");
    assert_int_equal(late.ends, 1);
    assert_int_equal(late.e.code, ERR_NONE);
}

static void a_detached_stream_goes_on_without_a_fiber(void **state)
{
    (void)state;
    run(detached);
}

static void detached_breaks(void)
{
    struct sink refusing = {.refuses = true};
    sink_start(&refusing);
    sink_wait(&refusing.ended);
    assert_int_equal(refusing.e.code, ERR_CANCELLED);
    wait_for(&fx.server->hangups, 1);

    struct sink closing = {.closes = true};
    sink_start(&closing);
    sink_wait(&closing.got);
    wait_for(&fx.server->hangups, 2);
    assert_int_equal(closing.ends, 0);

    /* Later bytes come from within curl. */
    struct sink later = {.n = 0};
    sink_start(&later);
    sink_wait(&later.got);
    later.closes = true;
    raw_server_go(fx.server);
    wait_for(&fx.server->hangups, 3);
    assert_string_equal(later.text, "data: 1\n\ndata: 2\n\n");
    assert_int_equal(later.ends, 0);

    struct sink refusing_later = {.n = 0};
    sink_start(&refusing_later);
    sink_wait(&refusing_later.got);
    refusing_later.refuses = true;
    raw_server_go(fx.server);
    sink_wait(&refusing_later.ended);
    assert_int_equal(refusing_later.e.code, ERR_CANCELLED);
    wait_for(&fx.server->hangups, 4);

    struct sink outside = {.n = 0};
    sink_start(&outside);
    http_close(outside.x); /* before its first task has run */
    wait_for(&fx.server->hangups, 5);
    assert_int_equal(outside.ends, 0);

    struct sink idle = {.n = 0};
    struct http_answer_head head;
    struct http_call call = get("/stall");
    call.idle_ms = 30;
    idle.x = open_ok(&call, &head);
    http_exchange_detach(idle.x, sink_data, sink_end, &idle);
    sink_wait(&idle.ended);
    assert_err(idle.e, ERR_TIMEOUT, "fell silent for 30 ms");

    struct sink open_at_the_end = {.n = 0};
    sink_start(&open_at_the_end); /* http_client_free breaks it off */
}

static void a_detached_stream_can_be_broken_off_anywhere(void **state)
{
    (void)state;
    run(detached_breaks);
}

/* A call made from within the data of another: curl must not be entered again. */
struct nested {
    struct sink sink;
    struct crowd crowd;
};

static bool nested_data(void *arg, struct str bytes)
{
    struct nested *n = arg;
    struct err e;
    assert_true(fiber_start(fiber_loop(), crowd_member, &n->crowd, NULL, &e));
    return sink_data(&n->sink, bytes);
}

static void nested(void)
{
    struct nested n = {.crowd.left = 2};
    struct http_answer_head head;
    struct http_call call = get("/events");
    struct http_exchange *x = open_ok(&call, &head);
    http_exchange_detach(x, nested_data, sink_end, &n.sink);
    sink_wait(&n.sink.got);
    raw_server_go(fx.server);
    sink_wait(&n.crowd.ended);
    assert_int_equal(n.crowd.ok, 40);
    raw_server_go(fx.server);
    sink_wait(&n.sink.ended);
}

static void a_call_may_begin_within_the_bytes_of_another(void **state)
{
    (void)state;
    run(nested);
}

/* ---- timing ---- */

static void timing(void)
{
    struct http_answer_head head;
    struct http_timing t;
    struct http_call call = get("/ok");
    struct http_exchange *x = open_ok(&call, &head);
    http_exchange_timing(x, &t);
    assert_false(t.was_reused);
    assert_true(t.dns_ms >= 0 && t.connect_ms >= 0 && t.first_byte_ms >= 0);
    assert_int_equal(t.tls_ms, -1);
    struct str chunk;
    struct err e;
    do
        assert_true(http_read(x, &chunk, 0, &e));
    while (chunk.n > 0);
    http_close(x);

    x = open_ok(&call, &head);
    http_exchange_timing(x, &t);
    assert_true(t.was_reused);
    assert_int_equal(t.connect_ms, -1);
    assert_int_equal(t.dns_ms, -1);
    assert_true(t.first_byte_ms >= 0);
    http_close(x);
}

static void the_phases_of_a_connection_are_told(void **state)
{
    (void)state;
    run(timing);
}

static void roots(void)
{
    struct err e;
    struct http_client_config config = {.guard = fx.guard, .ca_bundle = "/nonexistent/roots.pem"};
    assert_null(http_client_new(fiber_loop(), &config, &e));
    assert_err(e, ERR_INVALID, "CA_BUNDLE: /nonexistent/roots.pem");
}

static void a_missing_ca_bundle_is_named(void **state)
{
    (void)state;
    run(roots);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connection_is_kept_and_reused),
        cmocka_unit_test(every_framing_is_read),
        cmocka_unit_test(an_interim_answer_is_not_the_answer),
        cmocka_unit_test(a_redirect_is_not_followed),
        cmocka_unit_test(encodings_are_neither_asked_for_nor_undone),
        cmocka_unit_test(cookies_are_not_kept),
        cmocka_unit_test(what_is_sent_is_what_was_asked),
        cmocka_unit_test(a_large_body_is_sent_at_once),
        cmocka_unit_test(ill_formed_requests_are_not_sent),
        cmocka_unit_test(an_answer_is_read_in_pieces),
        cmocka_unit_test(a_slow_reader_bounds_the_memory_of_an_endless_stream),
        cmocka_unit_test(a_reader_may_look_in_between_and_go_on),
        cmocka_unit_test(answers_have_a_maximum),
        cmocka_unit_test(each_failure_is_named),
        cmocka_unit_test(a_cut_answer_gives_what_came_and_then_the_failure),
        cmocka_unit_test(a_connection_closed_meanwhile_is_replaced),
        cmocka_unit_test(every_silence_has_a_limit),
        cmocka_unit_test(connecting_has_a_limit),
        cmocka_unit_test(name_resolution_neither_blocks_the_loop_nor_lasts),
        cmocka_unit_test(a_cancelled_call_closes_its_connection),
        cmocka_unit_test(concurrent_calls_get_their_own_answers),
        cmocka_unit_test(the_guard_judges_the_address_connected_to),
        cmocka_unit_test(a_name_that_moves_to_a_private_address_is_refused),
        cmocka_unit_test(a_proxy_is_told_the_judged_address),
        cmocka_unit_test(the_guard_stands_before_the_proxy),
        cmocka_unit_test(a_detached_stream_goes_on_without_a_fiber),
        cmocka_unit_test(a_detached_stream_can_be_broken_off_anywhere),
        cmocka_unit_test(a_call_may_begin_within_the_bytes_of_another),
        cmocka_unit_test(the_phases_of_a_connection_are_told),
        cmocka_unit_test(a_missing_ca_bundle_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
