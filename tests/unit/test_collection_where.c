/* The filter and the order of collections. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "json/jread.h"
#include "management-tools/collection_where.h"

#define ITEM                                                                                       \
    "{\"id\":\"conn_1\",\"title\":\"Weather Station\",\"description\":null,\"slug\":\"w\","        \
    "\"created_at\":\"2026-01-02T00:00:00.000Z\",\"configuration_scopes\":[\"A::B\",7],"           \
    "\"metadata\":{\"team\":\"blue\",\"rank\":3,\"deep\":{\"x\":true}},\"status\":\"active\"}"

static struct jdoc *parsed(const char *json)
{
    struct err e;
    struct jdoc *doc = jdoc_parse(str_c(json), &e);
    assert_non_null(doc);
    return doc;
}

static bool holds(const char *where)
{
    struct err e = {0};
    struct jdoc *w = parsed(where), *item = parsed(ITEM);
    if (!collection_where_check(jdoc_root(w), &e))
        fail_msg("%s: %s", where, e.msg);
    bool answer = collection_where_holds(jdoc_root(w), jdoc_root(item));
    jdoc_free(w);
    jdoc_free(item);
    return answer;
}

static void refuses(const char *where, const char *word)
{
    struct err e = {0};
    struct jdoc *w = parsed(where);
    assert_false(collection_where_check(jdoc_root(w), &e));
    assert_int_equal(e.code, ERR_INVALID);
    if (!strstr(e.msg, word))
        fail_msg("%s says %s", where, e.msg);
    jdoc_free(w);
}

#define IS(field, op, value) "{\"field\":[" field "],\"operator\":\"" op "\",\"value\":" value "}"

static void values_are_compared_by_kind(void **state)
{
    (void)state;
    assert_true(holds(IS("\"title\"", "eq", "\"Weather Station\"")));
    assert_false(holds(IS("\"title\"", "eq", "\"weather station\"")));
    assert_true(holds(IS("\"description\"", "eq", "null")));
    assert_true(holds(IS("\"metadata\",\"nothing\",\"here\"", "eq", "null")));
    assert_true(holds(IS("\"metadata\",\"deep\",\"x\"", "eq", "true")));
    assert_false(holds(IS("\"metadata\",\"rank\"", "eq", "\"3\"")));
    assert_true(holds(IS("\"metadata\",\"rank\"", "gte", "3")));
    assert_false(holds(IS("\"metadata\",\"rank\"", "gt", "3")));
    assert_true(holds(IS("\"metadata\",\"rank\"", "lt", "3.5")));
    assert_true(holds(IS("\"created_at\"", "gt", "\"2026-01-01\"")));
    assert_false(holds(IS("\"title\"", "lte", "5")));
    assert_true(holds(IS("\"status\"", "in", "[\"error\",\"active\"]")));
    assert_false(holds(IS("\"status\"", "in", "[]")));
}

static void like_and_contains_ignore_case(void **state)
{
    (void)state;
    assert_true(holds(IS("\"title\"", "like", "\"weather%\"")));
    assert_true(holds(IS("\"title\"", "like", "\"%STAT_ON\"")));
    assert_true(holds(IS("\"title\"", "like", "\"%e%e%t%n%\"")));
    assert_false(holds(IS("\"title\"", "like", "\"weather\"")));
    assert_false(holds(IS("\"title\"", "like", "\"%stati_\"")));
    assert_false(holds(IS("\"description\"", "like", "\"%\"")));
    assert_true(holds(IS("\"title\"", "contains", "\"THER s\"")));
    assert_false(holds(IS("\"title\"", "contains", "\"thers\"")));
    assert_true(holds(IS("\"configuration_scopes\"", "contains", "\"A::B\"")));
    assert_true(holds(IS("\"configuration_scopes\"", "contains", "7")));
    assert_false(holds(IS("\"configuration_scopes\"", "contains", "\"A\"")));
}

#define YES IS("\"id\"", "eq", "\"conn_1\"")
#define NO  IS("\"id\"", "eq", "\"conn_2\"")

static void conditions_are_joined(void **state)
{
    (void)state;
    assert_true(holds("{\"operator\":\"and\",\"conditions\":[" YES "," YES "]}"));
    assert_false(holds("{\"operator\":\"and\",\"conditions\":[" YES "," NO "]}"));
    assert_true(holds("{\"operator\":\"or\",\"conditions\":[" NO "," YES "]}"));
    assert_false(holds("{\"operator\":\"or\",\"conditions\":[" NO "]}"));
    assert_true(holds("{\"operator\":\"not\",\"conditions\":[" NO "]}"));
    assert_false(holds("{\"operator\":\"not\",\"conditions\":[" YES "]}"));
    assert_true(holds("{\"operator\":\"or\",\"conditions\":[" NO
                      ",{\"operator\":\"not\",\"conditions\":[" NO "]}]}"));
    assert_true(holds("null"));
}

static void nonsense_is_named(void **state)
{
    (void)state;
    refuses(IS("\"colour\"", "eq", "1"), "colour");
    refuses(IS("\"id\"", "matches", "1"), "operator");
    refuses("{\"field\":[\"id\"],\"operator\":\"eq\"}", "value");
    refuses("{\"field\":\"id\",\"operator\":\"eq\",\"value\":1}", "field");
    refuses("{\"field\":[\"id\"],\"operator\":\"eq\",\"value\":1,\"extra\":1}", "extra");
    refuses("{\"operator\":\"and\",\"conditions\":[]}", "conditions");
    refuses("{\"operator\":\"and\",\"conditions\":[7]}", "operator");
    refuses(IS("\"id\"", "in", "\"conn_1\""), "in takes");
    refuses(IS("\"id\"", "like", "7"), "like takes");
    refuses("{}", "operator");
}

static void depth_and_number_of_conditions_are_bounded(void **state)
{
    (void)state;
    char text[16 * 1024] = "";
    size_t n = 0;
    for (int i = 0; i < 8; i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "{\"operator\":\"not\",\"conditions\":[");
    n += (size_t)snprintf(text + n, sizeof(text) - n, "%s", YES);
    for (int i = 0; i < 8; i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "]}");
    refuses(text, "levels");
    n = (size_t)snprintf(text, sizeof(text), "{\"operator\":\"or\",\"conditions\":[");
    for (int i = 0; i < 100; i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s", i ? "," : "", YES);
    (void)snprintf(text + n, sizeof(text) - n, "]}");
    refuses(text, "conditions");
}

static int compared(const char *order, const char *a, const char *b)
{
    struct err e = {0};
    struct jdoc *o = parsed(order), *x = parsed(a), *y = parsed(b);
    if (!collection_order_check(jdoc_root(o), &e))
        fail_msg("%s: %s", order, e.msg);
    int found = collection_order_compare(jdoc_root(o), jdoc_root(x), jdoc_root(y));
    assert_int_equal(found, -collection_order_compare(jdoc_root(o), jdoc_root(y), jdoc_root(x)));
    jdoc_free(o);
    jdoc_free(x);
    jdoc_free(y);
    return found;
}

static void order_goes_by_fields_and_puts_null_where_told(void **state)
{
    (void)state;
#define BY(field, more) "[{\"field\":[\"" field "\"],\"direction\":" more "}]"
    const char *a = "{\"title\":\"a\",\"icon\":null}", *b = "{\"title\":\"b\",\"icon\":\"i\"}";
    assert_true(compared(BY("title", "\"asc\""), a, b) < 0);
    assert_true(compared(BY("title", "\"desc\""), a, b) > 0);
    assert_true(compared(BY("icon", "\"asc\""), a, b) > 0);
    assert_true(compared(BY("icon", "\"desc\""), a, b) > 0);
    assert_true(compared(BY("icon", "\"desc\",\"nulls\":\"first\""), a, b) < 0);
    assert_true(compared(BY("icon", "\"asc\",\"nulls\":\"last\""), a, b) > 0);
    assert_true(compared("[{\"field\":[\"slug\"],\"direction\":\"asc\"},{\"field\":[\"title\"],"
                         "\"direction\":\"asc\"}]",
                         a, b) < 0);
    assert_int_equal(compared("[]", a, b), 0);
    struct err e = {0};
    struct jdoc *bad = parsed(BY("colour", "\"asc\""));
    assert_false(collection_order_check(jdoc_root(bad), &e));
    assert_non_null(strstr(e.msg, "orderBy"));
    jdoc_free(bad);
}

int main(void)
{
    const struct CMUnitTest rows[] = {
        cmocka_unit_test(values_are_compared_by_kind),
        cmocka_unit_test(like_and_contains_ignore_case),
        cmocka_unit_test(conditions_are_joined),
        cmocka_unit_test(nonsense_is_named),
        cmocka_unit_test(depth_and_number_of_conditions_are_bounded),
        cmocka_unit_test(order_goes_by_fields_and_puts_null_where_told),
    };
    return cmocka_run_group_tests(rows, NULL, NULL);
}
