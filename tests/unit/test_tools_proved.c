/* What the tools do for whom an organization's sign-in provider proved, and what they refuse. */
#include "unit/registry_fixture.h"

#include "store/browser_sessions.h"

/* The caller that a session of an organization's provider makes of somebody. */
static struct caller proved_by_org(struct world *w, const struct caller *who, struct str org)
{
    struct caller c = *again(w, who);
    c.proof = (struct proof){.by = STR("idp_x"), .org_id = org};
    return c;
}

WORLD_TEST(what_an_organizations_provider_proved_reaches_its_own_sessions_only)
{
    struct browser_session_row s = {.id = STR("ses_1"),
                                    .hash = STR("h1"),
                                    .user_id = w->member->user_id,
                                    .proof = STR("password"),
                                    .created_at = clock_wall_ms()};
    s.expires_at = s.created_at + 60 * 1000;
    OK(w->f, browser_sessions_insert(w->sv.db, w->a, &s, STR_NONE, &w->f->e));
    s.id = STR("ses_2");
    s.hash = STR("h2");
    s.proof_org_id = w->org;
    OK(w->f, browser_sessions_insert(w->sv.db, w->a, &s, STR_NONE, &w->f->e));
    struct caller proved = proved_by_org(w, w->member, w->org);
    const struct jvalue *list = call(w, &proved, "SESSION_LIST", STR("{}"));
    assert_int_equal(item_count(list), 1);
    assert_int_equal(jv_get_i64(list, "total_count", 0), 1);
    assert_str(jv_get_str(jv_at(jv_get(list, "items"), 0), "id"), "ses_2");
    refused(w, &proved, "SESSION_REVOKE", STR("{\"session_id\":\"ses_1\"}"), ERR_NOT_FOUND);
    /* nor by a key that it makes, or turns */
    const struct jvalue *made = call(w, &proved, "API_KEY_CREATE", STR("{\"name\":\"k\"}"));
    struct caller by_key = *key_caller(w, made);
    assert_int_equal(item_count(call(w, &by_key, "SESSION_LIST", STR("{}"))), 1);
    const struct jvalue *mine = call(w, w->member, "API_KEY_CREATE", STR("{\"name\":\"own\"}"));
    assert_int_equal(item_count(call(w, key_caller(w, mine), "SESSION_LIST", STR("{}"))), 2);
    const struct jvalue *turned = call(
        w, &proved, "API_KEY_ROTATE", ARGS("{\"key_id\":\"%.*s\"}", STR_FMT(item_str(mine, "id"))));
    assert_int_equal(item_count(call(w, key_caller(w, turned), "SESSION_LIST", STR("{}"))), 1);
    call(w, &proved, "SESSION_REVOKE", STR("{\"session_id\":\"ses_2\"}"));
    assert_int_equal(item_count(call(w, w->member, "SESSION_LIST", STR("{}"))), 1);
}

WORLD_TEST(an_organizations_provider_does_not_rename_who_has_other_organizations)
{
    struct caller proved = proved_by_org(w, w->member, w->org);
    call(w, &proved, "USER_UPDATE", STR("{\"name\":\"Theirs\"}"));
    call(w, w->stranger, "ORGANIZATION_MEMBER_ADD",
         STR("{\"email\":\"member@example.com\",\"role\":\"member\"}"));
    refused(w, &proved, "USER_UPDATE", STR("{\"name\":\"Again\"}"), ERR_FORBIDDEN);
    assert_str(item_str(call(w, w->member, "USER_UPDATE", STR("{\"name\":\"Mine\"}")), "name"),
               "Mine");
}

int main(void)
{
    const struct CMUnitTest rows[] = {
        cmocka_unit_test(what_an_organizations_provider_proved_reaches_its_own_sessions_only),
        cmocka_unit_test(an_organizations_provider_does_not_rename_who_has_other_organizations),
    };
    return cmocka_run_group_tests(rows, NULL, NULL);
}
