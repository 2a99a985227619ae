/* Handlers that wait, streams, deadlines, and how a server ends. */
#include "unit/http_server_rig.h"

/* ---- waiting handlers ---- */

TEST(a_handler_may_wait)
{
    struct client c;
    client_open(&c);
    client_send(&c, GET("/wait"));
    wait_for(&t.entered);
    CHECK(http_server_active(t.server) == 1);
    fiber_wake(&t.gate);
    CHECK(client_gets(&c, "\r\n\r\nwaited"));
    CHECK(t.wait_result == ERR_NONE);
    client_close(&c);
}

TEST(a_handler_that_waits_longer_has_its_connection_suspended)
{
    struct client c;
    client_open(&c);
    client_send(&c, GET("/wait"));
    wait_for(&t.entered);
    const struct server_request *r =
        CONTAINER_OF(t.server->requests.next, struct server_request, all);
    CHECK(r->is_asking || r->is_suspended);
    int64_t until_ms = soon();
    while (!r->is_suspended && clock_mono_ms() < until_ms)
        fiber_yield();
    CHECK(r->is_suspended && !r->is_asking && r->conn->daemon->n_asking == 0);
    fiber_wake(&t.gate);
    CHECK(client_gets(&c, "\r\n\r\nwaited"));
    client_close(&c);
}

TEST(a_leaving_client_cancels_the_waiting_handler)
{
    struct client c;
    client_open(&c);
    int64_t vanished = metric_value(M_HTTP_VANISHED);
    client_send(&c, GET("/wait"));
    wait_for(&t.entered);
    client_close(&c);
    wait_for(&t.ended);
    CHECK(t.wait_result == ERR_CANCELLED && t.left == 1);
    CHECK(metric_value(M_HTTP_VANISHED) == vanished + 1);
}

TEST(a_client_that_leaves_in_its_second_request_is_noticed_too)
{
    struct client c;
    client_open(&c);
    client_send(&c, GET("/wait"));
    wait_for(&t.entered);
    fiber_wake(&t.gate);
    CHECK(client_gets(&c, "\r\n\r\nwaited"));
    fiber_rearm(&t.gate);
    fiber_rearm(&t.ended);
    client_send(&c, GET("/wait"));
    wait_for(&t.entered);
    client_close(&c);
    wait_for(&t.ended);
    CHECK(t.wait_result == ERR_CANCELLED && t.left == 1);
}

TEST(a_half_closed_client_gets_an_immediate_answer)
{
    struct client c;
    client_open(&c);
    client_send(&c, POST("/echo") "Content-Length: 2\r\n\r\nok");
    shutdown(c.fd, SHUT_WR);
    CHECK(client_gets(&c, "\r\n\r\nok"));
    client_close(&c);
}

TEST(a_half_closed_client_counts_as_gone_when_the_handler_waits)
{
    struct client c;
    client_open(&c);
    client_send(&c, GET("/wait"));
    shutdown(c.fd, SHUT_WR);
    wait_for(&t.ended);
    CHECK(t.wait_result == ERR_CANCELLED);
    client_close(&c);
}

/* ---- streams ---- */

TEST(a_stream_is_sent_in_chunks)
{
    struct client c;
    client_open(&c);
    client_send(&c, GET("/chunks"));
    CHECK(client_gets(&c, "\r\n0\r\n\r\n"));
    CHECK(client_has(&c, "Transfer-Encoding: chunked") && client_has(&c, "hello"));
    CHECK(client_has(&c, "world") && client_has(&c, "X-Request-Id: "));
    buf_reset(&c.in);
    CHECK(client_asks(&c, POST("/echo") "Content-Length: 2\r\n\r\nok", "ok"));
    client_close(&c);
}

TEST(a_stream_of_known_length_has_no_chunks)
{
    struct client c;
    client_open(&c);
    client_send(&c, GET("/sized"));
    CHECK(client_gets(&c, "\r\n\r\nhelloworld") && client_has(&c, "Content-Length: 10"));
    buf_reset(&c.in);
    CHECK(client_asks(&c, POST("/echo") "Content-Length: 2\r\n\r\nok", "ok"));
    client_close(&c);
}

TEST(a_stream_to_an_old_client_ends_with_the_connection)
{
    struct client c;
    client_open(&c);
    client_send(&c, "GET /chunks HTTP/1.0\r\nHost: h\r\n\r\n");
    client_read_all(&c);
    CHECK(str_ends(buf_str(&c.in), STR("\r\n\r\nhelloworld")) && !c.was_reset);
    client_close(&c);
}

