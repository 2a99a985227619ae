#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>

#include "base/limits.h"
#include "log/metrics.h"

enum { THREADS = 4, ROUNDS = 10000 };

static void *count(void *unused)
{
    (void)unused;
    for (int i = 0; i < ROUNDS; i++) {
        metric_add(M_CALLS, 1);
        metric_add(M_FIBERS, i % 2 ? -1 : 1);
        metric_observe_us(M_CALL_SECONDS, 700);
    }
    return NULL;
}

static bool has(const struct buf *text, const char *line)
{
    return text->p && strstr(text->p, line) != NULL;
}

static void figures_of_ended_threads_are_kept_and_added_up(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    metric_add(M_CALLS, 2);
    assert_int_equal(metric_value(M_CALLS), THREADS * ROUNDS + 2);
    assert_int_equal(metric_value(M_FIBERS), 0);
    assert_int_equal(metric_value(M_CALL_SECONDS), THREADS * ROUNDS);
}

static void the_text_has_types_values_and_cumulative_buckets(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 1 << 20);
    metric_observe_us(M_HTTP_SECONDS, 500);
    metric_observe_us(M_HTTP_SECONDS, 501);
    metric_observe_us(M_HTTP_SECONDS, 90000000);
    metric_add(M_AUDIT_QUEUE, -3);
    metrics_write(&out);
    assert_true(buf_ok(&out));
    assert_true(has(&out, "# TYPE tulle_calls_total counter\n"));
    assert_true(has(&out, "# HELP tulle_fibers live fibers\n# TYPE tulle_fibers gauge\n"));
    assert_true(has(&out, "\ntulle_audit_queue -3\n"));
    assert_true(has(&out, "\ntulle_http_request_seconds_bucket{le=\"0.0005\"} 1\n"));
    assert_true(has(&out, "\ntulle_http_request_seconds_bucket{le=\"0.001\"} 2\n"));
    assert_true(has(&out, "\ntulle_http_request_seconds_bucket{le=\"60\"} 2\n"));
    assert_true(has(&out, "\ntulle_http_request_seconds_bucket{le=\"+Inf\"} 3\n"));
    assert_true(has(&out, "\ntulle_http_request_seconds_sum 90.001001\n"));
    assert_true(has(&out, "\ntulle_http_request_seconds_count 3\n"));
    buf_end(&out);
}

/* The number after `name` at the start of a line. */
static double figure(const struct buf *out, const char *name)
{
    const char *at = strstr(out->p, name);
    assert_non_null(at);
    return strtod(at + strlen(name), NULL);
}

static void the_process_describes_itself(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 1 << 20);
    metrics_write(&out);
    double resident = figure(&out, "\nprocess_resident_memory_bytes ");
    double anonymous = figure(&out, "\nprocess_resident_anonymous_bytes ");
    assert_true(anonymous > 0 && resident >= anonymous);
    double fds = figure(&out, "\nprocess_open_fds ");
    assert_true(fds >= 1 && fds < 1000);
    double started = figure(&out, "\nprocess_start_time_seconds ");
    double now = (double)time(NULL);
    assert_true(started <= now + 2 && started > now - 3600);
    assert_true(has(&out, "\ntulle_build_info{version=\"" TULLE_VERSION "\"} 1\n"));
    buf_end(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(figures_of_ended_threads_are_kept_and_added_up),
        cmocka_unit_test(the_text_has_types_values_and_cumulative_buckets),
        cmocka_unit_test(the_process_describes_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
