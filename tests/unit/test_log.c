#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <unistd.h>

#include "base/limits.h"
#include "json/jread.h"
#include "log/log.h"

static char path[] = "/tmp/tulle-log-XXXXXX";
static char text[64 * 1024];

static struct str written(void)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = read(fd, text, sizeof(text));
    close(fd);
    assert_true(n >= 0);
    return (struct str){text, (size_t)n};
}

static int start(void **state)
{
    (void)state;
    struct err e;
    int fd = mkstemp(path);
    close(fd);
    return fd >= 0 && log_start(LOG_INFO, path, &e) ? 0 : 1;
}

static int stop(void **state)
{
    (void)state;
    struct err e;
    return log_start(LOG_INFO, NULL, &e) && unlink(path) == 0 ? 0 : 1;
}

static int empty(void **state)
{
    (void)state;
    return truncate(path, 0);
}

static void an_event_is_one_line_of_json(void **state)
{
    (void)state;
    struct err e;
    LOG(EV_REQUEST, LF_STR("request_id", STR("r1\n\"x\"")), LF_INT("status", 200));
    struct str rest = written();
    struct str line;
    assert_true(str_next(&rest, '\n', &line));
    assert_int_equal(rest.n, 0);
    struct jdoc *doc = jdoc_parse(line, &e);
    assert_non_null(doc);
    const struct jvalue *v = jdoc_root(doc);
    assert_true(str_eq(jv_get_str(v, "event"), STR("request")));
    assert_true(str_eq(jv_get_str(v, "level"), STR("info")));
    assert_true(str_eq(jv_get_str(v, "request_id"), STR("r1\n\"x\"")));
    assert_int_equal(jv_get_i64(v, "status", 0), 200);
    assert_int_equal(jv_get_str(v, "time").n, 24);
    jdoc_free(doc);
}

static void events_below_the_level_are_not_written(void **state)
{
    (void)state;
    assert_false(log_wants(LOG_DEBUG));
    assert_true(log_wants(LOG_INFO));
    LOG(EV_SESSION_REAPED, LF_INT("n", 1));
    assert_int_equal(written().n, 0);
    enum log_level level;
    assert_true(log_level_parse(STR("warn"), &level) && level == LOG_WARN);
    assert_false(log_level_parse(STR("WARN"), &level));
    assert_false(log_level_parse(STR(""), &level));
}

static void a_huge_event_stays_a_line_of_json(void **state)
{
    (void)state;
    struct err e;
    static char big[LIMIT_LOG_VALUE * 2];
    struct log_field fields[40];
    memset(big, 0xFF, sizeof(big));
    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        fields[i] = LF_STR("k", ((struct str){big, sizeof(big)}));
    log_emit(EV_REQUEST, fields, 1);
    log_emit(EV_REQUEST, fields, ARRAY_LEN(fields));
    struct str rest = written();
    struct str line;
    for (int i = 0; i < 2; i++) {
        assert_true(str_next(&rest, '\n', &line));
        assert_true(line.n <= LIMIT_LOG_LINE);
        struct jdoc *doc = jdoc_parse(line, &e);
        assert_non_null(doc);
        assert_true(str_eq(jv_get_str(jdoc_root(doc), "event"), STR("request")));
        jdoc_free(doc);
    }
    assert_int_equal(rest.n, 0);
}

static void a_log_file_that_cannot_be_opened_is_named(void **state)
{
    (void)state;
    struct err e;
    assert_false(log_start(LOG_INFO, "/nonexistent/x.log", &e));
    assert_non_null(strstr(e.msg, "/nonexistent/x.log"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(an_event_is_one_line_of_json, empty),
        cmocka_unit_test_setup(events_below_the_level_are_not_written, empty),
        cmocka_unit_test_setup(a_huge_event_stays_a_line_of_json, empty),
        cmocka_unit_test(a_log_file_that_cannot_be_opened_is_named),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
