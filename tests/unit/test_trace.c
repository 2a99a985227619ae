#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "log/trace.h"

#define TRACE_ID "4bf92f3577b34da6a3ce929d0e0e4736"
#define SPAN_ID  "00f067aa0ba902b7"

static void a_callers_trace_goes_on(void **state)
{
    (void)state;
    struct trace t, child;
    char out[TRACEPARENT_SIZE], child_out[TRACEPARENT_SIZE];
    trace_start(&t, STR("00-" TRACE_ID "-" SPAN_ID "-01"));
    trace_format(&t, out);
    assert_true(t.sampled);
    assert_memory_equal(out, "00-" TRACE_ID "-", 36);
    assert_memory_equal(t.parent_id, "\x00\xf0\x67\xaa\x0b\xa9\x02\xb7", 8);
    assert_memory_not_equal(out + 36, SPAN_ID, 16);
    assert_string_equal(out + 52, "-01");

    trace_child(&t, &child);
    trace_format(&child, child_out);
    assert_memory_equal(out, child_out, 36);
    assert_memory_equal(child.parent_id, t.span_id, 8);
    assert_memory_not_equal(child.span_id, t.span_id, 8);

    trace_start(&t, STR("00-" TRACE_ID "-" SPAN_ID "-02"));
    assert_false(t.sampled);
    trace_start(&t, STR("01-" TRACE_ID "-" SPAN_ID "-01-what-comes-later"));
    assert_memory_equal(t.trace_id, "\x4b\xf9\x2f", 3);
}

static void an_ill_formed_header_starts_a_new_trace(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "garbage",
        "ff-" TRACE_ID "-" SPAN_ID "-01",
        "00-" TRACE_ID "-" SPAN_ID "-01-more",
        "00-" TRACE_ID "-" SPAN_ID "-0",
        "00-" TRACE_ID "-" SPAN_ID "01",
        "00-" TRACE_ID "-" SPAN_ID "-01 ",
        "01-" TRACE_ID "-" SPAN_ID "-01x",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-" SPAN_ID "-01",
        "00-00000000000000000000000000000000-" SPAN_ID "-01",
        "00-" TRACE_ID "-0000000000000000-01",
        "00_" TRACE_ID "-" SPAN_ID "-01",
    };
    static const uint8_t zero[8];
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct trace t;
        trace_start(&t, str_c(bad[i]));
        assert_memory_not_equal(t.trace_id, "\x4b\xf9\x2f\x35", 4);
        assert_memory_equal(t.parent_id, zero, 8);
        assert_memory_not_equal(t.span_id, zero, 8);
        assert_false(t.sampled);
    }
}

static int n_spans;
static void take_span(const struct span *s)
{
    n_spans += s->is_client ? 10 : 1;
}

static void finished_spans_reach_the_sink_when_sampled(void **state)
{
    (void)state;
    struct span s = {.is_client = true};
    trace_start(&s.trace, STR_NONE);
    assert_false(trace_has_sink());
    s.trace.sampled = true;
    trace_finish(&s);
    assert_int_equal(n_spans, 0);
    trace_set_sink(take_span);
    assert_true(trace_has_sink());
    trace_start(&s.trace, STR_NONE);
    assert_true(s.trace.sampled);
    trace_finish(&s);
    assert_int_equal(n_spans, 10);
    s.trace.sampled = false;
    trace_finish(&s);
    assert_int_equal(n_spans, 10);
    trace_set_sink(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_callers_trace_goes_on),
        cmocka_unit_test(an_ill_formed_header_starts_a_new_trace),
        cmocka_unit_test(finished_spans_reach_the_sink_when_sampled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
