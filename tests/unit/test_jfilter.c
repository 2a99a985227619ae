#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/limits.h"
#include "json/jfilter.h"
#include "json/jscan.h"

#define NEW_ID "\"client-1\""

/* Every document in pieces of 1, 2, 3 and 7 bytes, and cut in two at every place. */
static const char *const documents[] = {
    "{}",
    " { } ",
    "{\"id\":1}",
    "{\"id\":1,\"result\":{}}",
    "{\"result\":{\"id\":5},\"id\":12}\n",
    "{\"id\" :\t\"a\\\"b\" , \"x\":1}",
    "{\"\\u0069d\":null}",
    "{\"i\\u0064\":true,\"y\":[{\"id\":false}]}",
    "{\"id\":{\"id\":[1,{\"id\":2}]},\"z\":\"}\"}",
    "{\"id\":-1.5e+3 }",
    "{\"id\":[],\"a\":{}}",
    "{\"ID\":1,\"id \":2,\"idx\":3,\"i\":4}",
    "{\"a\":\"\\ud83d\\ude00 \xF0\x9F\x98\x80 \xE6\x97\xA5\xC3\xA9\",\"id\":0}",
    "{\"a\":[0,-0,1.5,1e5,1E-5,true,false,null,\"\",[],{}],\"id\":10}",
    "{\"error\":{\"code\":-32603,\"message\":\"x\\n\"},\"id\":null}",
    "{\"a very long name of a member that no buffer should hold\":1,\"id\":2}",
    "{\"\\u0072\\u0065\\u0073\\u0075\\u006c\\u0074\":1,\"id\":3}",
    "{\"a\":{\"b\":{\"c\":[[[1]]]}},\"id\":\"\\\\\"}",
    "{\"id\":0}",
    /* refused */
    "",
    " ",
    "[]",
    "1",
    "\"id\"",
    "{",
    "{\"id\"",
    "{\"id\":",
    "{\"id\":1",
    "{\"id\":1,",
    "{\"id\":1,}",
    "{\"id\":01}",
    "{\"id\":-}",
    "{\"id\":1.}",
    "{\"id\":1e}",
    "{\"id\":tru}",
    "{\"id\":nulll}",
    "{\"id\":1}}",
    "{\"id\":1} x",
    "{\"id\":1}{}",
    "{\"a\":\"\\ud800\"}",
    "{\"a\":\"\\udc00\"}",
    "{\"a\":\"\\ud800\\u0041\"}",
    "{\"a\":\"\\x\"}",
    "{\"a\":\"\\u12g4\"}",
    "{\"a\":\"\t\"}",
    "{\"a\":\"\xC0\xAF\"}",
    "{\"a\":\"\xED\xA0\x80\"}",
    "{\"a\":\"\xE6\x97\"}",
    "{\"a\":\"\xF4\x90\x80\x80\"}",
    "{\"id\":1,\"id\":2}",
    "{\"id\":1,\"\\u0069d\":2}",
    "{\"result\":1,\"result\":2}",
    "{\"error\":1,\"err\\u006fr\":2}",
    "{\"a\":[1}}",
    "{\"a\":{]}",
    "{\"a\" 1}",
    "{\"a\":1 \"b\":2}",
    "{a:1}",
    "{,}",
    "{\"a\":[1,]}",
    "\xEF\xBB\xBF{}",
    "{\"a\":NaN}",
    "{\"a\":+1}",
};

static bool feed_pieces(struct str text, size_t first, size_t step, struct buf *out)
{
    struct jfilter f;
    struct err e = {0};
    jfilter_init(&f, STR(NEW_ID));
    buf_reset(out);
    bool is_good = jfilter_feed(&f, str_slice(text, 0, first), out, &e);
    for (size_t at = first; is_good && at < text.n; at += step)
        is_good = jfilter_feed(&f, str_slice(text, at, step), out, &e);
    if (!is_good)
        assert_true(e.code == ERR_PARSE || e.code == ERR_BAD_REQUEST);
    is_good = is_good && jfilter_is_complete(&f);
    jfilter_end(&f);
    return is_good;
}

/* The scanner's verdict, and the text with the id's value replaced by its span. */
static bool expectation(struct str text, struct buf *want)
{
    struct jwant id = {STR("id"), STR_NONE};
    struct err e;
    buf_reset(want);
    bool is_good = jscan_object(text, &id, 1, &e);
    size_t at = str_is_absent(id.value) ? text.n : (size_t)(id.value.p - text.p);
    buf_add(want, str_slice(text, 0, at));
    if (at < text.n) {
        buf_add(want, STR(NEW_ID));
        buf_add(want, str_slice(text, at + id.value.n, SIZE_MAX));
    }
    return is_good;
}

static void compare(struct str text, size_t first, size_t step, struct buf *out, struct buf *want)
{
    bool is_good = expectation(text, want);
    bool passed = feed_pieces(text, first, step, out);
    if (passed != is_good)
        fail_msg("%s, but the scanner does not agree: %.*s", passed ? "passed" : "refused",
                 STR_FMT(text));
    if (is_good && !str_eq(buf_str(out), buf_str(want)))
        fail_msg("%.*s became %.*s, expected %.*s", STR_FMT(text), STR_FMT(buf_str(out)),
                 STR_FMT(buf_str(want)));
}

