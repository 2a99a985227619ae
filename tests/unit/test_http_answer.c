/* Framing of answers: every case is fed whole and byte by byte, which must not matter. */
#include "io/http_answer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/limits.h"

struct seen {
    struct buf lines, body;
};

static bool on_line(void *arg, struct str line)
{
    struct seen *s = arg;
    buf_add(&s->lines, line);
    buf_add_char(&s->lines, '|');
    return true;
}

static bool on_body(void *arg, struct str bytes)
{
    struct seen *s = arg;
    buf_add(&s->body, bytes);
    return true;
}

struct outcome {
    enum http_answer_state state;
    size_t used;
    int status;
    bool keeps;
    int64_t kept_s;
    struct err e;
    char lines[512], body[512];
};

static void copy(char out[512], struct buf *from)
{
    struct str s = buf_str(from);
    assert_true(s.n < 512);
    memcpy(out, s.p, s.n);
    out[s.n] = 0;
    buf_end(from);
}

static struct outcome feed(const char *text, size_t step, bool answers_head)
{
    struct seen seen;
    struct http_answer_parser p;
    struct outcome o = {.state = HTTP_ANSWER_MORE};
    buf_init(&seen.lines, 4096);
    buf_init(&seen.body, 4096);
    http_answer_init(&p);
    p.on_line = on_line;
    p.on_body = on_body;
    p.arg = &seen;
    http_answer_begin(&p, answers_head);
    struct str all = str_c(text);
    while (o.state == HTTP_ANSWER_MORE && o.used < all.n) {
        size_t used;
        o.state = http_answer_feed(&p, str_slice(all, o.used, step), &used, &o.e);
        o.used += used;
    }
    if (o.state == HTTP_ANSWER_MORE)
        o.state = http_answer_eof(&p, &o.e);
    o.status = p.status;
    o.keeps = p.keeps;
    o.kept_s = p.kept_s;
    http_answer_end(&p);
    copy(o.lines, &seen.lines);
    copy(o.body, &seen.body);
    return o;
}

/* Whole and byte by byte; the two must agree. */
static struct outcome both(const char *text)
{
    struct outcome whole = feed(text, 4096, false), bytes = feed(text, 1, false);
    assert_int_equal(whole.state, bytes.state);
    assert_int_equal(whole.used, bytes.used);
    assert_string_equal(whole.lines, bytes.lines);
    assert_string_equal(whole.body, bytes.body);
    return whole;
}

static void done(const char *text, int status, const char *body, bool keeps)
{
    struct outcome o = both(text);
    if (o.state != HTTP_ANSWER_DONE || o.status != status || strcmp(o.body, body) != 0 ||
        o.keeps != keeps)
        fail_msg("%s: state %d, status %d, body \"%s\", keeps %d (%s)", text, o.state, o.status,
                 o.body, o.keeps, o.e.msg);
}

static void bad(const char *text, const char *why)
{
    struct outcome o = both(text);
    if (o.state != HTTP_ANSWER_BAD || !strstr(o.e.msg, why))
        fail_msg("%s: state %d (%s), expected \"%s\"", text, o.state, o.e.msg, why);
}

