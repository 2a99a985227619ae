/* Requests: what is read, what is refused. */
#include "unit/http_server_rig.h"

/* ---- plain requests ---- */

TEST(a_connection_is_kept_for_the_next_request)
{
    struct client c;
    client_open(&c);
    for (int i = 0; i < 3; i++)
        CHECK(client_asks(&c, POST("/echo") "Content-Length: 5\r\n\r\nhello", "\r\n\r\nhello"));
    CHECK(t.handled == 3 && t.done == 3 && t.left == 0);
    client_close(&c);
}

TEST(every_answer_carries_a_request_id_and_no_server_header)
{
    struct client c;
    client_open(&c);
    client_send(&c, POST("/echo") "Content-Length: 1\r\n\r\nx");
    CHECK(client_gets(&c, "\r\n\r\nx"));
    CHECK(client_has(&c, "X-Request-Id: ") && client_has(&c, "Date: "));
    CHECK(!client_has(&c, "Server:") && client_has(&c, "X-Echo: POST\r\n"));
    client_close(&c);
    CHECK(refused_with(STR("GET / HTTP/1.1\r\n\r\n"), "HTTP/1.1 400"));
}

TEST(framing_headers_of_a_handler_are_ignored)
{
    struct client c;
    client_open(&c);
    client_send(&c, POST("/echo") "Content-Length: 2\r\n\r\nok");
    CHECK(client_gets(&c, "\r\n\r\nok"));
    CHECK(client_has(&c, "Content-Length: 2\r\n") && !client_has(&c, "Content-Length: 7"));
    client_close(&c);
}

TEST(pipelined_requests_are_answered_in_order)
{
    struct client c;
    client_open(&c);
    client_send(
        &c,
        POST("/echo") "Content-Length: 3\r\n\r\none" POST("/wait") "Content-Length: 0\r\n\r\n" POST(
            "/echo") "Content-Length: 5\r\n\r\nthree");
    CHECK(client_gets(&c, "\r\n\r\none"));
    wait_for(&t.entered);
    while (t.handled < 2)
        fiber_yield();
    CHECK(!client_has(&c, "three"));
    fiber_wake(&t.gate);
    CHECK(client_gets(&c, "\r\n\r\nwaited") && client_gets(&c, "\r\n\r\nthree"));
    CHECK(t.handled == 3);
    client_close(&c);
}

TEST(the_path_is_passed_on_undecoded)
{
    struct client c;
    client_open(&c);
    CHECK(client_asks(&c, GET("/a%2Fb%00c?x=%26y"), "\r\n\r\n"));
    CHECK(strcmp(t.last_path, "/a%2Fb%00c") == 0 && strcmp(t.last_query, "x=%26y") == 0);
    client_close(&c);
}

TEST(an_absolute_target_is_taken_when_it_names_the_host)
{
    struct client c;
    client_open(&c);
    CHECK(client_asks(&c, "GET http://H/echo?q HTTP/1.1\r\nHost: h\r\n\r\n", "200 OK"));
    CHECK(strcmp(t.last_path, "/echo") == 0 && strcmp(t.last_query, "q") == 0);
    client_close(&c);
    CHECK(refused_with(STR("GET http://other/echo HTTP/1.1\r\nHost: h\r\n\r\n"), "HTTP/1.1 400"));
}

TEST(head_is_answered_without_a_body)
{
    struct client c;
    client_open(&c);
    client_send(
        &c, "HEAD /big HTTP/1.1\r\nHost: h\r\n\r\n" POST("/echo") "Content-Length: 4\r\n\r\nnext");
    CHECK(client_gets(&c, "next"));
    CHECK(client_has(&c, "Content-Length: 1048576\r\n") && c.in.n < 1000);
    buf_reset(&c.in);
    client_send(&c, "HEAD /chunks HTTP/1.1\r\nHost: h\r\n\r\n" POST(
                        "/echo") "Content-Length: 4\r\n\r\nnext");
    CHECK(client_gets(&c, "next") && !client_has(&c, "hello"));
    client_close(&c);
}

