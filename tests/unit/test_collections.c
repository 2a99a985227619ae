/* COLLECTION_CONNECTIONS_*: Mesh's shape of the registry, and that it opens no door of its own. */
#include "unit/registry_fixture.h"

static const struct jvalue *make(struct world *w, const char *more)
{
    return call(w, w->admin, "COLLECTION_CONNECTIONS_CREATE",
                ARGS("{\"data\":{\"connection_type\":\"HTTP\",\"connection_url\":"
                     "\"http://127.0.0.1:9/mcp\",%s}}",
                     more));
}

static const struct jvalue *field(const struct jvalue *answer, const char *name)
{
    return jv_get(jv_get(answer, "item"), name);
}

static struct str about(struct world *w, const struct jvalue *made)
{
    return ARGS("{\"id\":\"%.*s\"}", STR_FMT(item_str(made, "id")));
}

static const struct jvalue *plain(struct world *w, const struct jvalue *made)
{
    return call(w, w->admin, "CONNECTION_GET",
                ARGS("{\"connection_id\":\"%.*s\"}", STR_FMT(item_str(made, "id"))));
}

WORLD_TEST(an_item_is_a_connection_under_other_names)
{
    const struct jvalue *made =
        make(w, "\"title\":\"One\",\"app_name\":\"app\",\"metadata\":{\"k\":[1]},"
                "\"connection_token\":\"planted-token\",\"configuration_scopes\":[\"A::B\"]");
    assert_true(jv_is_null(field(made, "connection_token")));
    assert_str(item_str(made, "app_name"), "app");
    assert_str(item_str(made, "status"), "active");
    assert_int_equal(jv_count(field(made, "metadata")), 1);
    assert_true(str_eq(item_str(made, "organization_id"), w->org));
    const struct jvalue *seen = plain(w, made);
    assert_str(item_str(seen, "name"), "One");
    assert_str(item_str(seen, "slug"), "one");
    assert_str(item_str(seen, "transport"), "streamable-http");
    assert_str(item_str(seen, "auth"), "bearer");
    assert_true(jv_get_bool(jv_get(seen, "item"), "has_credential", false));

    /* A whole item goes back: nothing that is never shown is lost, what cannot change stays. */
    struct buf text;
    buf_init(&text, 16 * 1024);
    jv_write(jv_get(made, "item"), &text);
    const struct jvalue *again_ =
        call(w, w->admin, "COLLECTION_CONNECTIONS_UPDATE",
             ARGS("{\"id\":\"%.*s\",\"data\":%.*s}", STR_FMT(item_str(made, "id")),
                  STR_FMT(buf_str(&text))));
    buf_end(&text);
    assert_str(item_str(again_, "app_name"), "app");
    assert_true(jv_get_bool(jv_get(plain(w, made), "item"), "has_credential", false));

    call(w, w->admin, "COLLECTION_CONNECTIONS_UPDATE",
         ARGS("{\"id\":\"%.*s\",\"data\":{\"title\":\"Two\",\"status\":\"inactive\",\"app_name\":"
              "null,\"description\":\"d\"}}",
              STR_FMT(item_str(made, "id"))));
    const struct jvalue *two = call(w, w->admin, "COLLECTION_CONNECTIONS_GET", about(w, made));
    assert_str(item_str(two, "title"), "Two");
    assert_str(item_str(two, "status"), "inactive");
    assert_true(jv_is_null(field(two, "app_name")));
    assert_int_equal(jv_count(field(two, "configuration_scopes")), 1);
    assert_int_equal(jv_count(field(two, "metadata")), 1);
    assert_true(jv_is_null(field(two, "tools")));
}

WORLD_TEST(secrets_of_every_kind_are_sealed)
{
    const struct jvalue *made = make(
        w,
        "\"title\":\"H\",\"connection_headers\":{\"headers\":{\"X-Key\":\"planted\"}},"
        "\"connection_token\":\"planted-token\",\"configuration_state\":{\"secret\":\"planted\"}");
    assert_str(item_str(plain(w, made), "auth"), "headers");
    assert_true(jv_is_null(field(made, "connection_headers")));
    assert_true(jv_is_null(field(made, "configuration_state")));
    struct credential_row *rows;
    size_t n;
    OK(w->f, credentials_list(w->sv.db, w->a, w->org, item_str(made, "id"), STR_NONE, &rows, &n,
                              &w->f->e));
    assert_int_equal(n, 2); /* the organization's credential, and the settings */

    const struct jvalue *oauth =
        make(w, "\"title\":\"O\",\"oauth_config\":{\"clientId\":\"c\",\"clientSecret\":\"planted\","
                "\"tokenEndpoint\":\"https://x.example/token\"}");
    assert_str(item_str(plain(w, oauth), "auth"), "oauth");
    const struct jvalue *config = field(oauth, "oauth_config");
    assert_str(jv_get_str(config, "clientId"), "c");
    assert_null(jv_get(config, "clientSecret"));
    refused(w, w->admin, "COLLECTION_CONNECTIONS_CREATE",
            STR("{\"data\":{\"title\":\"x\",\"connection_type\":\"HTTP\",\"connection_url\":"
                "\"http://127.0.0.1:9/\",\"connection_token\":\"t\",\"connection_headers\":{"
                "\"headers\":{\"authorization\":\"Basic eA==\"}}}}"),
            ERR_INVALID);
}

