#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/limits.h"
#include "json/jscan.h"
#include "mcp/jsonrpc.h"

static struct arena *arena;

static int setup(void **state)
{
    (void)state;
    arena = arena_new(8 << 20);
    return arena ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    arena_end(arena);
    return 0;
}

static struct rpc_message parsed(const char *text)
{
    struct rpc_message m;
    struct err e = {0};
    if (!rpc_parse(arena, str_c(text), &m, &e))
        fail_msg("%s: %s", text, e.msg);
    return m;
}

static void assert_refused(const char *text, enum err_code code, const char *message)
{
    struct rpc_message m;
    struct err e = {0};
    if (rpc_parse(arena, str_c(text), &m, &e))
        fail_msg("accepted: %s", text);
    assert_string_equal(e.msg, message);
    assert_int_equal(e.code, code);
}

#define assert_text(s, text) assert_true(str_eq(s, STR(text)))
#define CALL(rest)           "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\"" rest "}"

static void a_request_is_read_with_all_its_parts(void **state)
{
    (void)state;
    struct rpc_message m = parsed(
        "{\"jsonrpc\":\"2.0\",\"id\":\"a\\u0062\",\"method\":\"tools\\/"
        "call\",\"params\":{\"name\":\"g\\u0065t\",\"uri\":\"file:///x\","
        "\"arguments\":{\"q\": "
        "[1]},\"cursor\":\"c\",\"level\":\"info\",\"ref\":{\"type\":\"ref/"
        "prompt\"},\"taskId\":\"t\",\"_meta\":{\"progressToken\":7,"
        "\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\",\"io.modelcontextprotocol/"
        "clientCapabilities\":{\"a\":1},"
        "\"io.modelcontextprotocol/clientInfo\":{\"name\":\"x\"},\"io.modelcontextprotocol/"
        "logLevel\":\"debug\"}}}");
    assert_int_equal(m.kind, RPC_REQUEST);
    assert_text(m.id, "\"a\\u0062\"");
    assert_text(m.method, "tools/call");
    assert_text(m.name, "\"g\\u0065t\"");
    assert_text(m.name_text, "get");
    assert_text(m.uri_text, "file:///x");
    assert_text(m.arguments, "{\"q\": [1]}");
    assert_text(m.cursor, "\"c\"");
    assert_text(m.level, "\"info\"");
    assert_text(m.ref, "{\"type\":\"ref/prompt\"}");
    assert_text(m.task_id, "\"t\"");
    assert_text(m.progress_token, "7");
    assert_text(m.protocol_version, "2026-07-28");
    assert_text(m.client_capabilities, "{\"a\":1}");
    assert_text(m.client_info, "{\"name\":\"x\"}");
    assert_text(m.log_level, "\"debug\"");
    assert_true(m.params.p > m.raw.p && m.meta.p > m.params.p && str_is_absent(m.result) &&
                str_is_absent(m.error));
}

static void kinds_are_told_apart(void **state)
{
    (void)state;
    struct rpc_message m = parsed("{\"jsonrpc\":\"2.0\",\"method\":\"tools/list\",\"id\":1}");
    assert_true(m.kind == RPC_REQUEST && str_is_absent(m.params) && str_is_absent(m.name_text));
    m = parsed("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/"
               "cancelled\",\"params\":{\"requestId\":3}}");
    assert_true(m.kind == RPC_NOTIFICATION && str_is_absent(m.id));
    assert_text(m.request_id, "3");
    m = parsed("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/"
               "progress\",\"params\":{\"progressToken\":\"p\",\"progress\":1}}");
    assert_text(m.params_progress_token, "\"p\"");
    m = parsed("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}");
    assert_true(m.kind == RPC_RESPONSE && str_is_absent(m.method));
    assert_text(m.result, "{}");
    m = parsed("{\"jsonrpc\":\"2.0\",\"id\":-5,\"error\":{\"code\":1,\"message\":\"\"}}");
    assert_true(m.kind == RPC_RESPONSE);
    assert_text(m.id, "-5");
    m = parsed("{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32001,\"message\":\"Session "
               "not found\"}}");
    assert_true(m.kind == RPC_RESPONSE && str_is_absent(m.id));
    m = parsed("{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32700,\"message\":\"x\"}}");
    assert_true(m.kind == RPC_RESPONSE && str_is_absent(m.id));
}

