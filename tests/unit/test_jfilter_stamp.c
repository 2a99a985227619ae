#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/limits.h"
#include "json/jfilter.h"
#include "json/jscan.h"

static const struct jfilter_stamp stamp = {
    .members = {"\"resultType\":\"complete\",\"ttlMs\":0", 33}, .meta = {"\"info\":{\"a\":1}", 14}};

/* Feeds the text in pieces of `step` bytes. */
static bool filter(struct str text, size_t step, struct buf *out, struct err *e)
{
    struct jfilter f;
    jfilter_init(&f, STR("9"));
    jfilter_stamp_with(&f, &stamp);
    bool is_good = true;
    for (size_t i = 0; is_good && i < text.n; i += step)
        is_good = jfilter_feed(&f, str_slice(text, i, step), out, e);
    is_good = is_good && (jfilter_is_complete(&f) || err_set(e, ERR_PARSE, "cut off"));
    jfilter_end(&f);
    return is_good;
}

static void check(const char *in, const char *expected)
{
    for (size_t step = 1; step < 9; step++) {
        struct buf out;
        struct err e;
        buf_init(&out, LIMIT_BODY_SMALL);
        assert_true(filter(str_c(in), step, &out, &e));
        assert_string_equal(out.p, expected);
        assert_true(jscan_valid(buf_str(&out), &e));
        buf_end(&out);
    }
}

#define FRONT "\"resultType\":\"complete\",\"ttlMs\":0"
#define META  "\"_meta\":{\"info\":{\"a\":1}"

static void a_result_receives_members_and_meta_wherever_it_stands(void **state)
{
    (void)state;
    check("{\"id\":1,\"result\":{}}", "{\"id\":9,\"result\":{" FRONT "," META "}}}");
    check("{\"result\":{\"x\":[1,{\"y\":2}]},\"id\":1}",
          "{\"result\":{" FRONT ",\"x\":[1,{\"y\":2}]," META "}},\"id\":9}");
    check("{\"result\": { \"x\" : 12 } , \"id\":1}",
          "{\"result\": {" FRONT " ,\"x\" : 12 ," META "}} , \"id\":9}");
    check("{\"result\":{\"x\":-1.5e3},\"id\":1}",
          "{\"result\":{" FRONT ",\"x\":-1.5e3," META "}},\"id\":9}");
    check("{\"r\\u0065sult\":{\"x\":null},\"id\":1}",
          "{\"r\\u0065sult\":{" FRONT ",\"x\":null," META "}},\"id\":9}");
}

static void an_existing_meta_is_added_to(void **state)
{
    (void)state;
    check("{\"id\":1,\"result\":{\"_meta\":{}}}", "{\"id\":9,\"result\":{" FRONT "," META "}}}");
    check("{\"id\":1,\"result\":{\"_meta\":{ \"k\":1},\"x\":2}}",
          "{\"id\":9,\"result\":{" FRONT "," META " ,\"k\":1},\"x\":2}}");
    check("{\"id\":1,\"result\":{\"\\u005fmeta\":{\"k\":{\"_meta\":{}}}}}",
          "{\"id\":9,\"result\":{" FRONT
          ",\"\\u005fmeta\":{\"info\":{\"a\":1},\"k\":{\"_meta\":{}}}"
          "}}");
}

static void only_the_result_itself_is_stamped(void **state)
{
    (void)state;
    check("{\"id\":1,\"error\":{\"code\":1,\"result\":{}}}",
          "{\"id\":9,\"error\":{\"code\":1,\"result\":{}}}");
    check("{\"id\":1,\"result\":[{\"_meta\":{}}]}", "{\"id\":9,\"result\":[{\"_meta\":{}}]}");
    check("{\"id\":1,\"result\":null}", "{\"id\":9,\"result\":null}");
    check("{\"a\":{\"result\":{},\"_meta\":{}},\"id\":1,\"result\":{\"result\":{},\"a\":{\"_meta\":"
          "{}}"
          "}}",
          "{\"a\":{\"result\":{},\"_meta\":{}},\"id\":9,\"result\":{" FRONT
          ",\"result\":{},\"a\":{\"_meta\":{}}," META "}}}");
}

static void what_the_server_says_of_the_stamps_names_is_left_out(void **state)
{
    (void)state;
    const char *bare = "{\"id\":9,\"result\":{" FRONT "," META "}}}";
    check("{\"id\":1,\"result\":{\"resultType\":\"input_required\"}}", bare);
    check("{\"id\":{\"a\":1},\"result\":{\"ttlMs\":{\"k\":4},\"cacheScope\":{\"k\":[5]}}}", bare);
    check("{\"id\":1,\"result\":{\"\\u0072\\u0065\\u0073\\u0075\\u006c\\u0074\\u0054\\u0079"
          "\\u0070\\u0065\":1}}",
          bare);
    check("{\"id\":1,\"result\":{\"ttlMs\":5 , \"cacheScope\" : \"public\",\"requestState\":{\"x\":"
          "[1]}}}",
          "{\"id\":9,\"result\":{" FRONT " ," META "}}}");
    check(
        "{\"id\":1,\"result\":{\"x\":1,\"result\\u0054ype\":\"x\",\"y\":[2],\"inputRequests\":{}}}",
        "{\"id\":9,\"result\":{" FRONT ",\"x\":1,\"y\":[2]," META "}}}");
    check("{\"id\":1,\"result\":{\"ttlMs\":5,\"x\":{\"ttlMs\":6},\"ttlMs\":7,\"_meta\":{\"ttlMs\":"
          "8}}}",
          "{\"id\":9,\"result\":{" FRONT ",\"x\":{\"ttlMs\":6}," META ",\"ttlMs\":8}}}");
}

static void long_names_pass(void **state)
{
    (void)state;
    char name[JFILTER_KEY_SIZE + 4], in[400], wanted[400];
    for (size_t n = JFILTER_KEY_SIZE - 3; n < sizeof(name); n++) {
        memset(name, 'k', n);
        name[n] = '\0';
        (void)snprintf(in, sizeof(in), "{\"id\":1,\"result\":{\"%s\":1, \"%s\":2}}", name, name);
        (void)snprintf(wanted, sizeof(wanted),
                       "{\"id\":9,\"result\":{" FRONT ",\"%s\":1,\"%s\":2," META "}}}", name, name);
        check(in, wanted);
    }
}

static void what_occurs_twice_is_refused(void **state)
{
    (void)state;
    static const char *const refused[] = {
        "{\"id\":1,\"result\":{\"_meta\":{},\"_meta\":{}}}",
        "{\"id\":1,\"result\":{},\"result\":{}}",
    };
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        struct buf out;
        struct err e;
        buf_init(&out, LIMIT_BODY_SMALL);
        assert_false(filter(str_c(refused[i]), 3, &out, &e));
        assert_int_equal(e.code, ERR_BAD_REQUEST);
        buf_end(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_result_receives_members_and_meta_wherever_it_stands),
        cmocka_unit_test(an_existing_meta_is_added_to),
        cmocka_unit_test(only_the_result_itself_is_stamped),
        cmocka_unit_test(what_the_server_says_of_the_stamps_names_is_left_out),
        cmocka_unit_test(long_names_pass),
        cmocka_unit_test(what_occurs_twice_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
