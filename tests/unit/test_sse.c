#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/limits.h"
#include "io/sse.h"

struct seen {
    struct buf log; /* "event|data|id|retry|has_id;" for each event */
    int stop_after; /* the callback fails at this event; 0 never */
    int n;
};

static bool record(void *arg, const struct sse_event *ev, struct err *e)
{
    struct seen *s = arg;
    buf_addf(&s->log, "%.*s|%.*s|%.*s|%lld|%d;", STR_FMT(ev->event), STR_FMT(ev->data),
             STR_FMT(ev->id), (long long)ev->retry_ms, ev->has_id);
    return ++s->n != s->stop_after || err_set(e, ERR_CANCELLED, "stopped");
}

static void assert_events(struct str text, const char *expected)
{
    for (size_t step = 1; step <= text.n; step += step < 9 ? 1 : text.n) {
        struct seen s = {0};
        struct sse_parser p;
        struct err e;
        buf_init(&s.log, 1 << 16);
        sse_parser_init(&p, record, &s);
        for (size_t at = 0; at < text.n; at += step)
            assert_true(sse_parser_feed(&p, str_slice(text, at, step), &e));
        assert_string_equal(buf_str(&s.log).p, expected);
        sse_parser_end(&p);
        buf_end(&s.log);
    }
}

static void an_event_is_what_stands_before_an_empty_line(void **state)
{
    (void)state;
    assert_events(STR("data: a\n\n"), "|a||-1|0;");
    assert_events(STR("event: message\ndata: {\"x\":1}\nid: 7\n\ndata: b\n\n"),
                  "message|{\"x\":1}|7|-1|1;|b|7|-1|0;");
    assert_events(STR("data: a\ndata: b\ndata\ndata:  c\n\n"), "|a\nb\n\n c||-1|0;");
    assert_events(STR("\n\n\ndata:a\n\n\n"), "|a||-1|0;");
}

static void every_kind_of_line_end_counts_once(void **state)
{
    (void)state;
    assert_events(STR("data: a\r\n\r\ndata: b\r\n\r\n"), "|a||-1|0;|b||-1|0;");
    assert_events(STR("data: a\r\rdata: b\r\r"), "|a||-1|0;|b||-1|0;");
    assert_events(STR("data: a\r\ndata: b\rdata: c\n\r\n"), "|a\nb\nc||-1|0;");
    assert_events(STR("data: a\r\n\ndata: b\n\r"), "|a||-1|0;|b||-1|0;");
}

static void only_one_byte_order_mark_at_the_start_is_dropped(void **state)
{
    (void)state;
    assert_events(STR("\xEF\xBB\xBF"
                      "data: a\n\n"),
                  "|a||-1|0;");
    assert_events(STR("\xEF\xBB\xBF\xEF\xBB\xBF"
                      "data: a\n\ndata: b\n\n"),
                  "|b||-1|0;");
    assert_events(STR("\xEF\xBB"
                      "data: a\ndata: b\n\n"),
                  "|b||-1|0;");
    assert_events(STR("data: a\n\xEF\xBB\xBF"
                      "data: b\n\n"),
                  "|a||-1|0;");
}

static void comments_and_unknown_fields_are_ignored(void **state)
{
    (void)state;
    assert_events(STR(": ping\n\ndata: a\n:x\nfoo: bar\nDATA: b\n data: c\n\n"), "|a||-1|0;");
}

static void an_event_without_data_is_not_delivered_but_an_empty_one_is(void **state)
{
    (void)state;
    assert_events(STR("event: x\n\ndata: a\n\n"), "|a||-1|0;");
    assert_events(STR("id: 5\nretry: 500\n\ndata: a\n\n"), "|a|5|500|0;");
    assert_events(STR("id: 5\ndata:\n\n"), "||5|-1|1;");
    assert_events(STR("data\n\n"), "|||-1|0;");
}

static void ids_are_kept_and_those_with_nul_ignored(void **state)
{
    (void)state;
    assert_events(STR("id: 1\ndata: a\n\nid: x\0y\ndata: b\n\nid\ndata: c\n\n"),
                  "|a|1|-1|1;|b|1|-1|0;|c||-1|1;");
}

static void retry_takes_digits_only(void **state)
{
    (void)state;
    assert_events(STR("retry: 250\ndata: a\n\nretry: -1\ndata: b\n\nretry: 1x\ndata: "
                      "c\n\nretry:\ndata: d\n\nretry: 99999999999\ndata: e\n\n"),
                  "|a||250|0;|b||250|0;|c||250|0;|d||250|0;|e||250|0;");
}

static void what_the_end_cuts_off_is_dropped(void **state)
{
    (void)state;
    assert_events(STR("data: a\n\ndata: b\n"), "|a||-1|0;");
    assert_events(STR("data: a\n\ndata: b"), "|a||-1|0;");
}

