/* The outgoing client and servers that fail, fall silent or are given up. */
#include "unit/http_client_fixture.h"

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
        {"/cut", "cut off"},        {"/cut-chunk", "cut off"},     {"/close", "without an answer"},
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
    call.connect_ms = 300;
    assert_err(fetch_err(&call), ERR_TIMEOUT, "TLS handshake");
}

static void each_failure_is_named(void **state)
{
    (void)state;
    run(failures);
}

enum { FILLERS = 8 };

/* A port that swallows what comes: its queue is full. */
static int swallower_open(int fds[FILLERS])
{
    struct sockaddr_in in = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)fx.server->port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 7)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &(int){1}, sizeof(int)), 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&in, sizeof in), 0);
    assert_int_equal(listen(fd, 0), 0);
    for (int i = 0; i < FILLERS; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        (void)!connect(fds[i], (const struct sockaddr *)&in, sizeof in);
    }
    return fd;
}

static void first_swallows(void)
{
    int fds[FILLERS], fd = swallower_open(fds);
    struct http_fetched got;
    struct http_call call = get("/ok");
    call.url = url_at("two.test", "/ok");
    if (fx.is_curl_only) { /* curl goes on to another family of addresses only */
        call.connect_ms = 300;
        assert_err(fetch_err(&call), ERR_TIMEOUT, "did not accept a connection");
    } else {
        fetch_ok(&call, &got);
        assert_int_equal(got.head.status, 200);
    }
    for (int i = 0; i < FILLERS; i++)
        close(fds[i]);
    close(fd);
}

static void a_servers_next_address_is_tried(void **state)
{
    (void)state;
    run(first_swallows);
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

static void once_only(void)
{
    /* The kept connection breaks when the request has arrived: it may have been carried out. */
    fetch_body("/ok", 200, "{\"ok\":true}");
    struct http_call call = {
        .method = STR("POST"), .url = url_at("127.0.0.1", "/close"), .body = STR("{\"pay\":1}")};
    assert_err(fetch_err(&call), ERR_UPSTREAM, "without an answer");
    assert_int_equal(fx.server->requests, 2);
}

static void twice(void)
{
    fetch_body("/ok", 200, "{\"ok\":true}");
    struct http_call call = {.method = STR("POST"),
                             .url = url_at("127.0.0.1", "/close-kept"),
                             .body = STR("{\"list\":1}"),
                             .is_repeatable = true};
    struct http_fetched got;
    fetch_ok(&call, &got);
    assert_str(got.body, "{\"ok\":true}");
    assert_int_equal(fx.server->requests, 3);
    /* Once more, not for ever. */
    fetch_body("/ok", 200, "{\"ok\":true}");
    call.url = url_at("127.0.0.1", "/close");
    assert_err(fetch_err(&call), ERR_UPSTREAM, "without an answer");
    assert_int_equal(fx.server->requests, 6);
}

static void what_may_be_done_twice_is_sent_again_once(void **state)
{
    (void)state;
    run(twice);
}

static void broken_before(void)
{
    /* The kept connection breaks in the very turn of the loop: nothing of the request arrives. */
    fetch_body("/ok", 200, "{\"ok\":true}");
    fetch_body("/ok", 200, "{\"ok\":true}");
    fetch_body("/reset", 200, "ok");
    raw_server_go(fx.server);
    while (fx.server->resets == 0)
        usleep(1000);
    struct http_call call = {
        .method = STR("POST"), .url = url_at("127.0.0.1", "/ok"), .body = STR("{\"pay\":1}")};
    struct http_fetched got;
    fetch_ok(&call, &got);
    assert_int_equal(fx.server->requests, 4);
    assert_int_equal(fx.server->connections, 2);
}

static void a_request_that_could_not_be_sent_is_sent_elsewhere(void **state)
{
    (void)state;
    run(broken_before);
}

static void pay(void *arg)
{
    struct fiber_wait *ended = arg;
    struct http_call call = {
        .method = STR("POST"), .url = url_at("127.0.0.1", "/ok"), .body = STR("{\"pay\":1}")};
    assert_err(fetch_err(&call), ERR_CANCELLED, "cancelled");
    fiber_wake(ended);
}

static void cancelled_at_once(void)
{
    struct fiber_wait ended = {0};
    struct fiber *f;
    struct err e;
    fetch_body("/ok", 200, "{\"ok\":true}");
    assert_true(fiber_start(fiber_loop(), pay, &ended, &f, &e));
    fiber_cancel(f);
    assert_true(fiber_wait(&ended, INT64_MAX, &e));
    fetch_body("/ok", 200, "{\"ok\":true}");
    assert_int_equal(fx.server->requests, 2);
}

static void what_is_cancelled_in_the_turn_it_began_is_not_sent(void **state)
{
    (void)state;
    run(cancelled_at_once);
}

static void a_request_that_may_have_arrived_is_not_sent_again(void **state)
{
    (void)state;
    run(once_only);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_failure_is_named),
        cmocka_unit_test(a_servers_next_address_is_tried),
        cmocka_unit_test(a_cut_answer_gives_what_came_and_then_the_failure),
        cmocka_unit_test(a_connection_closed_meanwhile_is_replaced),
        cmocka_unit_test(a_request_that_may_have_arrived_is_not_sent_again),
        cmocka_unit_test(a_request_that_could_not_be_sent_is_sent_elsewhere),
        cmocka_unit_test(what_is_cancelled_in_the_turn_it_began_is_not_sent),
        cmocka_unit_test(what_may_be_done_twice_is_sent_again_once),
        cmocka_unit_test(every_silence_has_a_limit),
        cmocka_unit_test(connecting_has_a_limit),
        cmocka_unit_test(name_resolution_neither_blocks_the_loop_nor_lasts),
        cmocka_unit_test(a_cancelled_call_closes_its_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
