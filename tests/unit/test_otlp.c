/* The exporter of spans: what the collector receives, what is tried again, what is dropped. */
#include "io/otlp.h"

#include "log/trace.h"
#include "unit/http_client_fixture.h"

static struct otlp *start(void)
{
    struct err e;
    char endpoint[64];
    snprintf(endpoint, sizeof endpoint, "http://127.0.0.1:%d/", fx.server->port);
    struct otlp *o = otlp_start(fiber_loop(), fx.client, endpoint, &e);
    assert_non_null(o);
    assert_true(trace_has_sink());
    return o;
}

static struct span span_of(const char *name)
{
    struct span s = {
        .trace = {.trace_id = {0x0a, [15] = 0xff}, .span_id = {1, [7] = 2}, .sampled = true},
        .start_wall_us = 1700000000123456,
        .duration_us = 1500,
    };
    snprintf(s.name, sizeof s.name, "%s", name);
    return s;
}

static void assert_sent(const char *text)
{
    if (!strstr(fx.server->last, text))
        fail_msg("%s is not in %s", text, fx.server->last);
}

static void shape(void)
{
    struct otlp *o = start();
    fx.server->status = 200;
    struct span s = span_of("POST /mcp \"x\"");
    s.trace.parent_id[0] = 0xbc;
    s.is_client = true;
    s.failed = true;
    s.n_attrs = 1;
    s.attrs[0].key = "http.route";
    snprintf(s.attrs[0].value, sizeof s.attrs[0].value, "/mcp/:id");
    trace_finish(&s);
    otlp_stop(o);
    assert_false(trace_has_sink());
    assert_int_equal(fx.server->requests, 1);
    assert_int_equal(strncmp(fx.server->last, "POST /v1/traces HTTP/1.1\r\n", 26), 0);
    assert_sent("Content-Type: application/json\r\n");
    assert_sent("{\"resourceSpans\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\","
                "\"value\":{\"stringValue\":\"tulle\"}},{\"key\":\"service.version\",\"value\":{"
                "\"stringValue\":\"" TULLE_VERSION "\"}}]},\"scopeSpans\":[{\"scope\":{\"name\":"
                "\"tulle\"},\"spans\":[{\"traceId\":\"0a0000000000000000000000000000ff\","
                "\"spanId\":\"0100000000000002\",\"parentSpanId\":\"bc00000000000000\","
                "\"name\":\"POST /mcp \\\"x\\\"\",\"kind\":3,"
                "\"startTimeUnixNano\":\"1700000000123456000\","
                "\"endTimeUnixNano\":\"1700000000124956000\","
                "\"attributes\":[{\"key\":\"http.route\",\"value\":{\"stringValue\":"
                "\"/mcp/:id\"}}],\"status\":{\"code\":2}}]}]}]}");
}

static void a_span_has_the_shape_of_otlp_json(void **state)
{
    (void)state;
    run(shape);
}

static void root(void)
{
    struct otlp *o = start();
    fx.server->status = 200;
    struct span s = span_of("root");
    trace_finish(&s);
    otlp_stop(o);
    assert_sent("\"kind\":2,");
    assert_sent("\"status\":{}");
    assert_null(strstr(fx.server->last, "parentSpanId"));
}

static void a_root_span_has_no_parent(void **state)
{
    (void)state;
    run(root);
}

static void unsampled(void)
{
    struct otlp *o = start();
    struct span s = span_of("unsampled");
    s.trace.sampled = false;
    trace_finish(&s);
    otlp_stop(o);
    assert_int_equal(fx.server->requests, 0);
}

static void an_unsampled_span_is_not_sent(void **state)
{
    (void)state;
    run(unsampled);
}

static size_t spans_in_last(void)
{
    size_t n = 0;
    for (const char *p = fx.server->last; (p = strstr(p, "\"traceId\"")); p++)
        n++;
    return n;
}

static void batches(void)
{
    struct otlp *o = start();
    fx.server->status = 200;
    struct span s = span_of("one of many");
    for (int i = 0; i < 2 * LIMIT_SPAN_BATCH + 7; i++)
        trace_finish(&s);
    otlp_stop(o);
    assert_int_equal(fx.server->requests, 3);
    assert_int_equal(spans_in_last(), 7);
}

static void spans_go_in_bounded_batches(void **state)
{
    (void)state;
    run(batches);
}

static void retried(void)
{
    struct otlp *o = start();
    fx.server->status = 503;
    int64_t dropped = metric_value(M_SPANS_DROPPED);
    struct span s = span_of("kept");
    trace_finish(&s);
    wait_for(&fx.server->requests, 1);
    fx.server->status = 200;
    otlp_stop(o);
    assert_int_equal(fx.server->requests, 2);
    assert_sent("\"name\":\"kept\"");
    assert_int_equal(metric_value(M_SPANS_DROPPED), dropped);
}

static void a_batch_is_tried_again_when_the_collector_was_not_ready(void **state)
{
    (void)state;
    run(retried);
}

static void refused(void)
{
    struct otlp *o = start();
    fx.server->status = 400;
    int64_t dropped = metric_value(M_SPANS_DROPPED);
    struct span s = span_of("refused");
    trace_finish(&s);
    trace_finish(&s);
    otlp_stop(o);
    assert_int_equal(fx.server->requests, 1);
    assert_int_equal(metric_value(M_SPANS_DROPPED), dropped + 2);
}

static void refused_spans_are_dropped_and_counted(void **state)
{
    (void)state;
    run(refused);
}

static void *many_spans(void *arg)
{
    (void)arg;
    struct span s = span_of("from a thread");
    for (int i = 0; i < LIMIT_SPAN_QUEUE; i++)
        trace_finish(&s);
    return NULL;
}

static void overflow(void)
{
    struct otlp *o = start();
    fx.server->status = 200;
    int64_t dropped = metric_value(M_SPANS_DROPPED);
    pthread_t threads[2];
    /* The loop does not turn meanwhile, so nothing is taken out. */
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        pthread_create(&threads[i], NULL, many_spans, NULL);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(metric_value(M_SPANS_DROPPED), dropped + LIMIT_SPAN_QUEUE);
    otlp_stop(o);
    assert_int_equal(fx.server->requests, LIMIT_SPAN_QUEUE / LIMIT_SPAN_BATCH);
    assert_int_equal(metric_value(M_SPANS_DROPPED), dropped + LIMIT_SPAN_QUEUE);
}

static void a_full_queue_drops_and_counts(void **state)
{
    (void)state;
    run(overflow);
}

static void bad_endpoints(void)
{
    static const char *const bad[] = {"", "localhost:4318", "ftp://x", "http://", "http://x?y=z"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct err e;
        assert_null(otlp_start(fiber_loop(), fx.client, bad[i], &e));
        assert_err(e, ERR_INVALID, "OTEL_EXPORTER_OTLP_ENDPOINT");
    }
    assert_false(trace_has_sink());
}

static void a_bad_endpoint_is_named(void **state)
{
    (void)state;
    run(bad_endpoints);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_span_has_the_shape_of_otlp_json),
        cmocka_unit_test(a_root_span_has_no_parent),
        cmocka_unit_test(an_unsampled_span_is_not_sent),
        cmocka_unit_test(spans_go_in_bounded_batches),
        cmocka_unit_test(a_batch_is_tried_again_when_the_collector_was_not_ready),
        cmocka_unit_test(refused_spans_are_dropped_and_counted),
        cmocka_unit_test(a_full_queue_drops_and_counts),
        cmocka_unit_test(a_bad_endpoint_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