static void the_callback_can_stop_the_parser(void **state)
{
    (void)state;
    struct seen s = {.stop_after = 1};
    struct sse_parser p;
    struct err e;
    buf_init(&s.log, 1000);
    sse_parser_init(&p, record, &s);
    assert_false(sse_parser_feed(&p, STR("data: a\n\ndata: b\n\n"), &e));
    assert_int_equal(e.code, ERR_CANCELLED);
    assert_int_equal(s.n, 1);
    sse_parser_end(&p);
    buf_end(&s.log);
}

/* Feeds `line` until an error comes or `max` bytes went in. */
static bool feed_until(struct str line, size_t max)
{
    struct seen s = {0};
    struct sse_parser p;
    struct err e = {0};
    buf_init(&s.log, 1000);
    sse_parser_init(&p, record, &s);
    bool is_good = true;
    for (size_t n = 0; is_good && n < max; n += line.n)
        is_good = sse_parser_feed(&p, line, &e);
    if (!is_good)
        assert_int_equal(e.code, ERR_TOO_LARGE);
    sse_parser_end(&p);
    buf_end(&s.log);
    return is_good;
}

static void put(char *to, struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        to[i] = s.p[i];
}

static void lines_and_events_are_bounded(void **state)
{
    (void)state;
    static char block[64 * 1024];
    memset(block, 'x', sizeof block);
    assert_false(feed_until((struct str){block, sizeof block}, LIMIT_SSE_LINE + 2 * sizeof block));
    put(block, STR("data: "));
    block[sizeof block - 1] = '\n';
    assert_false(feed_until((struct str){block, sizeof block}, LIMIT_SSE_EVENT + 2 * sizeof block));
    put(block, STR(": pin")); /* many comments within one event */
    assert_false(feed_until((struct str){block, sizeof block}, LIMIT_SSE_EVENT + 2 * sizeof block));
    block[sizeof block - 2] = '\n'; /* but not over many events */
    assert_true(feed_until((struct str){block, sizeof block}, (size_t)2 * LIMIT_SSE_EVENT));
}

static void events_are_written_line_by_line(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 1000);
    sse_write_event(&out, STR("message"), STR("e1"), STR("{\"a\":1}"));
    assert_string_equal(buf_str(&out).p, "event: message\nid: e1\ndata: {\"a\":1}\n\n");
    buf_reset(&out);
    sse_write_event(&out, STR_NONE, STR_NONE, STR("a\nb\r\nc\rd\n"));
    assert_string_equal(buf_str(&out).p, "data: a\ndata: b\ndata: c\ndata: d\ndata: \n\n");
    buf_reset(&out);
    sse_write_event(&out, STR_NONE, STR("5"), STR_NONE);
    assert_string_equal(buf_str(&out).p, "id: 5\n\n");
    buf_reset(&out);
    sse_write_event(&out, STR_NONE, STR("5"), STR(""));
    assert_string_equal(buf_str(&out).p, "id: 5\ndata: \n\n");
    buf_reset(&out);
    sse_write_comment(&out, STR("a\nb"));
    assert_string_equal(buf_str(&out).p, ": a\n: b\n\n");
    buf_end(&out);
}

static void a_line_end_in_an_id_or_type_cannot_forge_fields(void **state)
{
    (void)state;
    static const struct str bad[] = {{"a\nb", 3}, {"a\rb", 3}, {"a\0b", 3}};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct buf out;
        buf_init(&out, 1000);
        sse_write_event(&out, bad[i], STR_NONE, STR("x"));
        assert_false(buf_ok(&out));
        buf_reset(&out);
        sse_write_event(&out, STR_NONE, bad[i], STR("x"));
        assert_false(buf_ok(&out));
        buf_end(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_is_what_stands_before_an_empty_line),
        cmocka_unit_test(every_kind_of_line_end_counts_once),
        cmocka_unit_test(only_one_byte_order_mark_at_the_start_is_dropped),
        cmocka_unit_test(comments_and_unknown_fields_are_ignored),
        cmocka_unit_test(an_event_without_data_is_not_delivered_but_an_empty_one_is),
        cmocka_unit_test(ids_are_kept_and_those_with_nul_ignored),
        cmocka_unit_test(retry_takes_digits_only),
        cmocka_unit_test(what_the_end_cuts_off_is_dropped),
        cmocka_unit_test(the_callback_can_stop_the_parser),
        cmocka_unit_test(lines_and_events_are_bounded),
        cmocka_unit_test(events_are_written_line_by_line),
        cmocka_unit_test(a_line_end_in_an_id_or_type_cannot_forge_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