TEST(a_writer_waits_for_a_slow_reader_and_no_byte_is_lost)
{
    struct client c;
    client_open_small(&c, 4096);
    client_send(&c, GET("/flood"));
    CHECK(client_gets(&c, "\r\n\r\n"));
    for (int i = 0; i < 1000; i++)
        fiber_yield();
    size_t flooded = t.flooded;
    CHECK(t.flooded < (size_t)64 * 64 * 1024);
    CHECK(t.held && request_of(t.held)->stream->queue.n <= (size_t)2 * LIMIT_STREAM_QUEUE);
    CHECK(client_gets(&c, "\r\n0\r\n\r\n"));
    CHECK(t.flooded > flooded && c.in.n > (size_t)64 * 64 * 1024);
    wait_until_quiet();
    CHECK(t.last_bytes == (int64_t)64 * 64 * 1024);
    client_close(&c);
}

TEST(a_writer_learns_that_the_client_left)
{
    struct client c;
    client_open_small(&c, 4096);
    client_send(&c, GET("/flood"));
    CHECK(client_gets(&c, "\r\n\r\n"));
    client_close(&c);
    wait_for(&t.ended);
    CHECK(t.wait_result == ERR_CANCELLED && t.left == 1);
}

TEST(a_stream_left_open_by_its_handler_is_cut)
{
    struct client c;
    client_open(&c);
    client_send(&c, GET("/abandon"));
    client_read_all(&c);
    CHECK(client_has(&c, "HTTP/1.1 200") && !client_has(&c, "\r\n0\r\n\r\n"));
    CHECK(t.done == 1 && t.left == 0);
    client_close(&c);
}

static struct http_request *detached(struct client *c)
{
    client_open(c);
    client_send(c, GET("/detach"));
    wait_for(&t.entered);
    CHECK(client_gets(c, "text/event-stream"));
    CHECK(t.held && !request_of(t.held)->fiber);
    return t.held;
}

TEST(a_detached_stream_is_fed_from_callbacks)
{
    struct client c;
    struct http_request *rq = detached(&c);
    CHECK(http_stream_push(rq, STR("data: one\n\n")) && client_gets(&c, "data: one\n\n"));
    CHECK(http_stream_push(rq, STR("data: two\n\n")) && client_gets(&c, "data: two\n\n"));
    CHECK(t.closed == 0);
    http_stream_end(rq);
    CHECK(client_gets(&c, "\r\n0\r\n\r\n"));
    wait_for(&t.ended);
    CHECK(t.closed == 1 && t.left == 0);
    client_close(&c);
}

TEST(a_detached_stream_ends_when_the_client_leaves)
{
    struct client c;
    struct http_request *rq = detached(&c);
    CHECK(http_stream_push(rq, STR("data: one\n\n")) && client_gets(&c, "data: one\n\n"));
    client_close(&c);
    wait_for(&t.ended);
    CHECK(t.closed == 1 && t.left == 1);
}

TEST(pushing_onto_a_full_queue_fails)
{
    static char block[LIMIT_STREAM_QUEUE / 2 + 1];
    struct client c;
    struct http_request *rq = detached(&c);
    memset(block, 'q', sizeof block);
    CHECK(http_stream_push(rq, (struct str){block, sizeof block}));
    CHECK(!http_stream_push(rq, (struct str){block, sizeof block}));
    CHECK(http_stream_push(rq, STR("small")));
    http_stream_end(rq);
    CHECK(!http_stream_push(rq, STR("late")));
    CHECK(client_gets(&c, "\r\n0\r\n\r\n") && client_has(&c, "small") && !client_has(&c, "late"));
    client_close(&c);
}

TEST(a_silent_stream_is_kept_alive_with_comments)
{
    struct client c;
    struct http_request *rq = detached(&c);
    http_stream_keepalive(rq, 2, STR(":\n\n"));
    CHECK(client_gets(&c, ":\n\n"));
    buf_reset(&c.in);
    CHECK(client_gets(&c, ":\n\n"));
    http_stream_keepalive(rq, 0, STR_NONE);
    CHECK(!request_of(rq)->stream->keepalive.heap_slot);
    client_close(&c);
    wait_for(&t.ended);
}

