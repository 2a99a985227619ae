/* The one door of the management tools: listing, organizations, arguments, cursors, the record. */
#include "unit/registry_fixture.h"

/* ---- the door itself ---- */

WORLD_TEST(a_tool_that_may_not_be_called_is_not_listed)
{
    const struct caller *callers[] = {w->owner, w->admin, w->member, w->stranger};
    for (size_t i = 0; i < ARRAY_LEN(callers); i++) {
        struct tool_use use = {.arena = w->a, .sv = &w->sv, .caller = callers[i]};
        for (size_t t = 0; t < n_tools; t++) {
            struct buf text;
            buf_init(&text, 4 << 20);
            OK(w->f, registry_source.list(&use, str_c(tools[t].toolset), &text, &w->f->e));
            struct jdoc *doc = jdoc_parse(buf_str(&text), &w->f->e);
            const struct jvalue *list = jdoc_root(doc);
            bool is_listed = false;
            for (size_t k = 0; k < jv_count(list); k++)
                is_listed =
                    is_listed || str_eq(jv_get_str(jv_at(list, k), "name"), str_c(tools[t].name));
            struct tool_outcome out;
            struct tool_use call_use = {.arena = w->a, .sv = &w->sv, .caller = callers[i]};
            /* No tool takes this argument: what is visible complains of it, what is not is unknown.
             */
            bool ok = registry_source.call(&call_use, str_c(tools[t].name), STR("{\"no_such\":1}"),
                                           &out, &w->is_unknown, &w->e);
            assert_false(ok);
            assert_int_equal(w->e.code, is_listed ? ERR_INVALID : ERR_NOT_FOUND);
            assert_int_equal(w->is_unknown, !is_listed);
            jdoc_free(doc);
            buf_end(&text);
        }
    }
}

WORLD_TEST(a_toolset_narrows_the_list)
{
    struct tool_use use = {.arena = w->a, .sv = &w->sv, .caller = w->owner};
    struct buf text;
    buf_init(&text, 4 << 20);
    OK(w->f, registry_source.list(&use, STR("users,api_keys"), &text, &w->f->e));
    struct jdoc *doc = jdoc_parse(buf_str(&text), &w->f->e);
    assert_int_equal(jv_count(jdoc_root(doc)), 7);
    const struct jvalue *first = jv_at(jdoc_root(doc), 0);
    assert_str(jv_get_str(jv_get(first, "inputSchema"), "type"), "object");
    assert_false(jv_get_bool(jv_get(first, "annotations"), "readOnlyHint", true));
    jdoc_free(doc);
    buf_end(&text);
}

WORLD_TEST(an_organization_that_is_foreign_answers_as_an_unknown_one)
{
    struct str unknown = STR("org_00000000000000000000000000000000");
    refused(w, w->owner, "ORGANIZATION_GET",
            ARGS("{\"organization_id\":\"%.*s\"}", STR_FMT(unknown)), ERR_NOT_FOUND);
    char said[400];
    snprintf(said, sizeof said, "%.16s", w->e.msg);
    refused(w, w->owner, "ORGANIZATION_GET",
            ARGS("{\"organization_id\":\"%.*s\"}", STR_FMT(w->other_org)), ERR_NOT_FOUND);
    assert_memory_equal(said, w->e.msg, 16);
    struct caller person = *w->owner; /* a session without an organization */
    person.org_id = STR_NONE;
    person.builtin_roles = 0;
    refused(w, &person, "ORGANIZATION_GET",
            ARGS("{\"organization_id\":\"%.*s\"}", STR_FMT(w->other_org)), ERR_NOT_FOUND);
    refused(w, &person, "ORGANIZATION_GET", STR("{}"), ERR_INVALID);
    const struct jvalue *got = call(w, &person, "ORGANIZATION_GET",
                                    ARGS("{\"organization_id\":\"%.*s\"}", STR_FMT(w->org)));
    assert_true(str_eq(item_str(got, "id"), w->org));
}

WORLD_TEST(bad_arguments_are_named)
{
    refused(w, w->owner, "CONNECTION_LIST", STR("{\"limit\":500}"), ERR_INVALID);
    assert_non_null(strstr(w->e.msg, "limit"));
    assert_non_null(strstr(w->e.msg, "500"));
    refused(w, w->owner, "CONNECTION_LIST", STR("{\"cursor\":\"v1.x.y\"}"), ERR_INVALID);
    refused(w, w->owner, "CONNECTION_LIST", STR("[]"), ERR_INVALID);
    refused(w, w->owner, "CONNECTION_LIST", STR("{"), ERR_PARSE);
    refused(w, w->owner, "CONNECTION_LIST", STR("{\"limit\":1,\"limit\":2}"), ERR_PARSE);
    refused(w, w->owner, "NO_SUCH_TOOL", STR("{}"), ERR_NOT_FOUND);
    assert_true(w->is_unknown);
}