static void every_framing_ends_where_it_says(unused_arg void **state)
{
    done("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, "hello", true);
    done("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, "", true);
    done("HTTP/1.1 200\r\ncontent-length:5, 5\r\nContent-Length: 5\r\n\r\nhello", 200, "hello",
         true);
    done("HTTP/1.1 200 OK\nContent-Length: 1\n\nx", 200, "x", true);
    done(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nA;x=y\r\n0123456789\r\n"
        "0\r\nTrailer: x\r\n\r\n",
        200, "hello0123456789", true);
    done("HTTP/1.1 204 No Content\r\nContent-Length: 7\r\n\r\n", 204, "", true);
    done("HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", 304, "", true);
    done("HTTP/1.1 200 OK\r\n\r\nuntil the end", 200, "until the end", false);
    done("HTTP/1.0 200 OK\r\n\r\nuntil the end", 200, "until the end", false);
}

static void the_server_says_whether_the_connection_is_kept(unused_arg void **state)
{
    done("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx", 200, "x", false);
    done("HTTP/1.1 200 OK\r\nConnection: x, CLOSE\r\nContent-Length: 1\r\n\r\nx", 200, "x", false);
    done("HTTP/1.1 200 OK\r\nConnection: close, keep-alive\r\nContent-Length: 1\r\n\r\nx", 200, "x",
         false);
    done("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", 200, "x", false);
    done("HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 1\r\n\r\nx", 200, "x", true);
    assert_int_equal(
        both("HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5, max=9\r\nContent-Length: 0\r\n\r\n").kept_s,
        5);
    assert_int_equal(
        both("HTTP/1.1 200 OK\r\nKeep-Alive: timeout=soon\r\nContent-Length: 0\r\n\r\n").kept_s,
        -1);
}

static void interim_answers_come_before_the_answer(unused_arg void **state)
{
    struct outcome o = both("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
                            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    assert_int_equal(o.state, HTTP_ANSWER_DONE);
    assert_int_equal(o.status, 200);
    assert_string_equal(o.lines,
                        "HTTP/1.1 103 Early Hints|Link: x||HTTP/1.1 200 OK|Content-Length: 2||");
}

static bool bytes_count(void *arg, struct str bytes)
{
    *(size_t *)arg += bytes.n;
    return true;
}

static bool line_ignore(void *arg unused_arg, struct str line unused_arg)
{
    return true;
}

static void a_stream_may_have_any_number_of_chunks(unused_arg void **state)
{
    enum { CHUNKS = 100 * 1000 };
    struct http_answer_parser p;
    struct err e;
    size_t used, n_body = 0;
    http_answer_init(&p);
    p.on_line = line_ignore;
    p.on_body = bytes_count;
    p.arg = &n_body;
    http_answer_begin(&p, false);
    assert_int_equal(http_answer_feed(&p,
                                      STR("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
                                      &used, &e),
                     HTTP_ANSWER_MORE);
    for (int i = 0; i < CHUNKS; i++)
        assert_int_equal(http_answer_feed(&p, STR("2\r\nab\r\n"), &used, &e), HTTP_ANSWER_MORE);
    assert_int_equal(http_answer_feed(&p, STR("0\r\n\r\n"), &used, &e), HTTP_ANSWER_DONE);
    assert_int_equal(n_body, 2 * CHUNKS);
    http_answer_end(&p);
}

static void what_is_no_body_has_a_maximum(unused_arg void **state)
{
    static const char *const beginnings[] = {
        "HTTP/1.1 200 OK\r\nX: ",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nTrailer: ",
    };
    for (size_t i = 0; i < ARRAY_LEN(beginnings); i++) {
        struct http_answer_parser p;
        struct err e = {.code = ERR_NONE};
        size_t used, n_body = 0, n_fed = 0;
        http_answer_init(&p);
        p.on_line = line_ignore;
        p.on_body = bytes_count;
        p.arg = &n_body;
        http_answer_begin(&p, false);
        enum http_answer_state at = http_answer_feed(&p, str_c(beginnings[i]), &used, &e);
        for (; at == HTTP_ANSWER_MORE && n_fed <= LIMIT_ANSWER_HEADERS; n_fed += 64)
            at = http_answer_feed(
                &p, STR("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"), &used,
                &e);
        assert_int_equal(at, HTTP_ANSWER_BAD);
        assert_int_equal(e.code, ERR_TOO_LARGE);
        http_answer_end(&p);
    }
}

static void the_answer_to_head_has_no_body(unused_arg void **state)
{
    struct outcome o = feed("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", 4096, true);
    assert_int_equal(o.state, HTTP_ANSWER_DONE);
    assert_true(o.keeps);
}

static void bytes_after_the_answer_are_not_its_own(unused_arg void **state)
{
    const char *text = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200";
    struct outcome o = both(text);
    assert_int_equal(o.state, HTTP_ANSWER_DONE);
    assert_int_equal(o.used, strlen(text) - strlen("HTTP/1.1 200"));
}

static void two_framings_at_once_end_the_connection(unused_arg void **state)
{
    done("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: "
         "chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
         200, "x", false);
    done("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: "
         "chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
         200, "x", false);
}

static void what_is_no_http_is_refused(unused_arg void **state)
{
    bad("", "without an answer");
    bad("SSH-2.0-x\r\n\r\n", "begin");
    bad("HTTP/2 200\r\n\r\n", "begin");
    bad("HTTP/1.1 20x OK\r\n\r\n", "status");
    bad("HTTP/1.1 2000 OK\r\n\r\n", "status");
    bad("HTTP/1.1 101 Switching\r\n\r\n", "101");
    bad("HTTP/1.1 200 OK\r\nX y: z\r\n\r\n", "no name");
    bad("HTTP/1.1 200 OK\r\nX : z\r\n\r\n", "no name");
    bad("HTTP/1.1 200 OK\r\n: z\r\n\r\n", "no name");
    bad("HTTP/1.1 200 OK\r\nA: b\r\n folded\r\n\r\n", "no name");
    bad("HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n", "control");
    bad("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", "Content-Length");
    bad("HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n", "Content-Length");
    bad("HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", "Content-Length");
    bad("HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\n", "Content-Length");
    bad("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n", "Content-Length");
    bad("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "Transfer-Encoding");
    bad("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        "Transfer-Encoding");
    bad("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", "chunk");
    bad("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", "chunk");
    bad("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n", "chunk");
    bad("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n", "chunk");
}

static void an_answer_that_stops_is_cut_off(unused_arg void **state)
{
    bad("HTTP/1.1 200 OK\r\nContent-Len", "cut off");
    bad("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", "cut off");
    bad("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "cut off");
    bad("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n", "cut off");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_framing_ends_where_it_says),
        cmocka_unit_test(the_server_says_whether_the_connection_is_kept),
        cmocka_unit_test(interim_answers_come_before_the_answer),
        cmocka_unit_test(a_stream_may_have_any_number_of_chunks),
        cmocka_unit_test(what_is_no_body_has_a_maximum),
        cmocka_unit_test(the_answer_to_head_has_no_body),
        cmocka_unit_test(bytes_after_the_answer_are_not_its_own),
        cmocka_unit_test(two_framings_at_once_end_the_connection),
        cmocka_unit_test(what_is_no_http_is_refused),
        cmocka_unit_test(an_answer_that_stops_is_cut_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