TEST(a_cut_stream_does_not_look_complete)
{
    struct client c;
    struct http_request *rq = detached(&c);
    CHECK(http_stream_push(rq, STR("data")));
    http_stream_cut(rq);
    client_read_all(&c);
    CHECK(!client_has(&c, "\r\n0\r\n\r\n"));
    wait_until_quiet();
    CHECK(t.closed == 1 && t.left == 0);
    client_close(&c);
}

TEST(a_cut_stream_of_an_old_client_is_a_reset)
{
    struct client c;
    client_open(&c);
    client_send(&c, "GET /detach HTTP/1.0\r\nHost: h\r\n\r\n");
    CHECK(client_gets(&c, "\r\n\r\n"));
    http_stream_cut(t.held);
    client_read_all(&c);
    CHECK(c.was_reset);
    client_close(&c);
}

/* ---- deadlines ---- */

/* As if the time of everything that waits had come. */
static void let_time_pass(void)
{
    for (int what = 0; what < CONN_WAITS; what++) {
        LIST_FOR(pos, &t.server->waiting[what])
        CONTAINER_OF(pos, struct server_conn, wait)->wait_until_ms = 0;
    }
    server_conn_tick(&t.server->tick);
}

TEST(half_sent_heads_and_bodies_have_a_deadline)
{
    static const char *const halves[] = {
        "", "GET /ec", POST("/echo"), POST("/echo") "Content-Length: 5\r\n\r\nhel",
        POST("/echo") "Transfer-Encoding: chunked\r\n\r\n5\r\nhel"};
    for (size_t i = 0; i < ARRAY_LEN(halves); i++) {
        struct client c;
        client_open(&c);
        int64_t before = metric_value(M_HTTP_CONNECTIONS);
        client_send(&c, halves[i]);
        for (int k = 0; k < 10 && (k < 3 || metric_value(M_HTTP_CONNECTIONS) == before); k++)
            fiber_yield();
        let_time_pass();
        client_read_all(&c);
        CHECK(c.is_ended && c.in.n == 0);
        client_close(&c);
    }
    CHECK(t.handled == 0);
}

TEST(idle_kept_connections_have_a_deadline)
{
    struct client c;
    client_open(&c);
    CHECK(client_asks(&c, POST("/echo") "Content-Length: 2\r\n\r\nok", "ok"));
    let_time_pass();
    client_read_all(&c);
    CHECK(c.is_ended);
    client_close(&c);
}

TEST(waiting_and_streaming_answers_have_none)
{
    struct client c, d;
    struct http_request *rq = detached(&d);
    fiber_rearm(&t.entered);
    client_open(&c);
    client_send(&c, GET("/wait"));
    wait_for(&t.entered);
    let_time_pass();
    CHECK(http_stream_push(rq, STR("still here")) && client_gets(&d, "still here"));
    fiber_wake(&t.gate);
    CHECK(client_gets(&c, "\r\n\r\nwaited"));
    client_close(&c);
    client_close(&d);
}

/* ---- ending ---- */

TEST(draining_lets_a_running_request_finish)
{
    struct client c, idle;
    client_open(&idle);
    CHECK(client_asks(&idle, POST("/echo") "Content-Length: 2\r\n\r\nok", "ok"));
    fiber_rearm(&t.entered);
    client_open(&c);
    client_send(&c, GET("/wait"));
    wait_for(&t.entered);
    int port = http_server_port(t.server);
    http_server_drain(t.server);
    client_read_all(&idle);
    CHECK(idle.is_ended && !idle.was_reset);

    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(connect(fd, (struct sockaddr *)&to, sizeof to) != 0 && errno == ECONNREFUSED);
    close(fd);

    fiber_wake(&t.gate);
    client_read_all(&c);
    CHECK(client_has(&c, "\r\n\r\nwaited") && client_has(&c, "Connection: close"));
    CHECK(t.wait_result == ERR_NONE);
    client_close(&c);
    client_close(&idle);
}

TEST(cancelling_all_ends_waits_and_streams)
{
    struct client c, d;
    (void)detached(&d);
    fiber_rearm(&t.entered);
    client_open(&c);
    client_send(&c, GET("/wait"));
    wait_for(&t.entered);
    http_server_drain(t.server);
    http_server_cancel_all(t.server);
    wait_until_quiet();
    CHECK(t.wait_result == ERR_CANCELLED && t.closed == 1 && t.done == 2);
    CHECK(client_gets(&d, "\r\n0\r\n\r\n"));
    client_close(&c);
    client_close(&d);
}