WORLD_TEST(a_secret_in_a_wrong_place_is_not_quoted)
{
    struct str id = connection_make(w, "srv");
    refused(w, w->admin, "CONNECTION_CREDENTIAL_SET",
            ARGS("{\"connection_id\":\"%.*s\",\"headers\":{\"X-A\":31337}}", STR_FMT(id)),
            ERR_INVALID);
    assert_null(strstr(w->e.msg, "31337"));
    refused(w, w->admin, "CONNECTION_CREDENTIAL_SET",
            ARGS("{\"connection_id\":\"%.*s\",\"bearer\":\"has spaces 31337\"}", STR_FMT(id)),
            ERR_INVALID);
    assert_null(strstr(w->e.msg, "31337"));
}

WORLD_TEST(acts_and_refusals_are_recorded_and_reads_are_not)
{
    connection_make(w, "srv");
    refused(w, w->member, "CONNECTION_CREATE",
            STR("{\"name\":\"x\",\"url\":\"http://127.0.0.1:9\"}"), ERR_NOT_FOUND);
    refused(w, w->admin, "CONNECTION_CREATE", STR("{\"name\":\"x\",\"url\":\"ftp://127.0.0.1\"}"),
            ERR_INVALID);
    call(w, w->member, "CONNECTION_LIST", STR("{}"));
    assert_int_equal(audit_count(w, w->org, "CONNECTION_CREATE", "ok"), 1);
    assert_int_equal(audit_count(w, w->org, "CONNECTION_CREATE", "denied"), 1);
    assert_int_equal(audit_count(w, w->org, "CONNECTION_CREATE", "failed"), 1);
    assert_int_equal(audit_count(w, w->org, "CONNECTION_LIST", "ok"), 0);
    const struct jvalue *events =
        call(w, w->admin, "ORGANIZATION_AUDIT_LIST", STR("{\"kind\":\"admin\"}"));
    assert_int_equal(item_count(events), 3);
    refused(w, w->member, "ORGANIZATION_AUDIT_LIST", STR("{}"), ERR_NOT_FOUND);
}

WORLD_TEST(arguments_are_recorded_redacted_when_asked_for)
{
    call(w, w->admin, "ORGANIZATION_UPDATE", STR("{\"audit_arguments\":true}"));
    call(w, w->admin, "ORGANIZATION_UPDATE", STR("{\"description\":\"Bearer abcdefgh12345\"}"));
    const struct jvalue *events = call(w, w->admin, "ORGANIZATION_AUDIT_LIST",
                                       STR("{\"method\":\"ORGANIZATION_UPDATE\",\"limit\":1}"));
    const struct jvalue *arguments = jv_get(jv_at(jv_get(events, "items"), 0), "arguments");
    assert_str(jv_get_str(arguments, "description"), "[redacted]");
    call(w, w->admin, "CONNECTION_CREATE",
         STR("{\"name\":\"s\",\"url\":\"http://"
             "127.0.0.1:9\",\"credential\":{\"headers\":{\"X-A\":\"hunter2\"}}}"));
    events =
        call(w, w->admin, "ORGANIZATION_AUDIT_LIST", STR("{\"method\":\"CONNECTION_CREATE\"}"));
    assert_true(jv_is_null(jv_get(jv_at(jv_get(events, "items"), 0), "arguments")));
}

WORLD_TEST(cursors_page_through_and_belong_to_one_caller)
{
    for (int i = 0; i < 5; i++)
        connection_make(w, "srv");
    struct str cursor = STR_NONE;
    size_t seen = 0;
    for (int page = 0; page < 3; page++) {
        struct str args = str_is_absent(cursor)
                              ? STR("{\"limit\":2}")
                              : ARGS("{\"limit\":2,\"cursor\":\"%.*s\"}", STR_FMT(cursor));
        if (!str_is_absent(cursor)) {
            refused(w, w->owner, "CONNECTION_LIST", args, ERR_INVALID);
            refused(w, w->admin, "API_KEY_LIST", args, ERR_INVALID);
        }
        const struct jvalue *list = call(w, w->admin, "CONNECTION_LIST", args);
        assert_int_equal(jv_get_i64(list, "total_count", -1), 5);
        seen += item_count(list);
        cursor = jv_get_str(list, "next_cursor");
    }
    assert_int_equal(seen, 5);
    assert_true(str_is_absent(cursor));
    const struct jvalue *first = call(w, w->admin, "CONNECTION_LIST", STR("{\"limit\":2}"));
    struct str old = ARGS("{\"cursor\":\"%.*s\"}", STR_FMT(jv_get_str(first, "next_cursor")));
    clock_shift_for_test((int64_t)25 * 60 * 60 * 1000);
    refused(w, w->admin, "CONNECTION_LIST", old, ERR_INVALID);
    clock_shift_for_test(0);
}

int main(void)
{
    const struct CMUnitTest rows[] = {
        cmocka_unit_test(a_tool_that_may_not_be_called_is_not_listed),
        cmocka_unit_test(a_toolset_narrows_the_list),
        cmocka_unit_test(an_organization_that_is_foreign_answers_as_an_unknown_one),
        cmocka_unit_test(bad_arguments_are_named),
        cmocka_unit_test(a_secret_in_a_wrong_place_is_not_quoted),
        cmocka_unit_test(acts_and_refusals_are_recorded_and_reads_are_not),
        cmocka_unit_test(arguments_are_recorded_redacted_when_asked_for),
        cmocka_unit_test(cursors_page_through_and_belong_to_one_caller),
    };
    return cmocka_run_group_tests(rows, NULL, NULL);
}