WORLD_TEST(what_has_no_place_here_is_refused_by_its_own_name)
{
    static const struct {
        const char *data, *word;
        enum err_code code;
    } rows[] = {
        {"\"title\":\"x\",\"connection_type\":\"Websocket\",\"connection_url\":\"http://127.0.0.1/"
         "\"",
         "Websocket", ERR_UNPROCESSABLE},
        {"\"title\":\"x\",\"connection_type\":\"VIRTUAL\"", "VIRTUAL", ERR_UNPROCESSABLE},
        {"\"title\":\"x\",\"connection_type\":\"HTTP\",\"connection_url\":\"gopher://x\"",
         "arguments.data.connection_url", ERR_INVALID},
        {"\"title\":\" \",\"connection_type\":\"HTTP\",\"connection_url\":\"http://127.0.0.1/\"",
         "arguments.data.title", ERR_INVALID},
        {"\"title\":\"x\",\"connection_type\":\"HTTP\",\"connection_url\":\"http://127.0.0.1/\","
         "\"connection_headers\":{\"command\":\"c\"}",
         "connection_headers", ERR_INVALID},
        {"\"title\":\"x\",\"connection_type\":\"STDIO\",\"connection_headers\":{\"command\":\"c\","
         "\"cwd\":\"/\"}",
         "cwd", ERR_UNPROCESSABLE},
        {"\"title\":\"x\",\"connection_type\":\"STDIO\",\"connection_headers\":{\"command\":\"c\"}",
         "ALLOW_STDIO", ERR_UNPROCESSABLE},
        {"\"title\":\"x\",\"connection_type\":\"HTTP\",\"connection_url\":\"http://127.0.0.1/\","
         "\"metadata\":{\"mesh\":1}",
         "mesh", ERR_INVALID},
        {"\"title\":\"x\",\"connection_type\":\"HTTP\",\"colour\":1", "expected only", ERR_INVALID},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        refused(w, w->admin, "COLLECTION_CONNECTIONS_CREATE", ARGS("{\"data\":{%s}}", rows[i].data),
                rows[i].code);
        if (!strstr(w->e.msg, rows[i].word))
            fail_msg("%s says %s", rows[i].data, w->e.msg);
    }
    assert_int_equal(jv_get_i64(call(w, w->admin, "CONNECTION_LIST", STR("{}")), "total_count", -1),
                     0);
}

WORLD_TEST(lists_are_filtered_ordered_and_cut)
{
    for (int i = 0; i < 105; i++)
        make(w,
             ARGS("\"title\":\"n%03d\",\"metadata\":{\"odd\":%s}", i, i % 2 ? "true" : "false").p);
    const struct jvalue *found =
        call(w, w->admin, "COLLECTION_CONNECTIONS_LIST",
             STR("{\"where\":{\"field\":[\"metadata\",\"odd\"],\"operator\":\"eq\",\"value\":true},"
                 "\"orderBy\":[{\"field\":[\"title\"],\"direction\":\"desc\"}],\"limit\":2,"
                 "\"offset\":1}"));
    assert_int_equal(jv_get_i64(found, "totalCount", 0), 52);
    assert_true(jv_get_bool(found, "hasMore", false));
    assert_int_equal(item_count(found), 2);
    assert_str(jv_get_str(jv_at(jv_get(found, "items"), 0), "title"), "n101");
    const struct jvalue *all = call(w, w->admin, "COLLECTION_CONNECTIONS_LIST", STR("{}"));
    assert_int_equal(item_count(all), 100);
    assert_str(jv_get_str(jv_at(jv_get(all, "items"), 0), "title"), "n000");
    const struct jvalue *end =
        call(w, w->admin, "COLLECTION_CONNECTIONS_LIST", STR("{\"offset\":104,\"limit\":1000}"));
    assert_int_equal(item_count(end), 1);
    assert_false(jv_get_bool(end, "hasMore", true));
    assert_int_equal(item_count(call(w, w->admin, "COLLECTION_CONNECTIONS_LIST",
                                     STR("{\"slug\":\"n007\",\"offset\":0}"))),
                     1);
    assert_int_equal(
        item_count(call(w, w->admin, "COLLECTION_CONNECTIONS_LIST", STR("{\"offset\":200}"))), 0);
    assert_int_equal(item_count(call(w, w->stranger, "COLLECTION_CONNECTIONS_LIST", STR("{}"))), 0);
    refused(w, w->admin, "COLLECTION_CONNECTIONS_LIST", STR("{\"binding\":\"LLM\"}"),
            ERR_UNPROCESSABLE);
}

