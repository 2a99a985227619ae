/* What each family of management tools does, and whom it refuses. */
#include "unit/registry_fixture.h"

#include "base/text.h"
#include "store/browser_sessions.h"
#include "store/oauth_clients.h"
#include "store/oauth_tokens.h"

/* ---- organizations, members, roles ---- */

WORLD_TEST(only_operators_create_organizations_unless_everyone_may)
{
    struct str args = STR("{\"name\":\"New Team\"}");
    refused(w, w->owner, "ORGANIZATION_CREATE", args, ERR_NOT_FOUND);
    struct caller operator_ = *w->owner;
    operator_.is_operator = true;
    assert_str(item_str(call(w, &operator_, "ORGANIZATION_CREATE", args), "slug"), "new-team");
    assert_str(item_str(call(w, &operator_, "ORGANIZATION_CREATE", args), "slug"), "new-team-2");
    w->config.allow_org_creation = "everyone";
    const struct jvalue *mine =
        call(w, w->member, "ORGANIZATION_CREATE", STR("{\"name\":\"MCP\"}"));
    assert_str(item_str(mine, "role"), "owner");
    assert_str(item_str(mine, "slug"), "mcp-2"); /* mcp is reserved */
    refused(w, w->member, "ORGANIZATION_CREATE", STR("{\"name\":\"x\",\"slug\":\"acme\"}"),
            ERR_CONFLICT);
    refused(w, w->member, "ORGANIZATION_CREATE", STR("{\"name\":\"x\",\"slug\":\"oauth\"}"),
            ERR_INVALID);
    /* A key lists the organization it belongs to, a person all of theirs. */
    struct caller bound = *w->member;
    bound.key_id = STR("key_1");
    assert_int_equal(item_count(call(w, &bound, "ORGANIZATION_LIST", STR("{}"))), 1);
    assert_int_equal(item_count(call(w, w->member, "ORGANIZATION_LIST", STR("{}"))), 2);
    struct caller person = *w->member;
    person.org_id = STR_NONE;
    const struct jvalue *all = call(w, &person, "ORGANIZATION_LIST", STR("{}"));
    assert_int_equal(item_count(all), 2);
    assert_int_equal(jv_get_i64(all, "total_count", 0), 2);
}

WORLD_TEST(deleting_an_organization_takes_an_owner_and_its_slug)
{
    refused(w, w->admin, "ORGANIZATION_DELETE", STR("{\"confirm\":\"acme\"}"), ERR_NOT_FOUND);
    refused(w, w->owner, "ORGANIZATION_DELETE", STR("{\"confirm\":\"other\"}"), ERR_UNPROCESSABLE);
    refused(w, w->owner, "ORGANIZATION_DELETE", STR("{}"), ERR_INVALID);
    connection_make(w, "srv");
    const struct jvalue *gone =
        call(w, w->owner, "ORGANIZATION_DELETE", STR("{\"confirm\":\"acme\"}"));
    assert_true(jv_get_bool(gone, "deleted", false));
    struct org o;
    FAILS(w->f, ERR_NOT_FOUND, orgs_get(w->sv.db, w->a, w->org, &o, &w->f->e));
    assert_int_equal(audit_count(w, STR(""), "ORGANIZATION_DELETE", "ok"), 1);
    assert_true(
        str_eq(item_str(call(w, w->stranger, "ORGANIZATION_GET", STR("{}")), "id"), w->other_org));
}

WORLD_TEST(only_owners_make_and_remove_owners)
{
    struct str member = w->member->user_id, owner = w->owner->user_id;
    refused(w, w->admin, "ORGANIZATION_MEMBER_UPDATE_ROLE",
            ARGS("{\"user_id\":\"%.*s\",\"role\":\"owner\"}", STR_FMT(member)), ERR_FORBIDDEN);
    refused(w, w->admin, "ORGANIZATION_MEMBER_UPDATE_ROLE",
            ARGS("{\"user_id\":\"%.*s\",\"role\":\"member\"}", STR_FMT(owner)), ERR_FORBIDDEN);
    refused(w, w->admin, "ORGANIZATION_MEMBER_REMOVE",
            ARGS("{\"user_id\":\"%.*s\"}", STR_FMT(owner)), ERR_FORBIDDEN);
    refused(w, w->member, "ORGANIZATION_MEMBER_REMOVE", STR("{\"email\":\"admin@example.com\"}"),
            ERR_NOT_FOUND);
    refused(w, w->owner, "ORGANIZATION_MEMBER_REMOVE",
            ARGS("{\"user_id\":\"%.*s\"}", STR_FMT(owner)), ERR_UNPROCESSABLE);
    const struct jvalue *changed =
        call(w, w->owner, "ORGANIZATION_MEMBER_UPDATE_ROLE",
             ARGS("{\"user_id\":\"%.*s\",\"roles\":[\"owner\",\"admin\"]}", STR_FMT(member)));
    assert_int_equal(jv_count(jv_get(jv_get(changed, "item"), "roles")), 2);
    assert_int_equal(audit_count(w, w->org, "ORGANIZATION_MEMBER_UPDATE_ROLE", "denied"), 2);
    call(w, w->owner, "ORGANIZATION_MEMBER_REMOVE",
         ARGS("{\"user_id\":\"%.*s\"}", STR_FMT(member)));
    assert_int_equal(item_count(call(w, w->owner, "ORGANIZATION_MEMBER_LIST", STR("{}"))), 2);
}

