/* For the tests of the HTTP client: one server, one guard, one client, one fiber, and a resolver
 * that knows test names. */
#pragma once

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
    else if (node && strcmp(node, "two.test") == 0) {
        struct addrinfo *second;
        int first_failed = real_getaddrinfo("127.0.0.8", service, hints, out);
        int second_failed = real_getaddrinfo("127.0.0.1", service, hints, &second);
        assert_true(!first_failed && !second_failed);
        struct addrinfo *last = *out;
        while (last->ai_next)
            last = last->ai_next;
        last->ai_next = second;
        return 0;
    } else if (node && strcmp(node, "slow.test") == 0) {
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
    bool is_curl_only; /* by the environment */
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

static inline void in_fiber(void *arg)
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
                                                             .offload = fx.offload,
                                                             .uses_curl_only = fx.is_curl_only},
                                &e);
    assert_non_null(fx.client);
    s->test();
    http_client_free(fx.client);
    http_guard_free(fx.guard);
}

static inline void run_with(const struct setup *s)
{
    struct err e;
    struct setup copy = *s;
    fx.is_curl_only = getenv("TULLE_TEST_HTTP") != NULL; /* NOLINT(concurrency-mt-unsafe): alone */
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

static inline void run(void (*test)(void))
{
    run_with(&(struct setup){.test = test});
}

static inline struct str url_at(const char *host, const char *path)
{
    snprintf(fx.url, sizeof fx.url, "http://%s:%d%s", host, fx.server->port, path);
    return str_c(fx.url);
}

static inline struct http_call get(const char *path)
{
    return (struct http_call){.method = STR("GET"), .url = url_at("127.0.0.1", path)};
}

static inline void fetch_ok(const struct http_call *call, struct http_fetched *out)
{
    struct err e = {.code = ERR_NONE};
    if (!http_fetch(fx.client, fx.arena, call, 1 << 20, out, &e))
        fail_msg("%s (%s)", e.msg, e.detail);
}

/* What a failing fetch says. */
static inline struct err fetch_err(const struct http_call *call)
{
    struct http_fetched got;
    struct err e = {.code = ERR_NONE};
    assert_false(http_fetch(fx.client, fx.arena, call, 1 << 20, &got, &e));
    return e;
}

static inline void assert_err(struct err e, enum err_code code, const char *text)
{
    if (e.code != code || !strstr(e.msg, text))
        fail_msg("%s: \"%s\" (%s), expected \"%s\"", err_text(e.code), e.msg, e.detail, text);
}

static inline void assert_str(struct str s, const char *expected)
{
    if (!str_eq(s, str_c(expected)))
        fail_msg("\"%.*s\", expected \"%s\"", STR_FMT(s), expected);
}

static inline struct http_exchange *open_ok(const struct http_call *call,
                                            struct http_answer_head *head)
{
    struct err e = {.code = ERR_NONE};
    struct http_exchange *x = http_open(fx.client, call, head, &e);
    if (!x)
        fail_msg("%s (%s)", e.msg, e.detail);
    return x;
}

/* Gives the loop turns until the server's counter is there. */
static inline void wait_for(const atomic_int *counter, int at_least)
{
    int64_t until_ms = clock_mono_ms() + 20000;
    while (*counter < at_least) {
        if (clock_mono_ms() > until_ms)
            fail_msg("the server did not see it");
        struct err e;
        assert_true(fiber_sleep_until(clock_mono_ms() + 1, &e));
    }
}

static inline void fetch_body(const char *path, int status, const char *body)
{
    struct http_fetched got;
    struct http_call call = get(path);
    fetch_ok(&call, &got);
    assert_int_equal(got.head.status, status);
    assert_str(got.body, body);
}

/* A fiber that makes twenty calls, each with a body of its own. */
struct crowd {
    int left;
    int ok;
    struct fiber_wait ended;
};

static inline void crowd_member(void *arg)
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