static void what_is_no_json_rpc_is_refused_with_a_reason(void **state)
{
    (void)state;
    assert_refused("", ERR_PARSE, "JSON: byte 0: the text ends, expected a value");
    assert_refused("{\"jsonrpc\":\"2.0\"", ERR_PARSE,
                   "JSON: byte 16: the text ends, expected ',' or '}'");
    assert_refused("\"x\"", ERR_BAD_REQUEST, "JSON: given a string, expected an object");
    assert_refused("{}", ERR_BAD_REQUEST, "jsonrpc: given nothing, expected \"2.0\"");
    assert_refused("{\"jsonrpc\":2.0,\"method\":\"a\"}", ERR_BAD_REQUEST,
                   "jsonrpc: given 2.0, expected \"2.0\"");
    assert_refused("{\"jsonrpc\":\"1.0\",\"method\":\"a\"}", ERR_BAD_REQUEST,
                   "jsonrpc: given \"1.0\", expected \"2.0\"");
    assert_refused("{\"jsonrpc\":\"2.0\",\"id\":1}", ERR_BAD_REQUEST,
                   "method: given nothing, expected the name of a method");
    assert_refused("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":5}", ERR_BAD_REQUEST,
                   "method: given 5, expected the name of a method");
    assert_refused("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\"}", ERR_BAD_REQUEST,
                   "method: given \"\", expected the name of a method");
    assert_refused("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\\u0000\"}", ERR_BAD_REQUEST,
                   "method: expected a name without \\u0000");
    assert_refused("{\"jsonrpc\":\"2.0\",\"id\":1,\"METHOD\":\"a\"}", ERR_BAD_REQUEST,
                   "method: given nothing, expected the name of a method");
    assert_refused("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{},\"error\":{}}", ERR_BAD_REQUEST,
                   "given both \"result\" and \"error\", expected one of them");
    assert_refused(
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\",\"result\":{}}", ERR_BAD_REQUEST,
        "given \"method\" beside \"result\" or \"error\", expected a request or a response");
    assert_refused("{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":\"x\"}", ERR_BAD_REQUEST,
                   "error: given \"x\", expected an object");
    assert_refused("{\"jsonrpc\":\"2.0\",\"result\":{}}", ERR_BAD_REQUEST,
                   "id: given nothing, expected a string or an integer");
}

static void an_id_is_a_short_string_or_an_integer(void **state)
{
    (void)state;
    assert_text(parsed("{\"jsonrpc\":\"2.0\",\"id\":9007199254740993,\"method\":\"a\"}").id,
                "9007199254740993");
    assert_text(parsed("{\"jsonrpc\":\"2.0\",\"id\":18446744073709551617,\"method\":\"a\"}").id,
                "18446744073709551617");
    assert_text(parsed("{\"jsonrpc\":\"2.0\",\"id\":\"\",\"method\":\"a\"}").id, "\"\"");
    assert_refused("{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"a\"}", ERR_BAD_REQUEST,
                   "id: given null, expected a string or an integer");
    assert_refused("{\"jsonrpc\":\"2.0\",\"id\":1.0,\"method\":\"a\"}", ERR_BAD_REQUEST,
                   "id: given 1.0, expected a string or an integer");
    assert_refused("{\"jsonrpc\":\"2.0\",\"id\":1e3,\"method\":\"a\"}", ERR_BAD_REQUEST,
                   "id: given 1e3, expected a string or an integer");
    assert_refused("{\"jsonrpc\":\"2.0\",\"id\":true,\"method\":\"a\"}", ERR_BAD_REQUEST,
                   "id: given true, expected a string or an integer");
    assert_refused("{\"jsonrpc\":\"2.0\",\"id\":[1],\"method\":\"a\"}", ERR_BAD_REQUEST,
                   "id: given an array, expected a string or an integer");
    assert_refused("{\"jsonrpc\":\"2.0\",\"id\":null,\"result\":{}}", ERR_BAD_REQUEST,
                   "id: given null, expected a string or an integer");
    char text[400];
    for (int n = LIMIT_RPC_ID - 2; n <= LIMIT_RPC_ID - 1; n++) {
        struct rpc_message m;
        struct err e;
        char id[LIMIT_RPC_ID];
        memset(id, 'x', sizeof id);
        (void)snprintf(text, sizeof text, "{\"jsonrpc\":\"2.0\",\"id\":\"%.*s\",\"method\":\"a\"}",
                       n, id);
        assert_int_equal(rpc_parse(arena, str_c(text), &m, &e), n == LIMIT_RPC_ID - 2);
    }
}

static void members_that_occur_twice_are_refused_where_policy_reads(void **state)
{
    (void)state;
    assert_refused("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\",\"m\\u0065thod\":\"b\"}",
                   ERR_BAD_REQUEST, "JSON: member \"m\\u0065thod\" occurs twice");
    assert_refused(CALL(",\"params\":{\"name\":\"a\",\"n\\u0061me\":\"b\"}"), ERR_BAD_REQUEST,
                   "params: JSON: member \"n\\u0061me\" occurs twice");
    assert_refused(CALL(",\"params\":{\"_meta\":{\"progressToken\":1,\"progressToken\":2}}"),
                   ERR_BAD_REQUEST, "params._meta: JSON: member \"progressToken\" occurs twice");
    assert_refused(CALL(",\"params\":{\"ref\":{\"name\":1,\"name\":2}}"), ERR_BAD_REQUEST,
                   "params.ref: JSON: member \"name\" occurs twice");
    assert_text(parsed(CALL(",\"params\":{\"arguments\":{\"a\":1,\"a\":2}}")).arguments,
                "{\"a\":1,\"a\":2}");
}

