/* Filters and PATCH of SCIM, as the RFC and the big directories write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "auth/scim/scim_patch.h"
#include "base/limits.h"

static struct arena *arena;

static int setup(void **state)
{
    (void)state;
    arena = arena_new((size_t)16 * 1024 * 1024);
    return arena ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    arena_end(arena);
    return 0;
}

static struct scim_node *tree(const char *json)
{
    struct err e = {0};
    struct jdoc *doc = jdoc_parse(str_c(json), &e);
    if (!doc)
        fail_msg("%s: %s", json, e.msg);
    struct scim_node *root = scim_tree_read(arena, jdoc_root(doc));
    jdoc_free(doc);
    assert_non_null(root);
    return root;
}

static const char user_text[] =
    "{\"userName\":\"Ada@corp.example\",\"externalId\":\"X1\",\"active\":true,\"title\":"
    "\"Countess\","
    "\"name\":{\"familyName\":\"Lovelace\",\"givenName\":\"Ada\"},\"emails\":[{\"type\":\"work\","
    "\"value\":\"a@work\",\"primary\":true},{\"type\":\"home\",\"value\":\"b@home\"}],"
    "\"" SCIM_URN_ENTERPRISE "\":{\"department\":\"Engines\"}}";

static bool matches(const char *filter)
{
    const struct scim_filter *f;
    struct err e = {0};
    if (!scim_filter_parse(arena, str_c(filter), &f, &e))
        fail_msg("%s: %s", filter, e.msg);
    return scim_filter_match(f, tree(user_text));
}

static void every_operator_compares_as_the_rfc_says(void **state)
{
    (void)state;
    static const char *const true_ones[] = {
        "userName eq \"ada@CORP.example\"",
        "userName ne \"bob\"",
        "userName sw \"ada\"",
        "userName ew \"EXAMPLE\"",
        "userName co \"corp\"",
        "userName gt \"aaa\"",
        "userName le \"ada@corp.example\"",
        "title pr",
        "nickName ne \"x\"",
        "nickName eq null",
        "active eq true",
        "active eq \"True\"",
        "emails.value eq \"b@home\"",
        "emails eq \"a@work\"",
        "emails[type eq \"home\" and value sw \"b\"]",
        "name.familyName eq \"lovelace\"",
        "not (nickName pr)",
        SCIM_URN_ENTERPRISE ":department eq \"engines\"",
        "urn:ietf:params:scim:schemas:core:2.0:User:userName sw \"a\"",
        "UserName EQ \"ada@corp.example\" AND Title PR",
        "externalId eq \"X1\""};
    static const char *const false_ones[] = {
        "userName eq \"bob\"",  "nickName pr",
        "active eq false",      "active eq \"x\"",
        "externalId eq \"x1\"", "emails[type eq \"home\" and value sw \"a\"]",
        "title gt 3",           "not (title pr)",
        "nickName co \"\"",     "title eq null",
        "name eq \"Ada\""};
    for (size_t i = 0; i < ARRAY_LEN(true_ones); i++)
        if (!matches(true_ones[i]))
            fail_msg("%s is true", true_ones[i]);
    for (size_t i = 0; i < ARRAY_LEN(false_ones); i++)
        if (matches(false_ones[i]))
            fail_msg("%s is false", false_ones[i]);
}

static void and_binds_closer_than_or(void **state)
{
    (void)state;
    assert_true(matches("title pr or nickName pr and nickName pr"));
    assert_false(matches("(title pr or nickName pr) and nickName pr"));
    assert_true(matches("nickName pr and nickName pr or title pr"));
    assert_true(matches("not (nickName pr) and title pr"));
}

static void what_is_no_filter_is_refused_264(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      " ",
                                      "userName",
                                      "userName eq",
                                      "userName eq ",
                                      "userName eq x",
                                      "userName = \"x\"",
                                      "1 eq 1",
                                      "userName eq \"x\" or 1 eq 1",
                                      "(title pr",
                                      "title pr)",
                                      "title pr and",
                                      "title pr title pr",
                                      "emails[type eq \"x\"",
                                      "emails[]",
                                      "a..b pr",
                                      "not title pr",
                                      "title eq \"x",
                                      "title eq [1]",
                                      "title eq {\"a\":1}",
                                      "\"title\" pr",
                                      "title eq \"a\"\"b\"",
                                      "title eq \"\\u0000\"",
                                      "title eq 01",
                                      "title  \xff pr"};
    const struct scim_filter *f;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct err e = {0};
        if (scim_filter_parse(arena, str_c(bad[i]), &f, &e))
            fail_msg("%s was understood", bad[i]);
        assert_int_equal(e.code, ERR_INVALID);
    }
}

static void depth_and_length_are_bounded_264(void **state)
{
    (void)state;
    struct buf text;
    const struct scim_filter *f;
    struct err e = {0};
    for (int depth = LIMIT_SCIM_DEPTH; depth <= LIMIT_SCIM_DEPTH + 1; depth++) {
        buf_init(&text, LIMIT_BODY_SMALL);
        for (int i = 0; i < depth; i++)
            buf_add_char(&text, '(');
        buf_add(&text, STR("title pr"));
        for (int i = 0; i < depth; i++)
            buf_add_char(&text, ')');
        assert_int_equal(scim_filter_parse(arena, buf_str(&text), &f, &e),
                         depth == LIMIT_SCIM_DEPTH);
        buf_end(&text);
    }
    buf_init(&text, LIMIT_BODY_SMALL);
    buf_add(&text, STR("title pr"));
    while (text.n <= LIMIT_SCIM_FILTER)
        buf_add(&text, STR(" or title pr"));
    assert_false(scim_filter_parse(arena, buf_str(&text), &f, &e));
    buf_end(&text);
}

/* Does one PATCH to the user; the cleaned result as text, or the fault's name. */
static struct str patched(const char *operations)
{
    struct scim_fault f = {0};
    struct scim_node *user = tree(user_text);
    struct str body = arena_printf(arena, "{\"Operations\":[%s]}", operations);
    struct buf out;
    struct jout j;
    if (!scim_patch_apply(arena, &scim_schema_user, user, tree(body.p), &f))
        return str_c(f.type);
    user = scim_schema_clean(arena, &scim_schema_user, user, &f);
    if (!user)
        return str_c(f.type);
    buf_init(&out, LIMIT_BODY_FORM);
    jout_init(&j, &out);
    scim_tree_write(user, &j);
    struct str text = arena_dup(arena, buf_str(&out));
    buf_end(&out);
    return text;
}