TEST(a_large_answer_arrives_whole)
{
    struct client c;
    client_open(&c);
    client_send(&c, "GET /big HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    client_read_all(&c);
    CHECK(c.in.n > 1 << 20 && str_ends(buf_str(&c.in), STR("bbbb")));
    CHECK(t.last_status == 200 && t.last_bytes == 1 << 20);
    client_close(&c);
}

TEST(a_handler_that_answers_nothing_is_a_500)
{
    CHECK(refused_with(STR(GET("/forget")), "HTTP/1.1 500"));
    CHECK(t.refused == 1 && t.done == 1);
}

/* ---- bodies ---- */

TEST(a_body_over_the_cap_is_drained_and_refused)
{
    struct buf request;
    buf_init(&request, 1 << 20);
    buf_add(&request, STR(POST("/echo") "Content-Length: 1001\r\n\r\n"));
    for (int i = 0; i < 1001; i++)
        buf_add_char(&request, 'x');
    CHECK(refused_with(buf_str(&request), "HTTP/1.1 413"));
    CHECK(t.handled == 0 && t.refused == 1);
    buf_end(&request);
}

TEST(a_body_of_exactly_the_cap_is_taken)
{
    struct client c;
    client_open(&c);
    client_send(&c, POST("/echo") "Content-Length: 1000\r\n\r\n");
    for (int i = 0; i < 1000; i++)
        client_send(&c, "y");
    CHECK(client_gets(&c, "HTTP/1.1 200"));
    while (t.done == 0)
        fiber_yield();
    CHECK(t.last_bytes == 1000);
    client_close(&c);
}

TEST(a_huge_content_length_is_refused_at_once)
{
    CHECK(refused_with(STR(POST("/echo") "Content-Length: 9999999999\r\n\r\n"), "HTTP/1.1 413"));
}

TEST(nothing_after_a_chunked_body_is_taken_for_a_request)
{
    struct client c;
    client_open(&c);
    client_send(
        &c, POST("/echo") "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nT: u\r\n: z\r\n" GET(
                "/big"));
    client_read_all(&c);
    CHECK(str_ends(buf_str(&c.in), STR("\r\n\r\nx")) && client_has(&c, "Connection: close"));
    CHECK(t.handled == 1);
    client_close(&c);
}

TEST(a_chunked_body_is_put_together)
{
    struct client c;
    client_open(&c);
    client_send(&c, POST("/echo") "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    fiber_yield();
    client_send(&c, "4;x=y\r\ndefg\r\n0\r\nTrailer: t\r\n\r\n");
    CHECK(client_gets(&c, "\r\n\r\nabcdefg"));
    client_close(&c);
}

static void send_chunks(struct client *c, int n)
{
    struct buf chunk;
    buf_init(&chunk, 1 << 20);
    buf_add(&chunk, STR("1000\r\n"));
    for (int i = 0; i < 0x1000; i++)
        buf_add_char(&chunk, 'z');
    buf_add(&chunk, STR("\r\n"));
    while (n-- > 0)
        client_send_bytes(c, buf_str(&chunk));
    buf_end(&chunk);
}

TEST(a_chunked_body_over_the_cap_is_refused_at_its_end)
{
    struct client c;
    client_open(&c);
    client_send(&c, POST("/echo") "Transfer-Encoding: chunked\r\n\r\n");
    send_chunks(&c, 3);
    client_send(&c, "0\r\n\r\n");
    client_read_all(&c);
    CHECK(client_has(&c, "HTTP/1.1 413") && client_has(&c, "Connection: close"));
    CHECK(t.handled == 0);
    client_close(&c);
}

TEST(a_chunked_body_without_end_is_cut)
{
    struct client c;
    client_open(&c);
    client_send(&c, POST("/echo") "Transfer-Encoding: chunked\r\n\r\n");
    send_chunks(&c, LIMIT_BODY_DRAIN / 0x1000 + 20);
    client_read_all(&c);
    CHECK(c.in.n == 0 && t.handled == 0);
    client_close(&c);
}

TEST(expect_100_continue_is_honoured_within_the_cap_only)
{
    struct client c;
    client_open(&c);
    client_send(&c, POST("/echo") "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    CHECK(client_gets(&c, "HTTP/1.1 100"));
    client_send(&c, "ok");
    CHECK(client_gets(&c, "\r\n\r\nok"));
    client_close(&c);
    CHECK(refused_with(STR(POST("/echo") "Expect: 100-continue\r\nContent-Length: 1001\r\n\r\n"),
                       "HTTP/1.1 413"));
}

/* ---- heads that others may read differently ---- */

TEST(ambiguous_framing_is_refused)
{
    static const char *const heads[] = {
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: \r\n",
        "Content-Length: +5\r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length: -5\r\n",
        "Content-Length: 0x5\r\n",
        "Content-Length : 5\r\n",
        "Content-Length: 5\r\n 0\r\n",
        "Transfer-Encoding:\r\n chunked\r\n",
        " Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\nX: y\r\n",
        "Host: h\r\n",
        "Host: other\r\n",
        "Authorization: Bearer a\r\nAuthorization: Bearer b\r\n",
        "authorization: Bearer a\r\nAUTHORIZATION: Bearer a\r\n",
        "X(y): z\r\n",
        ": z\r\n",
        "X: a\x01z\r\n",
        "X: a\rz\r\n",
        "no colon\r\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
        struct buf request;
        buf_init(&request, 1 << 16);
        buf_addf(&request, POST("/echo") "%s\r\n0\r\n\r\n", heads[i]);
        if (!CHECK(refused_with(buf_str(&request), "HTTP/1.1 400")))
            print_error("head %zu: %s\n", i, heads[i]);
        buf_end(&request);
    }
    CHECK(t.handled == 0);
}

TEST(nul_bytes_are_refused)
{
    CHECK(refused_with(STR("GET /e\0cho HTTP/1.1\r\nHost: h\r\n\r\n"), "HTTP/1.1 400"));
    CHECK(refused_with(STR("GET /echo HTTP/1.1\r\nHost: h\0x\r\nA: b\r\n\r\n"), "HTTP/1.1 400"));
    CHECK(refused_with(STR("GET /echo HTTP/1.1\r\nHost: h\r\nA: b\0c\r\n\r\n"), "HTTP/1.1 400"));
    CHECK(refused_with(STR("GET /echo HTTP/1.1\r\nHost: h\r\nA\0B: b\r\n\r\n"), "HTTP/1.1 400"));
    CHECK(t.handled == 0);
}

TEST(lines_must_end_in_cr_lf)
{
    CHECK(refused_with(STR("GET /echo HTTP/1.1\nHost: h\r\n\r\n"), "HTTP/1.1 400"));
    CHECK(refused_with(STR("GET /echo HTTP/1.1\r\nHost: h\nA: b\r\n\r\n"), "HTTP/1.1 400"));
    CHECK(t.handled == 0);
}

TEST(targets_that_are_no_paths_are_refused)
{
    CHECK(refused_with(STR("GET echo HTTP/1.1\r\nHost: h\r\n\r\n"), "HTTP/1.1 400"));
    CHECK(refused_with(STR("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n"), "HTTP/1.1 400"));
    CHECK(refused_with(STR("CONNECT h:443 HTTP/1.1\r\nHost: h\r\n\r\n"), "HTTP/1.1 400"));
    CHECK(refused_with(STR("GET /\x07 HTTP/1.1\r\nHost: h\r\n\r\n"), "HTTP/1.1 400"));
    CHECK(refused_with(STR("GET /\xc3\xa9 HTTP/1.1\r\nHost: h\r\n\r\n"), "HTTP/1.1 400"));
    CHECK(refused_with(STR("GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n"), "HTTP/1.1 400"));
    CHECK(refused_with(STR("GET / HTTP/1.1\r\n\r\n"), "HTTP/1.1 400"));
    CHECK(refused_with(STR("GET / HTTP/1.0\r\n\r\n"), "HTTP/1.1 400"));
    CHECK(t.handled == 0);
}

static void headers_ask(struct client *c, int lines, int bytes)
{
    struct buf request;
    buf_init(&request, 1 << 20);
    buf_add(&request, STR("GET /echo HTTP/1.1\r\nHost: h\r\n"));
    for (int i = 0; i < lines; i++)
        buf_addf(&request, "X-%d: %0*d\r\n", i, bytes / lines, 0);
    buf_add(&request, STR("\r\n"));
    client_send_bytes(c, buf_str(&request));
    buf_end(&request);
}

TEST(six_kib_of_headers_are_taken_and_more_are_refused)
{
    struct client c;
    client_open(&c);
    headers_ask(&c, 10, 6 * 1024);
    CHECK(client_gets(&c, "HTTP/1.1 200"));
    headers_ask(&c, LIMIT_HEADERS - 1, 100);
    while (t.done < 2)
        fiber_yield();
    CHECK(t.last_status == 200);
    headers_ask(&c, LIMIT_HEADERS + 1, 100);
    CHECK(client_gets(&c, "HTTP/1.1 431"));
    client_close(&c);
    client_open(&c);
    headers_ask(&c, 10, 9 * 1024);
    CHECK(client_gets(&c, "HTTP/1.1 431"));
    client_close(&c);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connection_is_kept_for_the_next_request),
        cmocka_unit_test(every_answer_carries_a_request_id_and_no_server_header),
        cmocka_unit_test(framing_headers_of_a_handler_are_ignored),
        cmocka_unit_test(pipelined_requests_are_answered_in_order),
        cmocka_unit_test(the_path_is_passed_on_undecoded),
        cmocka_unit_test(an_absolute_target_is_taken_when_it_names_the_host),
        cmocka_unit_test(head_is_answered_without_a_body),
        cmocka_unit_test(a_large_answer_arrives_whole),
        cmocka_unit_test(a_handler_that_answers_nothing_is_a_500),
        cmocka_unit_test(a_body_over_the_cap_is_drained_and_refused),
        cmocka_unit_test(a_body_of_exactly_the_cap_is_taken),
        cmocka_unit_test(a_huge_content_length_is_refused_at_once),
        cmocka_unit_test(nothing_after_a_chunked_body_is_taken_for_a_request),
        cmocka_unit_test(a_chunked_body_is_put_together),
        cmocka_unit_test(a_chunked_body_over_the_cap_is_refused_at_its_end),
        cmocka_unit_test(a_chunked_body_without_end_is_cut),
        cmocka_unit_test(expect_100_continue_is_honoured_within_the_cap_only),
        cmocka_unit_test(ambiguous_framing_is_refused),
        cmocka_unit_test(nul_bytes_are_refused),
        cmocka_unit_test(lines_must_end_in_cr_lf),
        cmocka_unit_test(targets_that_are_no_paths_are_refused),
        cmocka_unit_test(six_kib_of_headers_are_taken_and_more_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