#define LOOKALIKE(where, name)                                                                     \
    where "\"" name "\" differs only in case from a member of the protocol"

static void names_that_others_would_take_for_judged_ones_are_refused_at_every_level(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } cases[] = {
        {CALL(",\"Method\":\"b\""), LOOKALIKE("", "Method")},
        {CALL(",\"params\":{},\"PARAMS\":{}"), LOOKALIKE("", "PARAMS")},
        {CALL(",\"params\":{\"name\":\"a\",\"Name\":\"b\"}"), LOOKALIKE("params: ", "Name")},
        {CALL(",\"params\":{\"Name\":\"b\"}"), LOOKALIKE("params: ", "Name")},
        {CALL(",\"params\":{\"N\\u0061me\":\"b\"}"), LOOKALIKE("params: ", "Name")},
        {CALL(",\"params\":{\"ta\xC5\xBFkId\":\"b\"}"), LOOKALIKE("params: ", "ta\xC5\xBFkId")},
        {CALL(",\"params\":{\"tas\\u212aId\":1}"), LOOKALIKE("params: ", "tas\xE2\x84\xAAId")},
        {CALL(",\"params\":{\"Notifications\":{}}"), LOOKALIKE("params: ", "Notifications")},
        {CALL(",\"params\":{\"_meta\":{\"ProgressToken\":1}}"),
         LOOKALIKE("_meta: ", "ProgressToken")},
        {CALL(",\"params\":{\"ref\":{\"type\":\"a\",\"Uri\":\"b\"}}"), LOOKALIKE("ref: ", "Uri")},
        {CALL(",\"params\":{\"notifications\":{\"resourcesubscriptions\":[]}}"),
         LOOKALIKE("notifications: ", "resourcesubscriptions")},
        {CALL(",\"params\":{\"x\\u0000\":1}"), "params holds a member name with \\u0000"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_refused(cases[i].text, ERR_BAD_REQUEST, cases[i].message);
}

static void strangers_beside_judged_members_are_let_through(void **state)
{
    (void)state;
    assert_text(parsed(CALL(",\"extra\":1,\"params\":{\"name\":\"a\",\"title\":\"b\"}")).name_text,
                "a");
    assert_text(parsed(CALL(",\"params\":{\"_meta\":{\"progressToken\":7,\"trace\":\"b\"}}"))
                    .progress_token,
                "7");
    assert_text(
        parsed(CALL(",\"params\":{\"n\\u0061me\":\"a\",\"ref\":{\"type\":\"t\",\"other\":1}}"))
            .name_text,
        "a");
    assert_text(parsed(CALL(",\"params\":{\"arguments\":{\"Name\":1,\"name\":2}}")).arguments,
                "{\"Name\":1,\"name\":2}");
}

static void params_of_the_wrong_type_are_invalid_and_the_id_is_known(void **state)
{
    (void)state;
    assert_refused(CALL(",\"params\":[1]"), ERR_INVALID,
                   "params: given an array, expected an object");
    assert_refused(CALL(",\"params\":null"), ERR_INVALID, "params: given null, expected an object");
    assert_refused(CALL(",\"params\":{\"_meta\":5}"), ERR_INVALID,
                   "params._meta: given 5, expected an object");
    assert_refused(CALL(",\"params\":{\"_meta\":{\"progressToken\":null}}"), ERR_INVALID,
                   "params._meta.progressToken: given null, expected a string or a number");
    assert_refused(CALL(",\"params\":{\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":1}}"),
                   ERR_INVALID,
                   "params._meta.io.modelcontextprotocol/protocolVersion: given 1, expected a "
                   "string without \\u0000");
    assert_refused(CALL(",\"params\":{\"name\":\"a\\u0000b\"}"), ERR_INVALID,
                   "params.name: given \"a\\u0000b\", expected a string without \\u0000");
    assert_true(str_is_absent(parsed(CALL(",\"params\":{\"name\":{\"x\":1}}")).name_text));
    struct rpc_message m;
    struct err e;
    assert_false(rpc_parse(arena, STR(CALL(",\"params\":[1]")), &m, &e));
    assert_text(m.id, "1");
}

