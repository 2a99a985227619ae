/* Exchanges that outlive their fiber. */
#include "unit/http_client_fixture.h"

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

/* The body is freed with the request that it came in. */
static void detached_early(void)
{
    enum { BODY = 8 * 1024 * 1024 };
    struct sink s = {.n = 0};
    struct http_answer_head head;
    struct http_call call = get("/early");
    char *body = calloc(1, BODY);
    assert_non_null(body);
    call.method = STR("POST");
    call.body = (struct str){body, BODY};
    s.x = open_ok(&call, &head);
    http_exchange_detach(s.x, sink_data, sink_end, &s);
    free(body);
    raw_server_go(fx.server);
    sink_wait(&s.ended);
    assert_int_equal(s.ends, 1);
    assert_int_equal(s.e.code, ERR_UPSTREAM);
    assert_non_null(strstr(s.e.msg, "before it had read"));
    wait_for(&fx.server->hangups, 1);
}

static void a_detached_request_needs_its_body_no_more(void **state)
{
    (void)state;
    run(detached_early);
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
    assert_true(fiber_start(loop_self(), crowd_member, &n->crowd, NULL, &e));
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_detached_stream_goes_on_without_a_fiber),
        cmocka_unit_test(a_detached_request_needs_its_body_no_more),
        cmocka_unit_test(a_detached_stream_can_be_broken_off_anywhere),
        cmocka_unit_test(a_call_may_begin_within_the_bytes_of_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