WORLD_TEST(members_are_added_by_address_and_their_keys_end_with_them)
{
    struct str user = user_make(w, "new@example.com");
    const struct jvalue *added = call(w, w->admin, "ORGANIZATION_MEMBER_ADD",
                                      STR("{\"email\":\"New@Example.com\",\"role\":\"member\"}"));
    assert_true(str_eq(item_str(added, "user_id"), user));
    refused(w, w->admin, "ORGANIZATION_MEMBER_ADD",
            STR("{\"email\":\"new@example.com\",\"role\":\"member\"}"), ERR_CONFLICT);
    refused(w, w->admin, "ORGANIZATION_MEMBER_ADD",
            STR("{\"email\":\"nobody@example.com\",\"role\":\"member\"}"), ERR_NOT_FOUND);
    refused(w, w->admin, "ORGANIZATION_MEMBER_ADD", STR("{\"role\":\"member\"}"), ERR_INVALID);
    const struct jvalue *key =
        call(w, caller_of(w, w->org, user), "API_KEY_CREATE", STR("{\"name\":\"k\"}"));
    key_caller(w, key);
    call(w, w->admin, "ORGANIZATION_MEMBER_REMOVE", STR("{\"email\":\"new@example.com\"}"));
    call(w, w->admin, "ORGANIZATION_MEMBER_ADD",
         STR("{\"email\":\"new@example.com\",\"role\":\"member\"}"));
    const struct caller *c;
    FAILS(w->f, ERR_UNAUTHENTICATED,
          token_check(&w->sv, w->a, jv_get_str(key, "key"), clock_wall_ms(), &c, &w->f->e));
}

WORLD_TEST(custom_roles_come_and_go_and_cannot_be_used_to_climb)
{
    const struct jvalue *made = call(w, w->admin, "ORGANIZATION_ROLE_CREATE",
                                     STR("{\"name\":\"people\",\"statements\":[{\"on\":\"org\","
                                         "\"tools\":[\"ORGANIZATION_*\"],\"effect\":"
                                         "\"allow\"}]}"));
    struct str role = item_str(made, "id");
    refused(w, w->admin, "ORGANIZATION_ROLE_CREATE",
            STR("{\"name\":\"people\",\"statements\":[{\"on\":\"*\",\"tools\":[\"*\"],\"effect\":"
                "\"deny\"}]}"),
            ERR_CONFLICT);
    refused(w, w->admin, "ORGANIZATION_ROLE_CREATE",
            STR("{\"name\":\"p2\",\"statements\":[{\"on\":\"nowhere\",\"tools\":[\"*\"],\"effect\":"
                "\"deny\"}]}"),
            ERR_INVALID);
    call(w, w->admin, "ORGANIZATION_MEMBER_UPDATE_ROLE",
         ARGS("{\"email\":\"member@example.com\",\"role\":\"%.*s\"}", STR_FMT(role)));
    const struct caller *holder = again(w, w->member);
    call(w, holder, "ORGANIZATION_UPDATE", STR("{\"description\":\"by role\"}"));
    refused(w, holder, "ORGANIZATION_DELETE", STR("{\"confirm\":\"acme\"}"), ERR_NOT_FOUND);
    refused(w, holder, "CONNECTION_LIST", STR("{}"), ERR_NOT_FOUND);
    refused(w, holder, "ORGANIZATION_MEMBER_UPDATE_ROLE",
            STR("{\"email\":\"member@example.com\",\"role\":\"admin\"}"), ERR_FORBIDDEN);
    refused(w, holder, "ORGANIZATION_MEMBER_UPDATE_ROLE",
            STR("{\"email\":\"admin@example.com\",\"role\":\"member\"}"), ERR_FORBIDDEN);
    refused(w, holder, "ORGANIZATION_ROLE_UPDATE",
            ARGS("{\"role_id\":\"%.*s\",\"statements\":[{\"on\":\"*\",\"tools\":[\"*\"],\"effect\":"
                 "\"allow\"}]}",
                 STR_FMT(role)),
            ERR_FORBIDDEN);
    call(w, w->admin, "ORGANIZATION_ROLE_UPDATE",
         ARGS("{\"role_id\":\"%.*s\",\"name\":\"hr\"}", STR_FMT(role)));
    assert_str(
        jv_get_str(
            jv_at(jv_get(call(w, w->admin, "ORGANIZATION_ROLE_LIST", STR("{}")), "items"), 0),
            "name"),
        "hr");
    refused(w, w->stranger, "ORGANIZATION_ROLE_DELETE",
            ARGS("{\"role_id\":\"%.*s\"}", STR_FMT(role)), ERR_NOT_FOUND);
    struct str gone = ARGS("{\"role_id\":\"%.*s\"}", STR_FMT(role));
    refused(w, w->admin, "ORGANIZATION_ROLE_DELETE", gone, ERR_CONFLICT);
    call(w, w->admin, "ORGANIZATION_MEMBER_UPDATE_ROLE",
         STR("{\"email\":\"member@example.com\",\"role\":\"member\"}"));
    call(w, w->admin, "ORGANIZATION_ROLE_DELETE", gone);
    assert_int_equal(again(w, w->member)->builtin_roles, ROLE_MEMBER);
    assert_int_equal(item_count(call(w, w->member, "ORGANIZATION_ROLE_LIST", STR("{}"))), 0);
}