static void has(const char *operations, const char *part)
{
    struct str text = patched(operations);
    if (str_find(text, str_c(part)) == SIZE_MAX)
        fail_msg("%s gives %.*s, without %s", operations, STR_FMT(text), part);
}

static void lacks(const char *operations, const char *part)
{
    struct str text = patched(operations);
    if (str_find(text, str_c(part)) != SIZE_MAX)
        fail_msg("%s gives %.*s, with %s", operations, STR_FMT(text), part);
}

static void okta_patches_without_a_path(void **state)
{
    (void)state;
    has("{\"op\":\"replace\",\"value\":{\"active\":false}}", "\"active\":false");
    has("{\"op\":\"replace\",\"value\":{\"id\":\"x\",\"schemas\":[],\"title\":\"T\",\"shoe\":1}}",
        "\"title\":\"T\"");
    has("{\"op\":\"replace\",\"value\":{\"active\":false,\"nickName\":\"N\",\"locale\":\"de\"}}",
        "\"nickName\":\"N\"");
}

static void entra_speaks_in_capitals_words_and_paths_265(void **state)
{
    (void)state;
    has("{\"op\":\"Replace\",\"path\":\"active\",\"value\":\"False\"}", "\"active\":false");
    has("{\"op\":\"Replace\",\"path\":\"active\",\"value\":[{\"value\":\"False\"}]}",
        "\"active\":false");
    has("{\"op\":\"ADD\",\"path\":\"emails[type eq \\\"work\\\"].value\",\"value\":\"n@w\"}",
        "\"type\":\"work\",\"value\":\"n@w\"");
    has("{\"op\":\"Add\",\"path\":\"phoneNumbers[type eq \\\"fax\\\"].value\",\"value\":\"1\"}",
        "\"phoneNumbers\":[{\"type\":\"fax\",\"value\":\"1\"}]");
    has("{\"op\":\"Add\",\"path\":\"" SCIM_URN_ENTERPRISE ":manager\",\"value\":\"m\"}",
        "\"manager\":{\"value\":\"m\"}");
    has("{\"op\":\"Replace\",\"value\":{\"name.givenName\":\"Augusta\"}}",
        "\"givenName\":\"Augusta\"");
    has("{\"op\":\"Add\",\"path\":\"emails\",\"value\":[{\"type\":\"other\",\"value\":\"c\"}]}",
        "\"b@home\"");
    lacks("{\"op\":\"Remove\",\"path\":\"emails\",\"value\":[{\"value\":\"b@home\"}]}", "b@home");
    lacks("{\"op\":\"Remove\",\"path\":\"emails[type eq \\\"home\\\"]\"}", "b@home");
    lacks("{\"op\":\"Replace\",\"path\":\"title\",\"value\":null}", "title");
    lacks("{\"op\":\"Remove\",\"path\":\"" SCIM_URN_ENTERPRISE "\"}", "Engines");
}

