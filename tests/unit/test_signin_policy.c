/* Is what a sign-in proved enough for an organization? */
#include "unit/tenant_fixture.h"

#include "auth/login/signin_policy.h"
#include "core/org_policy.h"
#include "store/org_policies.h"

static enum signin_need judged(struct fixture *f, struct str org, struct proof p)
{
    struct services sv = {.db = f->db};
    enum signin_need need = SIGNIN_ENOUGH;
    OK(f, signin_policy_judge(&sv, f->a, org, &p, &need, &f->e));
    return need;
}

static void demand(struct fixture *f, struct str org, const char *policy)
{
    struct str before = STR_NONE;
    if (!org_policies_get(f->db, f->a, org, &before, &f->e))
        before = STR_NONE;
    OK(f, org_policies_put(f->db, f->a, org, before, str_c(policy), NOW, &f->e));
}

static void judge_all(struct fixture *f)
{
    struct str a = make_org(f, "acme", make_user(f, "a@acme.example"));
    struct str b = make_org(f, "beta", make_user(f, "b@beta.example"));
    const struct proof none = {.by = STR_NONE}, password = {.by = STR("password")},
                       strong = {.by = STR("passkey"), .is_two_factor = true},
                       social = {.by = STR("idp_s")}, own = {.by = STR("idp_a"), .org_id = a},
                       second = {.by = STR("idp_2"), .org_id = a},
                       theirs = {.by = STR("idp_b"), .org_id = b, .is_two_factor = true},
                       link = {.by = STR("magic")};
    assert_int_equal(judged(f, a, password), SIGNIN_ENOUGH);
    assert_int_equal(judged(f, a, social), SIGNIN_ENOUGH);
    assert_int_equal(judged(f, a, own), SIGNIN_ENOUGH);
    assert_int_equal(judged(f, a, theirs), SIGNIN_OTHER_ORG);
    demand(f, a, "{\"require_sso\":true}");
    assert_int_equal(judged(f, a, password), SIGNIN_PROVIDER);
    assert_int_equal(judged(f, a, strong), SIGNIN_PROVIDER);
    assert_int_equal(judged(f, a, social), SIGNIN_PROVIDER);
    assert_int_equal(judged(f, a, theirs), SIGNIN_OTHER_ORG);
    assert_int_equal(judged(f, a, own), SIGNIN_ENOUGH);
    assert_int_equal(judged(f, a, second), SIGNIN_ENOUGH);
    assert_int_equal(judged(f, a, none), SIGNIN_ENOUGH);
    assert_int_equal(judged(f, b, link), SIGNIN_ENOUGH);
    demand(f, b, "{\"magic_links\":false}");
    assert_int_equal(judged(f, b, link), SIGNIN_NO_LINK);
    assert_int_equal(judged(f, b, password), SIGNIN_ENOUGH);
    demand(f, a, "{\"require_sso\":true,\"provider_id\":\"idp_a\",\"require_two_factor\":true}");
    assert_int_equal(judged(f, a, second), SIGNIN_PROVIDER);
    assert_int_equal(judged(f, a, own), SIGNIN_SECOND);
    demand(f, a, "{\"require_two_factor\":true}");
    assert_int_equal(judged(f, a, password), SIGNIN_SECOND);
    assert_int_equal(judged(f, a, strong), SIGNIN_ENOUGH);
}
static void what_is_demanded_must_be_proved_and_other_organizations_providers_prove_nothing(
    void **state unused_arg)
{
    with_store(judge_all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            what_is_demanded_must_be_proved_and_other_organizations_providers_prove_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
