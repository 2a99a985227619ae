/* Two legs of one session: what each revision has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "mcp/legs.h"
#include "mcp/m2s_caps.h"

#define EVERYTHING                                                                                 \
    "{\"roots\":{\"listChanged\":true},\"sampling\":{\"tools\":{}},"                               \
    "\"elicitation\":{\"form\":{},\"url\":{}},\"tasks\":{},\"x\":1}"

static void assert_hello(const char *asked, const char *version, const char *capabilities, int caps)
{
    struct arena *a = arena_new(1024 * 1024);
    struct leg_hello hello;
    struct err e;
    struct str params = arena_printf(
        a, "{\"protocolVersion\":\"%s\",\"capabilities\":" EVERYTHING ",\"y\":2}", asked);
    assert_true(leg_hello_read(a, params, &hello, &e));
    assert_true(str_eq(hello.version, str_c(version)));
    struct str wanted = arena_printf(a, "{\"protocolVersion\":\"%s\",\"capabilities\":%s,\"y\":2}",
                                     version, capabilities);
    assert_string_equal(hello.params.p, wanted.p);
    assert_int_equal(hello.caps, caps);
    arena_end(a);
}

static void capabilities_are_those_of_the_clients_revision(void **state)
{
    (void)state;
    const char *old = "{\"roots\":{\"listChanged\":true},\"sampling\":{},\"x\":1}";
    int few = M2S_ROOTS | M2S_SAMPLING;
    assert_hello("2024-11-05", "2024-11-05", old, few);
    assert_hello("2025-03-26", "2025-03-26", old, few);
    assert_hello("2025-06-18", "2025-06-18",
                 "{\"roots\":{\"listChanged\":true},\"sampling\":{},\"elicitation\":{},\"x\":1}",
                 few | M2S_FORM);
    assert_hello("2025-11-25", "2025-11-25", EVERYTHING,
                 few | M2S_FORM | M2S_URL | M2S_SAMPLING_TOOLS);
    assert_hello("2026-07-28", "2025-11-25", EVERYTHING,
                 few | M2S_FORM | M2S_URL | M2S_SAMPLING_TOOLS);
}

static void an_initialize_without_a_revision_is_refused(void **state)
{
    (void)state;
    struct arena *a = arena_new(1024 * 1024);
    struct leg_hello hello;
    struct err e;
    const struct str bad[] = {STR_NONE, STR("{}"), STR("{\"protocolVersion\":7}")};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_false(leg_hello_read(a, bad[i], &hello, &e));
        assert_int_equal(e.code, ERR_INVALID);
    }
    assert_true(leg_hello_read(a, STR("{\"protocolVersion\":\"2025-03-26\"}"), &hello, &e));
    assert_int_equal(hello.caps, 0);
    arena_end(a);
}

static void the_welcome_names_the_clients_revision_and_no_tasks_that_a_leg_lacks(void **state)
{
    (void)state;
    struct arena *a = arena_new(1024 * 1024);
    struct str given = STR("{\"id\":1,\"result\":{\"protocolVersion\":\"2025-11-25\","
                           "\"capabilities\":{\"tools\":{},\"tasks\":{}}}}");
    struct str same = leg_welcome(a, given, STR("2025-11-25"), STR("2025-11-25"));
    assert_true(str_eq(same, given));
    struct str old = leg_welcome(a, given, STR("2025-03-26"), STR("2025-11-25"));
    assert_true(str_eq(old, STR("{\"id\":1,\"result\":{\"protocolVersion\":\"2025-03-26\","
                                "\"capabilities\":{\"tools\":{}}}}")));
    arena_end(a);
}

static void unknown_content_becomes_text(void **state)
{
    (void)state;
    struct arena *a = arena_new(1024 * 1024);
    struct str given = STR("{\"result\":{\"content\":[{\"type\":\"text\",\"text\":\"t\"},"
                           "{\"type\":\"audio\",\"mimeType\":\"audio/wav\",\"data\":\"AA\"},"
                           "{\"type\":\"resource_link\",\"uri\":\"a:b\",\"name\":\"n\"}]}}");
    assert_true(leg_knows_all_content(STR("2025-06-18")) && leg_knows_all_content(STR_NONE));
    assert_false(leg_knows_all_content(STR("2025-03-26")));
    struct str newer = leg_content(a, given, STR("2025-03-26"));
    assert_true(str_find(newer, STR("\"audio\"")) != SIZE_MAX);
    assert_true(str_find(newer, STR("resource_link")) == SIZE_MAX);
    assert_true(str_find(newer, STR("{\"type\":\"text\",\"text\":\"[resource n] a:b\"}")) !=
                SIZE_MAX);
    struct str oldest = leg_content(a, given, STR("2024-11-05"));
    assert_true(str_find(oldest, STR("\"audio\"")) == SIZE_MAX);
    assert_true(str_find(oldest, STR("audio/wav")) != SIZE_MAX);
    struct str prompt = STR("{\"result\":{\"messages\":[{\"role\":\"user\",\"content\":"
                            "{\"type\":\"audio\",\"data\":\"AA\"}}]}}");
    assert_true(str_find(leg_content(a, prompt, STR("2024-11-05")), STR("\"data\"")) == SIZE_MAX);
    struct str error = STR("{\"error\":{\"code\":1}}");
    assert_true(str_eq(leg_content(a, error, STR("2024-11-05")), error));
    arena_end(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(capabilities_are_those_of_the_clients_revision),
        cmocka_unit_test(an_initialize_without_a_revision_is_refused),
        cmocka_unit_test(the_welcome_names_the_clients_revision_and_no_tasks_that_a_leg_lacks),
        cmocka_unit_test(unknown_content_becomes_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