WORLD_TEST(a_decision_is_explained_as_it_is_made)
{
    struct str conn = connection_make(w, "srv");
    const struct jvalue *said =
        call(w, w->admin, "ORGANIZATION_POLICY_EXPLAIN",
             STR("{\"email\":\"member@example.com\",\"name\":\"CONNECTION_CREATE\"}"));
    assert_false(jv_get_bool(said, "allowed", true));
    assert_str(jv_get_str(said, "reason"), "no role grants it");
    said = call(w, w->member, "ORGANIZATION_POLICY_EXPLAIN",
                ARGS("{\"connection_id\":\"%.*s\",\"name\":\"echo\"}", STR_FMT(conn)));
    assert_true(jv_get_bool(said, "allowed", false));
    refused(w, w->member, "ORGANIZATION_POLICY_EXPLAIN",
            STR("{\"email\":\"admin@example.com\",\"name\":\"CONNECTION_CREATE\"}"), ERR_NOT_FOUND);
    refused(w, w->admin, "ORGANIZATION_POLICY_EXPLAIN",
            STR("{\"email\":\"stranger@example.com\",\"name\":\"CONNECTION_CREATE\"}"),
            ERR_NOT_FOUND);
    const struct jvalue *key =
        call(w, w->member, "API_KEY_CREATE", STR("{\"name\":\"k\",\"scopes\":[\"mcp:read\"]}"));
    said = call(w, w->admin, "ORGANIZATION_POLICY_EXPLAIN",
                ARGS("{\"key_id\":\"%.*s\",\"connection_id\":\"%.*s\",\"name\":\"echo\"}",
                     STR_FMT(item_str(key, "id")), STR_FMT(conn)));
    assert_false(jv_get_bool(said, "allowed", true));
}

/* ---- connections ---- */