static void however_it_is_cut_the_output_is_the_input_with_the_id_replaced(void **state)
{
    (void)state;
    struct buf out, want;
    buf_init(&out, 1 << 20);
    buf_init(&want, 1 << 20);
    for (size_t i = 0; i < ARRAY_LEN(documents); i++) {
        struct str text = str_c(documents[i]);
        static const size_t steps[] = {1, 2, 3, 7};
        for (size_t k = 0; k < ARRAY_LEN(steps); k++)
            compare(text, 0, steps[k], &out, &want);
        for (size_t first = 0; first <= text.n; first++)
            compare(text, first, SIZE_MAX / 2, &out, &want);
    }
    buf_end(&out);
    buf_end(&want);
}

/* Damages documents at random places, with a fixed seed: verdicts must agree whatever comes. */
static void damaged_documents_are_judged_as_the_scanner_judges_them(void **state)
{
    (void)state;
    static const char alphabet[] = "{}[]\",:\\u0019 eE+-.tn\x80\xC3";
    struct buf out, want;
    buf_init(&out, 1 << 20);
    buf_init(&want, 1 << 20);
    uint32_t seed = 1;
    for (int round = 0; round < 40000; round++) {
        char text[128];
        struct str from = str_c(documents[round % (int)ARRAY_LEN(documents)]);
        memcpy(text, from.p, from.n);
        for (int k = 0; k < 2 && from.n > 0; k++) {
            seed = seed * 1664525u + 1013904223u;
            text[(seed >> 16) % from.n] = alphabet[(seed >> 8) % (sizeof alphabet - 1)];
        }
        struct err e = {0};
        struct str damaged = {text, from.n};
        if (jscan_object(damaged, NULL, 0, &e) || e.code == ERR_PARSE)
            compare(damaged, seed % (from.n + 1), 1 + (seed >> 10) % 9, &out, &want);
    }
    buf_end(&out);
    buf_end(&want);
}

static void only_an_object_is_an_answer(void **state)
{
    (void)state;
    struct jfilter f;
    struct buf out;
    struct err e;
    buf_init(&out, 100);
    jfilter_init(&f, STR("1"));
    assert_false(jfilter_feed(&f, STR(" ["), &out, &e));
    assert_int_equal(e.code, ERR_BAD_REQUEST);
    assert_string_equal(e.msg, "JSON: byte 1: given 0x5b, expected an object");
    jfilter_end(&f);
    buf_end(&out);
}

static void a_failure_names_the_byte_counted_over_all_chunks(void **state)
{
    (void)state;
    struct jfilter f;
    struct buf out;
    struct err e;
    buf_init(&out, 100);
    jfilter_init(&f, STR("1"));
    assert_true(jfilter_feed(&f, STR("{\"a\":\"bcdefghijkl"), &out, &e));
    assert_true(jfilter_feed(&f, STR("m\","), &out, &e));
    assert_false(jfilter_feed(&f, STR(" x"), &out, &e));
    assert_int_equal(e.code, ERR_PARSE);
    assert_string_equal(e.msg, "JSON: byte 21: given 'x', expected a member name in quotes");
    jfilter_end(&f);
    buf_end(&out);
}

static void what_was_seen_is_remembered(void **state)
{
    (void)state;
    struct jfilter f;
    struct buf out;
    struct err e;
    buf_init(&out, 100);
    jfilter_init(&f, STR("7"));
    assert_true(jfilter_feed(&f, STR("{\"result\":{\"error\":1},"), &out, &e));
    assert_true(f.saw_result && !f.saw_error && !f.saw_id && !jfilter_is_complete(&f));
    assert_true(jfilter_feed(&f, STR("\"id\":3"), &out, &e));
    assert_true(jfilter_feed(&f, STR("}"), &out, &e));
    assert_true(f.saw_id && jfilter_is_complete(&f));
    assert_true(str_eq(buf_str(&out), STR("{\"result\":{\"error\":1},\"id\":7}")));
    jfilter_end(&f);
    buf_end(&out);
}

static void output_that_does_not_fit_is_an_error(void **state)
{
    (void)state;
    struct jfilter f;
    struct buf out;
    struct err e;
    buf_init(&out, 8);
    jfilter_init(&f, STR("7"));
    assert_false(jfilter_feed(&f, STR("{\"result\":{}}"), &out, &e));
    assert_int_equal(e.code, ERR_TOO_LARGE);
    jfilter_end(&f);
    buf_end(&out);
}

static void nesting_ends_where_the_scanner_ends_it(void **state)
{
    (void)state;
    struct buf text, out, want;
    buf_init(&text, 1 << 12);
    buf_init(&out, 1 << 12);
    buf_init(&want, 1 << 12);
    for (int depth = LIMIT_JSON_DEPTH - 2; depth <= LIMIT_JSON_DEPTH; depth++) {
        buf_reset(&text);
        buf_add(&text, STR("{\"a\":"));
        for (int i = 0; i < depth; i++)
            buf_add_char(&text, '[');
        for (int i = 0; i < depth; i++)
            buf_add_char(&text, ']');
        buf_add(&text, STR(",\"id\":1}"));
        compare(buf_str(&text), 0, 5, &out, &want);
    }
    buf_end(&text);
    buf_end(&out);
    buf_end(&want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(however_it_is_cut_the_output_is_the_input_with_the_id_replaced),
        cmocka_unit_test(damaged_documents_are_judged_as_the_scanner_judges_them),
        cmocka_unit_test(only_an_object_is_an_answer),
        cmocka_unit_test(a_failure_names_the_byte_counted_over_all_chunks),
        cmocka_unit_test(what_was_seen_is_remembered),
        cmocka_unit_test(output_that_does_not_fit_is_an_error),
        cmocka_unit_test(nesting_ends_where_the_scanner_ends_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