WORLD_TEST(the_twins_follow_the_policy_of_both_names)
{
    const struct jvalue *made = make(w, "\"title\":\"P\"");
    struct str id = about(w, made), no = STR("{\"id\":\"conn_f00d\"}");
    refused(w, w->member, "COLLECTION_CONNECTIONS_DELETE", id, ERR_NOT_FOUND);
    assert_true(w->is_unknown);
    refused(w, w->stranger, "COLLECTION_CONNECTIONS_GET", id, ERR_NOT_FOUND);
    char foreign[400];
    memcpy(foreign, w->e.msg, sizeof(foreign));
    refused(w, w->stranger, "COLLECTION_CONNECTIONS_GET", no, ERR_NOT_FOUND);
    assert_string_equal(foreign, w->e.msg);
    refused(w, w->stranger, "COLLECTION_CONNECTIONS_DELETE", id, ERR_NOT_FOUND);
    call(w, w->member, "COLLECTION_CONNECTIONS_GET", id);

    /* Keys that name either name have the twin; a denial of either takes it away. */
    static const char *const names[] = {"CONNECTION_GET", "COLLECTION_CONNECTIONS_GET"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const struct caller *key =
            key_caller(w, call(w, w->admin, "API_KEY_CREATE",
                               ARGS("{\"name\":\"k\",\"tools\":[\"%s\"]}", names[i])));
        call(w, key, "COLLECTION_CONNECTIONS_GET", id);
        refused(w, key, "COLLECTION_CONNECTIONS_LIST", STR("{}"), ERR_NOT_FOUND);
        struct str role = item_str(
            call(w, w->admin, "ORGANIZATION_ROLE_CREATE",
                 ARGS("{\"name\":\"no-%zu\",\"statements\":[{\"on\":\"*\",\"tools\":[\"%s\"],"
                      "\"effect\":\"deny\"}]}",
                      i, names[i])),
            "id");
        call(w, w->owner, "ORGANIZATION_MEMBER_UPDATE_ROLE",
             ARGS("{\"email\":\"admin@example.com\",\"roles\":[\"admin\",\"%.*s\"]}",
                  STR_FMT(role)));
        refused(w, again(w, w->admin), "COLLECTION_CONNECTIONS_GET", id, ERR_NOT_FOUND);
        const struct jvalue *why =
            call(w, w->owner, "ORGANIZATION_POLICY_EXPLAIN",
                 ARGS("{\"email\":\"admin@example.com\",\"name\":\"COLLECTION_CONNECTIONS_GET\"}"));
        assert_false(jv_get_bool(why, "allowed", true));
        call(w, w->owner, "ORGANIZATION_MEMBER_UPDATE_ROLE",
             STR("{\"email\":\"admin@example.com\",\"role\":\"admin\"}"));
    }
    const struct caller *elsewhere =
        key_caller(w, call(w, w->admin, "API_KEY_CREATE",
                           ARGS("{\"name\":\"one\",\"connection_ids\":[\"%.*s\"]}",
                                STR_FMT(item_str(make(w, "\"title\":\"Q\""), "id")))));
    refused(w, elsewhere, "COLLECTION_CONNECTIONS_GET", id, ERR_NOT_FOUND);
    refused(w, elsewhere, "COLLECTION_CONNECTIONS_DELETE", id, ERR_NOT_FOUND);
    assert_int_equal(item_count(call(w, elsewhere, "COLLECTION_CONNECTIONS_LIST", STR("{}"))), 1);

    call(w, w->admin, "COLLECTION_CONNECTIONS_DELETE", id);
    refused(w, w->admin, "COLLECTION_CONNECTIONS_DELETE", id, ERR_NOT_FOUND);
    assert_int_equal(audit_count(w, w->org, "COLLECTION_CONNECTIONS_DELETE", "ok"), 1);
}

static bool is_listed(struct world *w, struct str toolset)
{
    struct tool_use use = {.arena = w->a, .sv = &w->sv, .caller = w->admin};
    struct buf text;
    buf_init(&text, 8 * 1024 * 1024);
    OK(w->f, registry_source.list(&use, toolset, &text, &w->f->e));
    bool has = str_find(buf_str(&text), STR("COLLECTION_CONNECTIONS_")) != SIZE_MAX;
    buf_end(&text);
    return has;
}

WORLD_TEST(twins_are_listed_only_with_their_toolset)
{
    assert_false(is_listed(w, STR_NONE));
    assert_false(is_listed(w, STR("connections")));
    assert_true(is_listed(w, STR("collections")));
}

int main(void)
{
    const struct CMUnitTest rows[] = {
        cmocka_unit_test(an_item_is_a_connection_under_other_names),
        cmocka_unit_test(secrets_of_every_kind_are_sealed),
        cmocka_unit_test(what_has_no_place_here_is_refused_by_its_own_name),
        cmocka_unit_test(lists_are_filtered_ordered_and_cut),
        cmocka_unit_test(the_twins_follow_the_policy_of_both_names),
        cmocka_unit_test(twins_are_listed_only_with_their_toolset),
    };
    return cmocka_run_group_tests(rows, NULL, NULL);
}