static void batches_are_recognised_and_refused(void **state)
{
    (void)state;
    assert_true(rpc_is_batch(STR(" \n[{}]")));
    assert_false(rpc_is_batch(STR("{}")));
    assert_false(rpc_is_batch(STR_NONE));
    assert_refused("[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\"}]", ERR_BAD_REQUEST,
                   "batches are not supported: given an array, expected one message");
    assert_refused("[1", ERR_PARSE, "JSON: byte 2: the text ends, expected ',' or ']'");
}

static void answers_are_written(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 1000);
    rpc_write_result(&out, STR("\"x\""), STR("{\"tools\":[]}"));
    assert_string_equal(buf_str(&out).p,
                        "{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"result\":{\"tools\":[]}}");
    buf_reset(&out);
    rpc_write_error(&out, STR("7"), true, -32602, STR("a \"b\""), STR("{\"k\":1}"));
    assert_string_equal(buf_str(&out).p, "{\"jsonrpc\":\"2.0\",\"id\":7,\"error\":{\"code\":-32602,"
                                         "\"message\":\"a \\\"b\\\"\",\"data\":{\"k\":1}}}");
    buf_reset(&out);
    rpc_write_error(&out, STR_NONE, true, -32700, STR("m"), STR_NONE);
    assert_string_equal(
        buf_str(&out).p,
        "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32700,\"message\":\"m\"}}");
    buf_reset(&out);
    rpc_write_error(&out, STR_NONE, false, -32700, STR("m"), STR_NONE);
    assert_string_equal(buf_str(&out).p,
                        "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32700,\"message\":\"m\"}}");
    buf_reset(&out);
    struct err e;
    err_set(&e, ERR_SESSION_NOT_FOUND, "Session not found");
    rpc_error_from(&out, STR("1"), true, &e);
    assert_string_equal(buf_str(&out).p,
                        "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32001,\"message\":"
                        "\"Session not found\",\"data\":{\"reason\":\"session_not_found\"}}}");
    buf_end(&out);
}

static void spans_are_replaced_in_any_order_and_the_rest_is_untouched(void **state)
{
    (void)state;
    struct rpc_message m = parsed(
        "{\"jsonrpc\":\"2.0\", "
        "\"id\":12,\"method\":\"tools/"
        "call\",\"x\":0.10,\"params\":{\"name\":\"s__get\",\"_meta\":{\"progressToken\":\"p\"}}} ");
    struct rpc_edit edits[] = {{m.progress_token, STR("99")},
                               {m.name, STR("\"get\"")},
                               {STR_NONE, STR("never")},
                               {m.id, STR("\"hop\"")},
                               {{m.params.p + 1, 0}, STR("\"a\":1,")}};
    assert_text(rpc_replace(arena, m.raw, edits, ARRAY_LEN(edits)),
                "{\"jsonrpc\":\"2.0\", "
                "\"id\":\"hop\",\"method\":\"tools/"
                "call\",\"x\":0.10,\"params\":{\"a\":1,\"name\":\"get\",\"_meta\":{"
                "\"progressToken\":99}}} ");
    assert_true(str_eq(rpc_replace(arena, m.raw, NULL, 0), m.raw));
    struct rpc_edit all = {m.raw, STR("")};
    assert_true(rpc_replace(arena, m.raw, &all, 1).n == 0);
    struct rpc_edit ends[] = {{{m.raw.p + m.raw.n, 0}, STR(">")}, {{m.raw.p, 0}, STR("<")}};
    struct str wrapped = rpc_replace(arena, m.raw, ends, 2);
    assert_true(wrapped.p[0] == '<' && wrapped.p[wrapped.n - 1] == '>' && wrapped.n == m.raw.n + 2);
}

static void out_of_memory_is_an_error(void **state)
{
    (void)state;
    struct arena *small = arena_new(64);
    struct rpc_message m = parsed(CALL(""));
    struct rpc_edit edit = {
        m.id, STR("0123456789012345678901234567890123456789012345678901234567890123456789")};
    assert_true(str_is_absent(rpc_replace(small, m.raw, &edit, 1)));
    arena_end(small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_request_is_read_with_all_its_parts, setup, teardown),
        cmocka_unit_test_setup_teardown(kinds_are_told_apart, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_no_json_rpc_is_refused_with_a_reason, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(an_id_is_a_short_string_or_an_integer, setup, teardown),
        cmocka_unit_test_setup_teardown(members_that_occur_twice_are_refused_where_policy_reads,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(
            names_that_others_would_take_for_judged_ones_are_refused_at_every_level, setup,
            teardown),
        cmocka_unit_test_setup_teardown(strangers_beside_judged_members_are_let_through, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(params_of_the_wrong_type_are_invalid_and_the_id_is_known,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(batches_are_recognised_and_refused, setup, teardown),
        cmocka_unit_test(answers_are_written),
        cmocka_unit_test_setup_teardown(spans_are_replaced_in_any_order_and_the_rest_is_untouched,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(out_of_memory_is_an_error, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