TEST(stopping_with_suspended_connections_is_safe)
{
    struct client c, d, half;
    (void)detached(&d);
    fiber_rearm(&t.entered);
    client_open(&half);
    client_send(&half, POST("/echo") "Content-Length: 5\r\n\r\nh");
    client_open(&c);
    client_send(&c, GET("/wait"));
    wait_for(&t.entered);
    http_server_stop(t.server);
    t.server = NULL;
    CHECK(t.closed == 1);
    client_read_all(&c);
    client_read_all(&d);
    client_read_all(&half);
    CHECK(c.is_ended && d.is_ended && half.is_ended && !client_has(&d, "\r\n0\r\n\r\n"));
    while (t.done < 3)
        fiber_yield();
    CHECK(t.wait_result == ERR_CANCELLED);
    client_close(&c);
    client_close(&d);
    client_close(&half);
}

TEST(a_port_in_use_is_found_out)
{
    static const char *const addresses[] = {"127.0.0.1"};
    struct err e = {0};
    int port = http_server_port(t.server);
    CHECK(!http_server_probe_port(addresses, 1, port, &e) && e.code == ERR_CONFLICT);
    char text[16];
    snprintf(text, sizeof text, "%d", port);
    CHECK(strstr(e.msg, text) != NULL);
    http_server_drain(t.server);
    CHECK(http_server_probe_port(addresses, 1, port, &e));
}

TEST(two_servers_of_one_process_share_a_port)
{
    static const char *const addresses[] = {"127.0.0.1"};
    struct err e = {0};
    struct http_server_config config = t.server->config;
    config.addresses = addresses;
    config.port = http_server_port(t.server);
    struct http_server *second = http_server_start(loop_self(), &config, &e);
    CHECK(second && http_server_port(second) == config.port);
    http_server_stop(second);
}

TEST(an_address_that_is_no_number_is_refused)
{
    static const char *const addresses[] = {"localhost"};
    struct err e = {0};
    struct http_server_config config = t.server->config;
    config.addresses = addresses;
    CHECK(!http_server_start(loop_self(), &config, &e) && e.code == ERR_INVALID);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_handler_may_wait),
        cmocka_unit_test(a_handler_that_waits_longer_has_its_connection_suspended),
        cmocka_unit_test(a_leaving_client_cancels_the_waiting_handler),
        cmocka_unit_test(a_client_that_leaves_in_its_second_request_is_noticed_too),
        cmocka_unit_test(a_half_closed_client_gets_an_immediate_answer),
        cmocka_unit_test(a_half_closed_client_counts_as_gone_when_the_handler_waits),
        cmocka_unit_test(a_stream_is_sent_in_chunks),
        cmocka_unit_test(a_stream_of_known_length_has_no_chunks),
        cmocka_unit_test(a_stream_to_an_old_client_ends_with_the_connection),
        cmocka_unit_test(a_writer_waits_for_a_slow_reader_and_no_byte_is_lost),
        cmocka_unit_test(a_writer_learns_that_the_client_left),
        cmocka_unit_test(a_stream_left_open_by_its_handler_is_cut),
        cmocka_unit_test(a_detached_stream_is_fed_from_callbacks),
        cmocka_unit_test(a_detached_stream_ends_when_the_client_leaves),
        cmocka_unit_test(pushing_onto_a_full_queue_fails),
        cmocka_unit_test(a_silent_stream_is_kept_alive_with_comments),
        cmocka_unit_test(a_cut_stream_does_not_look_complete),
        cmocka_unit_test(a_cut_stream_of_an_old_client_is_a_reset),
        cmocka_unit_test(half_sent_heads_and_bodies_have_a_deadline),
        cmocka_unit_test(idle_kept_connections_have_a_deadline),
        cmocka_unit_test(waiting_and_streaming_answers_have_none),
        cmocka_unit_test(draining_lets_a_running_request_finish),
        cmocka_unit_test(cancelling_all_ends_waits_and_streams),
        cmocka_unit_test(stopping_with_suspended_connections_is_safe),
        cmocka_unit_test(a_port_in_use_is_found_out),
        cmocka_unit_test(two_servers_of_one_process_share_a_port),
        cmocka_unit_test(an_address_that_is_no_number_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
