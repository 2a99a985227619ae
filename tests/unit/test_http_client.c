/* The outgoing client against a server of raw sockets: answers of every kind, requests, streaming.
 */
#include "unit/http_client_fixture.h"

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
        {STR("te"), STR("dropped")},
        {STR("UPGRADE"), STR("dropped")},
        {STR("Trailer"), STR("dropped")},
        {STR("Expect"), STR("dropped")},
        {STR("keep-alive"), STR("dropped")},
        {STR("Proxy-Connection"), STR("dropped")},
        {STR("proxy-authorization"), STR("dropped")},
        {STR("Trailers"), STR("a\tb")},
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
    assert_true(str_find(got.body, STR("dropped")) == SIZE_MAX);
    assert_true(str_find(got.body, STR("Trailers: a\tb\r\n")) != SIZE_MAX);

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

static void targets(void)
{
    static const char *const paths[] = {"/echo?a=1", "/echo", "/echo", "/echo?", "/echo?b#part"};
    static const char *const lines[] = {"GET /echo?a=1 HTTP/1.1\r\n", "GET /echo HTTP/1.1\r\n",
                                        "GET /echo HTTP/1.1\r\n", "GET /echo? HTTP/1.1\r\n",
                                        "GET /echo?b HTTP/1.1\r\n"};
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        struct http_call call = get(paths[i]);
        struct http_fetched got;
        fetch_ok(&call, &got);
        assert_true(strncmp(fx.server->last, lines[i], strlen(lines[i])) == 0);
    }
}

static void a_reused_exchange_asks_for_the_address_of_its_call(void **state)
{
    (void)state;
    run(targets);
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

/* ---- many at once ---- */

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
        cmocka_unit_test(a_reused_exchange_asks_for_the_address_of_its_call),
        cmocka_unit_test(what_is_sent_is_what_was_asked),
        cmocka_unit_test(a_large_body_is_sent_at_once),
        cmocka_unit_test(ill_formed_requests_are_not_sent),
        cmocka_unit_test(an_answer_is_read_in_pieces),
        cmocka_unit_test(a_slow_reader_bounds_the_memory_of_an_endless_stream),
        cmocka_unit_test(a_reader_may_look_in_between_and_go_on),
        cmocka_unit_test(answers_have_a_maximum),
        cmocka_unit_test(concurrent_calls_get_their_own_answers),
        cmocka_unit_test(the_phases_of_a_connection_are_told),
        cmocka_unit_test(a_missing_ca_bundle_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
