/* The pure parts of mcp/m2s*: capabilities, results, sealed states. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/limits.h"
#include "mcp/m2s.h"
#include "mcp/m2s_caps.h"
#include "mcp/m2s_result.h"
#include "mcp/m2s_state.h"

static struct arena *a;

static int open_arena(void **state)
{
    (void)state;
    a = arena_new((size_t)1024 * 1024);
    return a ? 0 : -1;
}

static int close_arena(void **state)
{
    (void)state;
    arena_end(a);
    return 0;
}

static void assert_str(struct str given, const char *expected)
{
    assert_false(str_is_absent(given));
    assert_int_equal(given.n, strlen(expected));
    assert_memory_equal(given.p, expected, given.n);
}

/* ---- capabilities ---- */

static void capabilities_are_projected_to_one_text_for_one_meaning(void **state)
{
    (void)state;
    static const struct {
        const char *given, *projected;
    } cases[] = {
        {"{}", "{}"},
        {"{\"roots\":{\"listChanged\":true}}", "{\"roots\":{}}"},
        {"{\"elicitation\":{}}", "{\"elicitation\":{\"form\":{}}}"},
        {"{\"elicitation\":{\"url\":{}},\"roots\":null,\"sampling\":[]}",
         "{\"elicitation\":{\"url\":{}}}"},
        {"{\"sampling\":{\"tools\":{\"x\":1},\"context\":{}},\"tasks\":{}}",
         "{\"sampling\":{\"tools\":{},\"context\":{}}}"},
        {"{ \"extensions\": {\"io.modelcontextprotocol/ui\":{\"mimeTypes\":[1]}}}",
         "{\"extensions\":{\"io.modelcontextprotocol/ui\":{\"mimeTypes\":[1]}}}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_str(m2s_caps_project(a, str_c(cases[i].given)), cases[i].projected);
}

static void a_client_is_asked_what_it_declared_and_nothing_else(void **state)
{
    (void)state;
    static const struct {
        const char *method, *params;
        int needs;
        enum err_code otherwise;
    } cases[] = {
        {"roots/list", NULL, M2S_ROOTS, ERR_MISSING_CAPABILITY},
        {"sampling/createMessage", "{}", M2S_SAMPLING, ERR_MISSING_CAPABILITY},
        {"sampling/createMessage", "{\"tools\":[]}", M2S_SAMPLING | M2S_SAMPLING_TOOLS,
         ERR_MISSING_CAPABILITY},
        {"elicitation/create", "{}", M2S_FORM, ERR_MISSING_CAPABILITY},
        {"elicitation/create", "{\"mode\":\"form\"}", M2S_FORM, ERR_MISSING_CAPABILITY},
        {"elicitation/create", "{\"mode\":\"url\",\"url\":\"https://x.test/\"}", M2S_URL,
         ERR_MISSING_CAPABILITY},
        {"elicitation/create", "{\"mode\":\"url\",\"url\":\"javascript:alert(1)\"}", 1 << 20,
         ERR_INVALID},
        {"tools/call", "{}", 1 << 20, ERR_METHOD_NOT_FOUND},
    };
    enum { ALL = M2S_ROOTS | M2S_SAMPLING | M2S_SAMPLING_TOOLS | M2S_FORM | M2S_URL };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct rpc_message m = {.method = str_c(cases[i].method), .params = str_c(cases[i].params)};
        struct err e = {.code = ERR_NONE};
        bool can = cases[i].needs < 1 << 20;
        assert_int_equal(m2s_caps_allow(ALL, &m, &e), can);
        if (!can) {
            assert_int_equal(e.code, cases[i].otherwise);
            continue;
        }
        assert_true(m2s_caps_allow(cases[i].needs, &m, &e));
        assert_false(m2s_caps_allow(ALL & ~cases[i].needs, &m, &e));
        assert_int_equal(e.code, cases[i].otherwise);
    }
}

/* ---- words ---- */

static void meta_loses_what_only_the_stateless_era_has(void **state)
{
    (void)state;
    assert_str(m2s_meta(a,
                        STR("{\"io.modelcontextprotocol/protocolVersion\":\"x\",\"own\":[1.50],"
                            "\"progressToken\":5,\"io.modelcontextprotocol/clientInfo\":{},"
                            "\"io.modelcontextprotocol/clientCapabilities\":{},"
                            "\"io.modelcontextprotocol/logLevel\":\"info\",\"traceparent\":\"t\"}"),
                        STR("\"h\"")),
               "{\"own\":[1.50],\"progressToken\":\"h\",\"traceparent\":\"t\"}");
    assert_str(m2s_meta(a, STR("{}"), STR("1")), "{}");
}

static void results_are_stamped_over_what_they_say_themselves(void **state)
{
    (void)state;
    struct err e;
    struct str out, meta = m2s_meta_member(a, STR("{\"name\":\"s\"}"));
    assert_true(m2s_stamp(a,
                          STR("{\"resultType\":\"input_required\",\"requestState\":\"x\","
                              "\"inputRequests\":{},\"content\":[],\"_meta\":{\"k\":1,"
                              "\"io.modelcontextprotocol/serverInfo\":{\"name\":\"other\"}}}"),
                          m2s_members(true), meta, &out, &e));
    assert_str(out, "{\"resultType\":\"complete\",\"ttlMs\":0,\"cacheScope\":\"private\","
                    "\"content\":[],\"_meta\":{\"io.modelcontextprotocol/serverInfo\":{\"name\":"
                    "\"s\"},\"k\":1}}");
    assert_true(m2s_stamp(a, STR("{}"), m2s_members(false), meta, &out, &e));
    assert_str(out, "{\"resultType\":\"complete\",\"_meta\":{\"io.modelcontextprotocol/"
                    "serverInfo\":{\"name\":\"s\"}}}");
    assert_false(m2s_stamp(a, STR("[]"), m2s_members(false), meta, &out, &e));
    assert_int_equal(e.code, ERR_UPSTREAM);
}

static void codes_that_the_revision_forbids_or_reserves_do_not_pass(void **state)
{
    (void)state;
    static const struct {
        const char *given, *uri, *expected;
    } cases[] = {
        {"{\"code\":-32002,\"message\":\"no\"}", "\"a:b\"",
         "{\"code\":-32602,\"message\":\"no\",\"data\":{\"uri\":\"a:b\"}}"},
        {"{\"code\":-32002,\"message\":\"no\",\"data\":{\"uri\":\"c:d\",\"x\":1}}", "\"a:b\"",
         "{\"code\":-32602,\"message\":\"no\",\"data\":{\"uri\":\"c:d\",\"x\":1}}"},
        {"{\"code\":-32002,\"message\":\"no\"}", NULL,
         "{\"code\":-32603,\"message\":\"no\",\"data\":{\"code\":-32002}}"},
        {"{\"code\":-32042,\"message\":\"m\",\"data\":{\"d\":1}}", NULL,
         "{\"code\":-32603,\"message\":\"m\",\"data\":{\"code\":-32042,\"data\":{\"d\":1}}}"},
        {"{\"code\":-32020,\"message\":\"m\"}", NULL,
         "{\"code\":-32603,\"message\":\"m\",\"data\":{\"code\":-32020}}"},
        {"{\"code\":-32099}", NULL,
         "{\"code\":-32603,\"message\":\"\",\"data\":{\"code\":-32099}}"},
        {"{\"code\":-32019,\"message\":\"m\"}", NULL, "{\"code\":-32019,\"message\":\"m\"}"},
        {"{\"code\":-32000,\"message\":\"m\"}", NULL, "{\"code\":-32000,\"message\":\"m\"}"},
        {"{\"code\":5,\"message\":\"m\",\"own\":1}", NULL,
         "{\"code\":5,\"message\":\"m\",\"own\":1}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_str(m2s_error(a, str_c(cases[i].given), str_c(cases[i].uri)), cases[i].expected);
}

static void discovery_comes_from_initialize(void **state)
{
    (void)state;
    struct str out;
    struct err e;
    struct str initialize = STR(
        "{\"protocolVersion\":\"2025-11-25\",\"capabilities\":{\"tools\":{\"listChanged\":true},"
        "\"tasks\":{},\"logging\":{},\"own\":{\"x\":1}},\"serverInfo\":{\"name\":\"s\"},"
        "\"instructions\":\"do\"}");
    assert_true(m2s_discover(a, initialize, &out, &e));
    assert_str(
        out, "{\"resultType\":\"complete\",\"ttlMs\":0,\"cacheScope\":\"private\","
             "\"supportedVersions\":[\"2026-07-28\"],\"capabilities\":{\"tools\":{\"listChanged\":"
             "true},\"logging\":{},\"own\":{\"x\":1}},\"instructions\":\"do\",\"_meta\":{"
             "\"io.modelcontextprotocol/serverInfo\":{\"name\":\"s\"}}}");
    assert_true(m2s_server_has(initialize, "tools", "listChanged"));
    assert_true(m2s_server_has(initialize, "logging", NULL));
    assert_false(m2s_server_has(initialize, "tools", "other"));
    assert_false(m2s_server_has(initialize, "resources", NULL));
}

static void tools_that_run_as_tasks_only_are_known(void **state)
{
    (void)state;
    assert_true(
        m2s_needs_task(STR("{\"name\":\"x\",\"execution\":{\"taskSupport\":\"required\"}}")));
    assert_false(m2s_needs_task(STR("{\"execution\":{\"taskSupport\":\"optional\"}}")));
    assert_false(m2s_needs_task(STR("{\"execution\":{\"taskSupport\":1}}")));
    assert_false(m2s_needs_task(STR("{\"execution\":7}")));
    assert_false(m2s_needs_task(STR("{}")));
}

static void levels_are_ranked(void **state)
{
    (void)state;
    assert_int_equal(m2s_level(STR("\"debug\"")), 0);
    assert_int_equal(m2s_level(STR("\"emergency\"")), 7);
    assert_int_equal(m2s_level(STR("\"loud\"")), -1);
    assert_int_equal(m2s_level(STR("3")), -1);
    assert_int_equal(m2s_level(STR_NONE), -1);
    assert_string_equal(m2s_level_name(m2s_level(STR("\"warning\""))), "warning");
}

/* ---- states ---- */

static void one_meaning_has_one_canonical_text(void **state)
{
    (void)state;
    static const char *const same[] = {
        "{\"a\":[1,{\"x\":null,\"y\":\"\xC3\xA4\"}],\"b\":1.50}",
        " { \"b\" : 1.50 , \"a\" : [ 1 , { \"y\" : \"\\u00e4\" , \"x\" : null } ] } ",
        "{\"\\u0061\":[1,{\"x\":null,\"y\":\"\\u00E4\"}],\"b\":1.50}",
    };
    for (size_t i = 0; i < ARRAY_LEN(same); i++)
        assert_str(m2s_canonical(a, str_trim(str_c(same[i]))),
                   "{\"a\":[1,{\"x\":null,\"y\":\"\xC3\xA4\"}],\"b\":1.50}");
    assert_str(m2s_canonical(a, STR("\"\\u0000\"")), "\"\\u0000\"");
    assert_str(m2s_canonical(a, STR("12345678901234567890")), "12345678901234567890");
}

static struct rpc_message message(const char *text)
{
    struct rpc_message m;
    struct err e;
    assert_true(rpc_parse(a, str_c(text), &m, &e));
    return m;
}

static void a_state_opens_for_what_it_was_sealed_for_and_nothing_else(void **state)
{
    (void)state;
    struct keyring keys;
    struct err e;
    struct buf out;
    struct str handle;
    int round;
    assert_true(keyring_parse(
        &keys, STR("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"), &e));
#define CALL(method, rest)                                                                         \
    "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"" method "\",\"params\":{" rest "}}"
    struct rpc_message own = message(CALL("tools/call", "\"name\":\"t\",\"arguments\":{\"x\":1}"));
    struct m2s_binding b = {STR("p|u|k"), STR("conn_1"), &own};
    buf_init(&out, LIMIT_BODY_SMALL);
    assert_true(m2s_state_seal(&keys, a, &b, STR("h4ndle"), 3, 1000, &out));
    struct str sealed = buf_str(&out);
    assert_true(m2s_state_open(&keys, a, &b, sealed, 999, &handle, &round, &e));
    assert_str(handle, "h4ndle");
    assert_int_equal(round, 3);
    assert_false(m2s_state_open(&keys, a, &b, sealed, 1000, &handle, &round, &e));
    assert_int_equal(e.code, ERR_INVALID);

    struct rpc_message others[] = {
        message(CALL("tools/call", "\"name\":\"t\",\"arguments\":{\"x\":2}")),
        message(CALL("tools/call", "\"name\":\"t\"")),
        message(CALL("tools/call", "\"name\":\"t2\",\"arguments\":{\"x\":1}")),
        message(CALL("prompts/get", "\"name\":\"t\",\"arguments\":{\"x\":1}")),
    };
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        struct m2s_binding other = b;
        other.message = &others[i];
        assert_false(m2s_state_open(&keys, a, &other, sealed, 1, &handle, &round, &e));
        assert_int_equal(e.code, ERR_INVALID);
    }
    struct m2s_binding thief = {STR("p|u|other"), STR("conn_1"), &own};
    assert_false(m2s_state_open(&keys, a, &thief, sealed, 1, &handle, &round, &e));
    struct m2s_binding elsewhere = {STR("p|u|k"), STR("conn_2"), &own};
    assert_false(m2s_state_open(&keys, a, &elsewhere, sealed, 1, &handle, &round, &e));
    for (size_t i = 0; i < sealed.n; i++) {
        char forged[1024];
        memcpy(forged, sealed.p, sealed.n);
        forged[i] = forged[i] == 'A' ? 'B' : 'A';
        struct str text = {forged, sealed.n};
        if (i == 0 || i == sealed.n - 1) /* the quotes: no JSON any more, which comes never here */
            continue;
        assert_false(m2s_state_open(&keys, a, &b, text, 1, &handle, &round, &e));
        assert_int_equal(e.code, ERR_INVALID);
    }
    static const char *const nonsense[] = {"\"\"", "7", "null", "{}", "\"v1.00000000.AAAA\""};
    for (size_t i = 0; i < ARRAY_LEN(nonsense); i++)
        assert_false(m2s_state_open(&keys, a, &b, str_c(nonsense[i]), 1, &handle, &round, &e));
    buf_end(&out);
    keyring_end(&keys);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_arena, close_arena)
    const struct CMUnitTest tests[] = {
        TEST(capabilities_are_projected_to_one_text_for_one_meaning),
        TEST(a_client_is_asked_what_it_declared_and_nothing_else),
        TEST(meta_loses_what_only_the_stateless_era_has),
        TEST(results_are_stamped_over_what_they_say_themselves),
        TEST(codes_that_the_revision_forbids_or_reserves_do_not_pass),
        TEST(discovery_comes_from_initialize),
        TEST(tools_that_run_as_tasks_only_are_known),
        TEST(levels_are_ranked),
        TEST(one_meaning_has_one_canonical_text),
        TEST(a_state_opens_for_what_it_was_sealed_for_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
