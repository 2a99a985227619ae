/* Lines out of pieces of any size. */
#include "io/lines.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

enum { MAX = 8 };

struct seen {
    struct buf text; /* every line in brackets, ! after a cut one */
    int stop_after;  /* lines; 0: never */
    int n;
};

static bool note(void *arg, struct str line, bool is_cut)
{
    struct seen *s = arg;
    buf_addf(&s->text, "[%.*s]%s", STR_FMT(line), is_cut ? "!" : "");
    return ++s->n != s->stop_after;
}

/* Feeds the text in pieces of `step` bytes, then finishes. */
static bool feed(struct seen *s, const char *text, size_t step)
{
    struct lines l;
    bool is_good = true;
    lines_init(&l, MAX, note, s);
    for (size_t at = 0, n = strlen(text); is_good && at < n; at += step)
        is_good = lines_feed(&l, str_slice(str_c(text), at, step));
    is_good = is_good && lines_finish(&l);
    lines_end(&l);
    return is_good;
}

static void expect(const char *text, const char *wanted)
{
    for (size_t step = 1; step <= strlen(text) + 1; step++) {
        struct seen s = {0};
        buf_init(&s.text, 4096);
        assert_true(feed(&s, text, step));
        assert_string_equal(s.text.p ? s.text.p : "", wanted);
        buf_end(&s.text);
    }
}

static void pieces_do_not_matter(void **state unused_arg)
{
    expect("one\ntwo\n\nthree\n", "[one][two][][three]");
    expect("", "");
}

static void cr_before_lf_is_no_part_of_a_line(void **state unused_arg)
{
    expect("a\r\nb\rc\n\r\n", "[a][b\rc][]");
}

static void what_has_no_end_is_a_line_at_the_end(void **state unused_arg)
{
    expect("a\nrest", "[a][rest]");
}

static void a_line_of_the_maximum_is_whole_and_a_longer_one_is_cut(void **state unused_arg)
{
    expect("12345678\n", "[12345678]");
    expect("12345678\r\n", "[12345678]");
    expect("123456789\nnext\n", "[12345678]![next]");
    expect("12345678901234567890\nnext\n", "[12345678]![next]");
}

static void the_callback_stops_it(void **state unused_arg)
{
    struct seen s = {.stop_after = 2};
    buf_init(&s.text, 4096);
    assert_false(feed(&s, "a\nb\nc\n", 100));
    assert_string_equal(s.text.p, "[a][b]");
    buf_end(&s.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_do_not_matter),
        cmocka_unit_test(cr_before_lf_is_no_part_of_a_line),
        cmocka_unit_test(what_has_no_end_is_a_line_at_the_end),
        cmocka_unit_test(a_line_of_the_maximum_is_whole_and_a_longer_one_is_cut),
        cmocka_unit_test(the_callback_stops_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