static void one_value_given_to_several_places_stays_several(void **state)
{
    (void)state;
    has("{\"op\":\"replace\",\"path\":\"emails.display\",\"value\":\"D\"},"
        "{\"op\":\"replace\",\"path\":\"emails[type eq \\\"home\\\"].display\",\"value\":\"H\"}",
        "\"display\":\"D\"");
}

static void what_is_given_twice_is_there_once(void **state)
{
    (void)state;
    struct str text = patched("{\"op\":\"add\",\"path\":\"emails\",\"value\":[{\"type\":\"home\","
                              "\"value\":\"b@home\"}]}");
    size_t first = str_find(text, STR("b@home"));
    assert_true(first != SIZE_MAX);
    assert_true(str_find(str_slice(text, first + 1, SIZE_MAX), STR("b@home")) == SIZE_MAX);
}

static void faults_have_their_names_265(void **state)
{
    (void)state;
    has("{\"op\":\"replace\",\"path\":\"shoe\",\"value\":1}", "invalidPath");
    has("{\"op\":\"replace\",\"path\":\"name.shoe\",\"value\":1}", "invalidPath");
    has("{\"op\":\"replace\",\"path\":\"title[a eq 1]\",\"value\":1}", "invalidPath");
    has("{\"op\":\"replace\",\"path\":\"emails[a eq\",\"value\":1}", "invalidPath");
    has("{\"op\":\"replace\",\"path\":\"id\",\"value\":\"x\"}", "mutability");
    has("{\"op\":\"remove\"}", "noTarget");
    has("{\"op\":\"replace\",\"path\":\"emails[type co \\\"z\\\"].value\",\"value\":\"x\"}",
        "noTarget");
    has("{\"op\":\"explode\"}", "invalidSyntax");
    has("{\"op\":\"replace\",\"path\":\"active\",\"value\":\"maybe\"}", "invalidValue");
    has("{\"op\":\"replace\",\"path\":\"title\"}", "invalidValue");
    has("{\"op\":\"remove\",\"path\":\"userName\"}", "invalidValue");
}

static void a_password_is_never_kept(void **state)
{
    (void)state;
    lacks("{\"op\":\"add\",\"path\":\"password\",\"value\":\"hunter22\"}", "hunter22");
    lacks("{\"op\":\"add\",\"value\":{\"password\":\"hunter22\"}}", "hunter22");
}

int main(void)
{
    const struct CMUnitTest rows[] = {
        cmocka_unit_test_setup_teardown(every_operator_compares_as_the_rfc_says, setup, teardown),
        cmocka_unit_test_setup_teardown(and_binds_closer_than_or, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_no_filter_is_refused_264, setup, teardown),
        cmocka_unit_test_setup_teardown(depth_and_length_are_bounded_264, setup, teardown),
        cmocka_unit_test_setup_teardown(okta_patches_without_a_path, setup, teardown),
        cmocka_unit_test_setup_teardown(entra_speaks_in_capitals_words_and_paths_265, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(one_value_given_to_several_places_stays_several, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(what_is_given_twice_is_there_once, setup, teardown),
        cmocka_unit_test_setup_teardown(faults_have_their_names_265, setup, teardown),
        cmocka_unit_test_setup_teardown(a_password_is_never_kept, setup, teardown),
    };
    return cmocka_run_group_tests(rows, NULL, NULL);
}