WORLD_TEST(a_connection_needs_little_and_gets_a_free_slug)
{
    const struct jvalue *made =
        call(w, w->admin, "CONNECTION_CREATE",
             STR("{\"name\":\"My Server!\",\"url\":\"http://localhost:9/mcp\"}"));
    assert_str(item_str(made, "slug"), "my-server");
    assert_str(item_str(made, "transport"), "auto");
    assert_str(item_str(made, "auth"), "none");
    assert_str(item_str(made, "status"), "unknown");
    made = call(w, w->admin, "CONNECTION_CREATE",
                STR("{\"name\":\"my server\",\"url\":\"http://localhost:9/mcp\"}"));
    assert_str(item_str(made, "slug"), "my-server-2");
    made = call(w, w->admin, "CONNECTION_CREATE",
                STR("{\"name\":\"Tools\",\"url\":\"http://localhost:9/mcp\"}"));
    assert_str(item_str(made, "slug"), "tools-2"); /* reserved */
    static const struct {
        const char *args;
        enum err_code code;
    } bad[] = {
        {"{\"name\":\"x\"}", ERR_INVALID},
        {"{\"url\":\"http://localhost:9\"}", ERR_INVALID},
        {"{\"name\":\" \",\"url\":\"http://localhost:9\"}", ERR_INVALID},
        {"{\"name\":\"x\",\"url\":\"http://user:pw@localhost:9\"}", ERR_INVALID},
        {"{\"name\":\"x\",\"url\":\"http://10.0.0.1/\"}", ERR_UNPROCESSABLE},
        {"{\"name\":\"x\",\"url\":\"http://169.254.169.254/\"}", ERR_UNPROCESSABLE},
        {"{\"name\":\"x\",\"command\":\"sh\"}", ERR_UNPROCESSABLE},
        {"{\"name\":\"x\",\"url\":\"http://localhost:9\",\"command\":\"sh\"}", ERR_INVALID},
        {"{\"name\":\"x\",\"url\":\"http://localhost:9\",\"transport\":\"stdio\"}", ERR_INVALID},
        {"{\"name\":\"x\",\"url\":\"http://localhost:9\",\"slug\":\"my-server\"}", ERR_CONFLICT},
        {"{\"name\":\"x\",\"url\":\"http://localhost:9\",\"slug\":\"hub\"}", ERR_INVALID},
        {"{\"name\":\"x\",\"url\":\"http://localhost:9\",\"secret\":\"y\"}", ERR_INVALID},
        {"{\"name\":\"x\",\"url\":\"http://"
         "localhost:9\",\"auth\":\"query\",\"credential\":{\"bearer\":\"t\"}}",
         ERR_UNPROCESSABLE},
        {"{\"name\":\"x\",\"url\":\"http://localhost:9\",\"credential\":{}}", ERR_INVALID},
        {"{\"name\":\"x\",\"url\":\"http://"
         "localhost:9\",\"credential\":{\"bearer\":\"a\",\"query\":{\"k\":\"v\"}}}",
         ERR_INVALID},
        {"{\"name\":\"x\",\"url\":\"http://"
         "localhost:9\",\"credential\":{\"headers\":{\"Host\":\"v\"}}}",
         ERR_INVALID},
        {"{\"name\":\"x\",\"url\":\"http://"
         "localhost:9\",\"credential\":{\"headers\":{\"X\":\"a\\r\\nb\"}}}",
         ERR_INVALID},
        {"{\"name\":\"x\",\"url\":\"http://"
         "localhost:9\",\"credential\":{\"headers\":{\"a\":\"1\",\"A\":\"2\"}}}",
         ERR_INVALID},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        refused(w, w->admin, "CONNECTION_CREATE", str_c(bad[i].args), bad[i].code);
    assert_int_equal(item_count(call(w, w->admin, "CONNECTION_LIST", STR("{}"))), 3);
    w->config.allow_stdio_effective = true;
    made = call(w, w->admin, "CONNECTION_CREATE",
                STR("{\"name\":\"x\",\"command\":\"npx\",\"args\":[\"-y\",\"s\"],\"env\":{"
                    "\"TOKEN\":\"hunter2\"}}"));
    assert_str(item_str(made, "transport"), "stdio");
    assert_true(jv_get_bool(jv_get(made, "item"), "has_credential", false));
    assert_str(jv_str(jv_at(jv_get(jv_get(made, "item"), "env"), 0)), "TOKEN");
}

WORLD_TEST(a_credential_is_sealed_and_never_shown)
{
    struct tool_outcome out;
    bool ok = try_call(w, w->admin, "CONNECTION_CREATE",
                       STR("{\"name\":\"s\",\"url\":\"http://"
                           "localhost:9\",\"credential\":{\"bearer\":\"hunter2\"}}"),
                       &out);
    assert_true(ok);
    assert_true(str_find(out.structured, STR("hunter2")) == SIZE_MAX);
    struct jdoc *doc = jdoc_parse(out.structured, &w->e);
    struct str id = arena_dup(w->a, item_str(jdoc_root(doc), "id"));
    assert_str(item_str(jdoc_root(doc), "auth"), "bearer");
    jdoc_free(doc);
    struct credential_row row;
    OK(w->f, credentials_get(w->sv.db, w->a, w->org, id, STR(""), &row, &w->f->e));
    assert_true(str_find(row.sealed, STR("hunter2")) == SIZE_MAX);
    struct secret plain = {0};
    struct vault_place place = {w->org, STR("credentials"), STR("sealed"),
                                ARGS("%.*s/", STR_FMT(id))};
    OK(w->f, vault_open(w->sv.vault, w->a, &place, row.sealed, &plain, &w->f->e));
    assert_str(secret_reveal(&plain), "{\"bearer\":\"hunter2\"}");
    secret_end(&plain);
    const struct jvalue *status = call(w, w->member, "CONNECTION_CREDENTIAL_STATUS",
                                       ARGS("{\"connection_id\":\"%.*s\"}", STR_FMT(id)));
    assert_true(jv_get_bool(jv_at(jv_get(status, "items"), 0), "has_credential", false));
    assert_false(jv_get_bool(jv_at(jv_get(status, "items"), 1), "has_credential", true));
}

WORLD_TEST(a_member_sets_only_their_own_credential)
{
    struct str shared = connection_make(w, "shared");
    refused(w, w->member, "CONNECTION_CREDENTIAL_SET",
            ARGS("{\"connection_id\":\"%.*s\",\"bearer\":\"t\"}", STR_FMT(shared)), ERR_FORBIDDEN);
    refused(
        w, w->member, "CONNECTION_CREDENTIAL_SET",
        ARGS("{\"connection_id\":\"%.*s\",\"scope\":\"user\",\"bearer\":\"t\"}", STR_FMT(shared)),
        ERR_UNPROCESSABLE);
    struct str own =
        item_str(call(w, w->admin, "CONNECTION_CREATE",
                      STR("{\"name\":\"own\",\"url\":\"http://localhost:9\",\"auth\":\"bearer\","
                          "\"credential_scope\":\"user\"}")),
                 "id");
    struct str args = ARGS("{\"connection_id\":\"%.*s\",\"bearer\":\"t\"}", STR_FMT(own));
    const struct jvalue *set = call(w, w->member, "CONNECTION_CREDENTIAL_SET", args);
    assert_str(item_str(set, "scope"), "user");
    struct str get = ARGS("{\"connection_id\":\"%.*s\"}", STR_FMT(own));
    assert_true(jv_get_bool(jv_get(call(w, w->member, "CONNECTION_GET", get), "item"),
                            "has_credential", false));
    assert_false(jv_get_bool(jv_get(call(w, w->admin, "CONNECTION_GET", get), "item"),
                             "has_credential", true));
    refused(w, w->stranger, "CONNECTION_CREDENTIAL_SET", args, ERR_NOT_FOUND);
    refused(w, w->member, "CONNECTION_CREDENTIAL_DELETE",
            ARGS("{\"connection_id\":\"%.*s\",\"user_id\":\"%.*s\"}", STR_FMT(own),
                 STR_FMT(w->admin->user_id)),
            ERR_FORBIDDEN);
    call(w, w->member, "CONNECTION_CREDENTIAL_DELETE", get);
    refused(w, w->member, "CONNECTION_CREDENTIAL_DELETE", get, ERR_NOT_FOUND);
}

WORLD_TEST(another_origin_forgets_the_credentials)
{
    struct str id = item_str(
        call(
            w, w->admin, "CONNECTION_CREATE",
            STR("{\"name\":\"s\",\"url\":\"http://localhost:9/a\",\"credential\":{\"bearer\":\"t\"}"
                "}")),
        "id");
    const struct jvalue *same =
        call(w, w->admin, "CONNECTION_UPDATE",
             ARGS("{\"connection_id\":\"%.*s\",\"url\":\"http://localhost:9/b\",\"name\":\"n\"}",
                  STR_FMT(id)));
    assert_true(jv_get_bool(jv_get(same, "item"), "has_credential", false));
    assert_str(item_str(same, "name"), "n");
    const struct jvalue *moved =
        call(w, w->admin, "CONNECTION_UPDATE",
             ARGS("{\"connection_id\":\"%.*s\",\"url\":\"http://localhost:10/b\"}", STR_FMT(id)));
    assert_false(jv_get_bool(jv_get(moved, "item"), "has_credential", true));
    refused(w, w->admin, "CONNECTION_UPDATE",
            ARGS("{\"connection_id\":\"%.*s\",\"url\":\"http://10.1.1.1/\"}", STR_FMT(id)),
            ERR_UNPROCESSABLE);
}

WORLD_TEST(members_see_the_enabled_connections_that_they_may_use)
{
    struct str one = connection_make(w, "one"), two = connection_make(w, "two");
    struct str args = ARGS("{\"connection_id\":\"%.*s\"}", STR_FMT(two));
    const struct jvalue *off = call(w, w->admin, "CONNECTION_DISABLE", args);
    assert_false(jv_get_bool(jv_get(off, "item"), "enabled", true));
    const struct jvalue *seen = call(w, w->member, "CONNECTION_LIST", STR("{}"));
    assert_int_equal(item_count(seen), 1);
    assert_int_equal(jv_get_i64(seen, "total_count", 0), 1);
    assert_int_equal(item_count(call(w, w->admin, "CONNECTION_LIST", STR("{}"))), 2);
    refused(w, w->member, "CONNECTION_GET", args, ERR_NOT_FOUND);
    refused(w, w->stranger, "CONNECTION_GET", args, ERR_NOT_FOUND);
    char foreign[400];
    snprintf(foreign, sizeof foreign, "%s", w->e.msg);
    refused(w, w->stranger, "CONNECTION_GET",
            STR("{\"connection_id\":\"conn_00000000000000000000000000000000\"}"), ERR_NOT_FOUND);
    assert_string_equal(foreign, w->e.msg);
    call(w, w->admin, "CONNECTION_ENABLE", args);
    call(w, w->member, "CONNECTION_GET", args);
    const struct jvalue *key =
        call(w, w->admin, "API_KEY_CREATE",
             ARGS("{\"name\":\"k\",\"connection_ids\":[\"%.*s\"]}", STR_FMT(one)));
    const struct caller *narrow = key_caller(w, key);
    assert_int_equal(item_count(call(w, narrow, "CONNECTION_LIST", STR("{}"))), 1);
    refused(w, narrow, "CONNECTION_GET", args, ERR_NOT_FOUND);
    refused(w, narrow, "CONNECTION_DELETE", args, ERR_NOT_FOUND);
}

WORLD_TEST(a_used_connection_is_deleted_only_by_name)
{
    struct str id = connection_make(w, "used"), fresh = connection_make(w, "fresh");
    struct audit_row row = {.at = clock_wall_ms(),
                            .org_id = w->org,
                            .kind = STR("call"),
                            .user_id = w->member->user_id,
                            .connection_id = id,
                            .method = STR("tools/call"),
                            .name = STR("echo"),
                            .outcome = STR("ok"),
                            .request_id = STR("r")};
    OK(w->f, audit_reserve(w->sv.audit, &w->f->e));
    OK(w->f, audit_submit(w->sv.audit, &row, &w->f->e));
    refused(w, w->admin, "CONNECTION_DELETE", ARGS("{\"connection_id\":\"%.*s\"}", STR_FMT(id)),
            ERR_UNPROCESSABLE);
    refused(w, w->member, "CONNECTION_DELETE", ARGS("{\"connection_id\":\"%.*s\"}", STR_FMT(id)),
            ERR_NOT_FOUND);
    call(w, w->admin, "CONNECTION_DELETE",
         ARGS("{\"connection_id\":\"%.*s\",\"confirm\":\"used\"}", STR_FMT(id)));
    call(w, w->admin, "CONNECTION_DELETE", ARGS("{\"connection_id\":\"%.*s\"}", STR_FMT(fresh)));
    assert_int_equal(item_count(call(w, w->admin, "CONNECTION_LIST", STR("{}"))), 0);
    /* The record stays, and everybody sees their part of it. */
    const struct jvalue *calls = call(w, w->member, "CONNECTION_CALLS_LIST", STR("{}"));
    assert_int_equal(item_count(calls), 1);
    struct str call_id = jv_get_str(jv_at(jv_get(calls, "items"), 0), "id");
    struct str get = ARGS("{\"call_id\":\"%.*s\"}", STR_FMT(call_id));
    assert_str(item_str(call(w, w->member, "CONNECTION_CALL_GET", get), "name"), "echo");
    call(w, w->admin, "CONNECTION_CALL_GET", get);
    refused(w, w->stranger, "CONNECTION_CALL_GET", get, ERR_NOT_FOUND);
    const struct caller *second = join(w, "second@example.com", "member");
    refused(w, second, "CONNECTION_CALL_GET", get, ERR_NOT_FOUND);
    assert_int_equal(item_count(call(w, second, "CONNECTION_CALLS_LIST", STR("{}"))), 0);
    refused(w, second, "CONNECTION_CALLS_LIST",
            ARGS("{\"user_id\":\"%.*s\"}", STR_FMT(w->member->user_id)), ERR_FORBIDDEN);
}

/* ---- keys and users ---- */

WORLD_TEST(a_key_is_shown_once_and_works)
{
    const struct jvalue *made =
        call(w, w->member, "API_KEY_CREATE",
             STR("{\"name\":\"laptop\",\"scopes\":[\"mcp\"],\"expires_in_days\":30}"));
    struct str key = jv_get_str(made, "key");
    assert_true(str_starts(key, STR("tulle_key_")));
    assert_true(str_starts(key, item_str(made, "prefix")));
    const struct caller *c = key_caller(w, made);
    assert_int_equal(c->scopes, SCOPE_MCP);
    refused(w, c, "API_KEY_LIST", STR("{}"), ERR_INSUFFICIENT_SCOPE);
    call(w, c, "USER_GET", STR("{}"));
    struct str id = ARGS("{\"key_id\":\"%.*s\"}", STR_FMT(item_str(made, "id")));
    const struct jvalue *rotated = call(w, w->member, "API_KEY_ROTATE", id);
    assert_false(str_eq(jv_get_str(rotated, "key"), key));
    FAILS(w->f, ERR_UNAUTHENTICATED, token_check(&w->sv, w->a, key, clock_wall_ms(), &c, &w->f->e));
    key_caller(w, rotated);
    call(w, w->member, "API_KEY_UPDATE",
         ARGS("{\"key_id\":\"%.*s\",\"scopes\":null,\"name\":\"desk\"}",
              STR_FMT(item_str(made, "id"))));
    assert_int_equal(key_caller(w, rotated)->scopes, 0);
    refused(w, w->admin, "API_KEY_ROTATE", id, ERR_FORBIDDEN);
    refused(w, w->stranger, "API_KEY_DELETE", id, ERR_NOT_FOUND);
    assert_int_equal(item_count(call(w, w->admin, "API_KEY_LIST", STR("{}"))), 1);
    call(w, w->admin, "API_KEY_CREATE", STR("{\"name\":\"mine\"}"));
    assert_int_equal(item_count(call(w, w->member, "API_KEY_LIST", STR("{}"))), 1);
    call(w, w->admin, "API_KEY_DELETE", id);
    refused(w, w->member, "API_KEY_DELETE", id, ERR_NOT_FOUND);
}

WORLD_TEST(a_narrow_key_begets_no_wider_one)
{
    struct str conn = connection_make(w, "one"), other = connection_make(w, "two");
    const struct jvalue *wide = call(w, w->admin, "API_KEY_CREATE", STR("{\"name\":\"wide\"}"));
    const struct jvalue *made =
        call(w, w->admin, "API_KEY_CREATE",
             ARGS("{\"name\":\"narrow\",\"scopes\":[\"mcp:manage\"],\"tools\":[\"API_KEY_*\"],"
                  "\"connection_ids\":[\"%.*s\"],\"expires_in_days\":5}",
                  STR_FMT(conn)));
    const struct caller *narrow = key_caller(w, made);
    const struct jvalue *child = call(w, narrow, "API_KEY_CREATE", STR("{\"name\":\"child\"}"));
    const struct caller *c = key_caller(w, child);
    assert_int_equal(c->scopes, SCOPE_MCP_MANAGE);
    assert_int_equal(c->n_tools, 1);
    assert_int_equal(c->n_connection_ids, 1);
    assert_true(c->expires_at != 0 && c->expires_at <= narrow->expires_at);
    refused(w, narrow, "API_KEY_CREATE", STR("{\"name\":\"x\",\"tools\":[\"*\"]}"), ERR_FORBIDDEN);
    refused(w, narrow, "API_KEY_CREATE", STR("{\"name\":\"x\",\"scopes\":[\"mcp\"]}"),
            ERR_FORBIDDEN);
    refused(w, narrow, "API_KEY_CREATE", STR("{\"name\":\"x\",\"expires_in_days\":6}"),
            ERR_FORBIDDEN);
    refused(w, narrow, "API_KEY_CREATE",
            ARGS("{\"name\":\"x\",\"connection_ids\":[\"%.*s\"]}", STR_FMT(other)), ERR_NOT_FOUND);
    refused(w, narrow, "API_KEY_ROTATE",
            ARGS("{\"key_id\":\"%.*s\"}", STR_FMT(item_str(wide, "id"))), ERR_FORBIDDEN);
    refused(w, narrow, "API_KEY_UPDATE",
            ARGS("{\"key_id\":\"%.*s\",\"tools\":null}", STR_FMT(item_str(made, "id"))),
            ERR_FORBIDDEN);
    call(w, narrow, "API_KEY_CREATE", STR("{\"name\":\"x\",\"tools\":[\"API_KEY_LIST\"]}"));
    refused(w, w->member, "API_KEY_CREATE", STR("{\"name\":\"x\",\"tools\":[\"a*b\"]}"),
            ERR_INVALID);
}

WORLD_TEST(people_see_themselves_and_their_colleagues)
{
    assert_true(
        str_eq(item_str(call(w, w->member, "USER_GET", STR("{}")), "id"), w->member->user_id));
    struct str of_owner = ARGS("{\"user_id\":\"%.*s\"}", STR_FMT(w->owner->user_id));
    call(w, w->admin, "ORGANIZATION_AUDIT_LIST", STR("{}"));
    refused(w, w->member, "ORGANIZATION_AUDIT_LIST", STR("{}"), ERR_NOT_FOUND);
    call(w, w->member, "USER_GET", of_owner);
    refused(w, w->stranger, "USER_GET", of_owner, ERR_NOT_FOUND);
    assert_str(item_str(call(w, w->member, "USER_UPDATE", STR("{\"name\":\" Ada \"}")), "name"),
               "Ada");
    refused(w, w->member, "USER_UPDATE", STR("{\"name\":\"a\\u0007\"}"), ERR_INVALID);
}

/* ---- invitations, sessions ---- */

WORLD_TEST(an_invitation_gives_no_more_than_the_inviter_has)
{
    const struct jvalue *made = call(w, w->admin, "ORGANIZATION_INVITATION_CREATE",
                                     STR("{\"email\":\" New@X.example \",\"role\":\"admin\"}"));
    assert_str(item_str(made, "email"), "new@x.example");
    assert_true(str_find(jv_get_str(made, "url"), STR("/invite/")) != SIZE_MAX);
    refused(w, w->admin, "ORGANIZATION_INVITATION_CREATE",
            STR("{\"email\":\"a@x.example\",\"role\":\"owner\"}"), ERR_FORBIDDEN);
    refused(w, w->admin, "ORGANIZATION_INVITATION_CREATE",
            STR("{\"email\":\"a@x.example\",\"role\":\"king\"}"), ERR_INVALID);
    refused(w, w->member, "ORGANIZATION_INVITATION_CREATE",
            STR("{\"email\":\"a@x.example\",\"role\":\"member\"}"), ERR_NOT_FOUND);
    assert_int_equal(item_count(call(w, w->owner, "ORGANIZATION_INVITATION_LIST", STR("{}"))), 1);
    assert_int_equal(item_count(call(w, w->stranger, "ORGANIZATION_INVITATION_LIST", STR("{}"))),
                     0);
    struct str cancel =
        arena_printf(w->a, "{\"invitation_id\":\"%.*s\"}", STR_FMT(item_str(made, "id")));
    refused(w, w->stranger, "ORGANIZATION_INVITATION_CANCEL", cancel, ERR_NOT_FOUND);
    call(w, w->owner, "ORGANIZATION_INVITATION_CANCEL", cancel);
    refused(w, w->owner, "ORGANIZATION_INVITATION_CANCEL", cancel, ERR_NOT_FOUND);
}

WORLD_TEST(people_end_their_own_sessions_only)
{
    struct browser_session_row s = {.id = STR("ses_1"),
                                    .hash = STR("h"),
                                    .user_id = w->owner->user_id,
                                    .proof = STR("password"),
                                    .created_at = clock_wall_ms()};
    s.expires_at = s.created_at + 60 * 1000;
    OK(w->f, browser_sessions_insert(w->sv.db, w->a, &s, STR_NONE, &w->f->e));
    assert_int_equal(item_count(call(w, w->owner, "SESSION_LIST", STR("{}"))), 1);
    assert_int_equal(item_count(call(w, w->admin, "SESSION_LIST", STR("{}"))), 0);
    struct str revoke = STR("{\"session_id\":\"ses_1\"}");
    refused(w, w->admin, "SESSION_REVOKE", revoke, ERR_NOT_FOUND);
    call(w, w->owner, "SESSION_REVOKE", revoke);
    assert_int_equal(item_count(call(w, w->owner, "SESSION_LIST", STR("{}"))), 0);
}

/* ---- what was granted to programs ---- */

/* A program that `who` has granted something: the grant's id. */
static struct str grant_make(struct world *w, const struct caller *who, const char *name)
{
    struct oauth_client client, c = {.id = new_id(w, "cli"),
                                     .fingerprint = str_c(name),
                                     .name = str_c(name),
                                     .redirect_uris = STR("https://a.example/cb"),
                                     .auth_method = STR("none"),
                                     .metadata = STR("{}"),
                                     .created_at = 1};
    OK(w->f, oauth_clients_register(w->sv.db, w->a, &c, &client, &w->f->e));
    struct oauth_code code = {.hash = str_c(name),
                              .request_id = str_c(name),
                              .org_id = who->org_id,
                              .user_id = who->user_id,
                              .client_id = client.id,
                              .grant_id = new_id(w, "gnt"),
                              .redirect_uri = STR("https://a.example/cb"),
                              .challenge = STR("c"),
                              .resource = STR("management"),
                              .scope = STR("mcp"),
                              .created_at = 1,
                              .expires_at = 10};
    struct oauth_pair pair = {
        .access_hash = str_c(name), .access_scope = STR("mcp"), .access_expires_at = 10, .now = 2};
    OK(w->f, oauth_codes_insert(w->sv.db, w->a, &code, STR("a.example"), &w->f->e));
    OK(w->f, oauth_tokens_redeem(w->sv.db, w->a, &code, STR("a.example"), &pair, &w->f->e));
    return code.grant_id;
}

WORLD_TEST(people_end_their_own_grants_and_administrators_any)
{
    struct str of_owner = grant_make(w, w->owner, "one");
    struct str grant = ARGS("{\"grant_id\":\"%.*s\"}", STR_FMT(of_owner));
    (void)grant_make(w, w->member, "two");
    assert_int_equal(item_count(call(w, w->admin, "OAUTH_GRANT_LIST", STR("{}"))), 2);
    const struct jvalue *own = call(w, w->member, "OAUTH_CLIENT_LIST", STR("{}"));
    assert_int_equal(item_count(own), 1);
    struct str client =
        ARGS("{\"client_id\":\"%.*s\"}", STR_FMT(jv_get_str(jv_at(jv_get(own, "items"), 0), "id")));
    assert_int_equal(item_count(call(w, w->stranger, "OAUTH_CLIENT_LIST", STR("{}"))), 0);
    assert_str(item_str(call(w, w->member, "OAUTH_CLIENT_GET", client), "name"), "two");
    refused(w, w->member, "OAUTH_GRANT_REVOKE", grant, ERR_NOT_FOUND);
    refused(w, w->stranger, "OAUTH_GRANT_REVOKE", grant, ERR_NOT_FOUND);
    refused(w, w->stranger, "OAUTH_CLIENT_DELETE", client, ERR_NOT_FOUND);
    call(w, w->admin, "OAUTH_GRANT_REVOKE", grant);
    refused(w, w->admin, "OAUTH_GRANT_REVOKE", grant, ERR_NOT_FOUND);
    call(w, w->member, "OAUTH_CLIENT_DELETE", client);
    assert_int_equal(item_count(call(w, w->admin, "OAUTH_GRANT_LIST", STR("{}"))), 0);
}

/* Fails when a tool has been added that nothing here calls; those that need a server or a program's
 * grant are called end to end. */
static void every_tool_is_called(void **state)
{
    (void)state;
    static const struct str end_to_end =
        STR("CONNECTION_AUTHORIZE CONNECTION_CONFIGURE CONNECTION_TEST CONNECTION_TOOL* OAUTH_* "
            "SERVICE_ACCOUNT_* ORGANIZATION_DOMAIN_* ORGANIZATION_GROUP_* ORGANIZATION_ISSUER_* "
            "ORGANIZATION_POLICY_* ORGANIZATION_SCIM_* ORGANIZATION_SSO_*");
    for (size_t i = 0; i < n_tools; i++) {
        bool is_excused =
            tools[i].twin_of != NULL ||                              /* test_collections.c */
            str_eq(str_c(tools[i].toolset), STR("virtual_servers")); /* test_tools_virtual.c */
        struct str rest = end_to_end, one;
        while (str_next(&rest, ' ', &one))
            is_excused = is_excused || text_glob(one, str_c(tools[i].name));
        if (!was_called[i] && !is_excused)
            fail_msg("%s is never called", tools[i].name);
    }
}

int main(void)
{
    const struct CMUnitTest rows[] = {
        cmocka_unit_test(only_operators_create_organizations_unless_everyone_may),
        cmocka_unit_test(deleting_an_organization_takes_an_owner_and_its_slug),
        cmocka_unit_test(only_owners_make_and_remove_owners),
        cmocka_unit_test(members_are_added_by_address_and_their_keys_end_with_them),
        cmocka_unit_test(custom_roles_come_and_go_and_cannot_be_used_to_climb),
        cmocka_unit_test(a_decision_is_explained_as_it_is_made),
        cmocka_unit_test(a_connection_needs_little_and_gets_a_free_slug),
        cmocka_unit_test(a_credential_is_sealed_and_never_shown),
        cmocka_unit_test(a_member_sets_only_their_own_credential),
        cmocka_unit_test(another_origin_forgets_the_credentials),
        cmocka_unit_test(members_see_the_enabled_connections_that_they_may_use),
        cmocka_unit_test(a_used_connection_is_deleted_only_by_name),
        cmocka_unit_test(a_key_is_shown_once_and_works),
        cmocka_unit_test(a_narrow_key_begets_no_wider_one),
        cmocka_unit_test(people_see_themselves_and_their_colleagues),
        cmocka_unit_test(an_invitation_gives_no_more_than_the_inviter_has),
        cmocka_unit_test(people_end_their_own_sessions_only),
        cmocka_unit_test(people_end_their_own_grants_and_administrators_any),
        cmocka_unit_test(every_tool_is_called),
    };
    return cmocka_run_group_tests(rows, NULL, NULL);
}
