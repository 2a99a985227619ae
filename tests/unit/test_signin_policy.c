/* Is what a sign-in proved enough for an organization? */
#include "unit/tenant_fixture.h"

#include "auth/login/signin_policy.h"
#include "auth/sso/identity.h"
#include "core/org_policy.h"
#include "store/groups.h"
#include "store/org_domains.h"
#include "store/org_policies.h"
#include "store/sso_providers.h"

static enum signin_need judged_of(struct fixture *f, struct str org, struct str user,
                                  struct proof p)
{
    struct services sv = {.db = f->db};
    enum signin_need need = SIGNIN_ENOUGH;
    OK(f, signin_policy_judge(&sv, f->a, org, user, &p, &need, &f->e));
    return need;
}

static enum signin_need judged(struct fixture *f, struct str org, struct proof p)
{
    return judged_of(f, org, STR_NONE, p);
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
static void owners_body(struct fixture *f)
{
    struct str owner = make_user(f, "o@acme.example"), member = make_user(f, "m@acme.example");
    struct str by_group = make_user(f, "g@acme.example"), org = make_org(f, "acme", owner);
    struct sso_provider p = provider_of(f, org);
    struct group owners = {
        .id = new_id(f, "grp"), .name = STR("O"), .description = STR(""), .roles = STR("owner")};
    const struct proof own = {.by = p.id, .org_id = org}, password = {.by = STR("password")};
    OK(f, members_add(f->db, f->a, org, member, STR("admin"), NOW, &f->e));
    OK(f, members_add(f->db, f->a, org, by_group, STR("member"), NOW, &f->e));
    OK(f, groups_insert(f->db, f->a, org, &owners, &f->e));
    OK(f, groups_member_add(f->db, f->a, (struct str[]){org, owners.id}, by_group, STR(""), NOW,
                            &f->e));
    OK(f, sso_providers_insert(f->db, f->a, &p, &f->e));
    assert_int_equal(judged_of(f, org, owner, own), SIGNIN_OWNERS);
    assert_int_equal(judged_of(f, org, by_group, own), SIGNIN_OWNERS);
    assert_int_equal(judged_of(f, org, member, own), SIGNIN_ENOUGH);
    assert_int_equal(judged_of(f, org, owner, password), SIGNIN_ENOUGH);
    /* whoever becomes one later is one */
    OK(f, members_set_roles(f->db, f->a, org, member, STR("owner"), NOW, &f->e));
    assert_int_equal(judged_of(f, org, member, own), SIGNIN_OWNERS);
    p.is_owners = true;
    OK(f, sso_providers_update(f->db, f->a, &p, 0, &f->e));
    assert_int_equal(judged_of(f, org, owner, own), SIGNIN_ENOUGH);
}
static void a_provider_that_an_administrator_configured_proves_no_owner(void **state unused_arg)
{
    with_store(owners_body);
}

static struct identity said_of(const struct sso_provider *p, const char *email)
{
    return (struct identity){.provider_id = p->id,
                             .org_id = p->org_id,
                             .issuer = STR("https://idp.example"),
                             .subject = STR("mallory"),
                             .email = str_c(email),
                             .is_email_verified = true};
}
static enum identity_way way_of(struct fixture *f, const struct sso_provider *p, const char *email)
{
    struct services sv = {.db = f->db};
    struct identity_verdict v;
    const struct identity i = said_of(p, email);
    OK(f, identity_judge(&sv, f->a, &i, &v, &f->e));
    return v.way;
}
static void links_body(struct fixture *f)
{
    struct services sv = {.db = f->db};
    struct str owner = make_user(f, "o@acme.example"), member = make_user(f, "m@acme.example");
    struct str org = make_org(f, "acme", owner);
    struct sso_provider p = provider_of(f, org);
    const struct org_domain domain = {.id = new_id(f, "dom"),
                                      .org_id = org,
                                      .domain = STR("acme.example"),
                                      .proof = STR("p"),
                                      .created_at = NOW};
    OK(f, members_add(f->db, f->a, org, member, STR("admin"), NOW, &f->e));
    OK(f, sso_providers_insert(f->db, f->a, &p, &f->e));
    OK(f, org_domains_put(f->db, f->a, &domain, &f->e));
    OK(f, org_domains_verify(f->db, f->a, org, domain.domain, NOW, &f->e));
    assert_int_equal(way_of(f, &p, "o@acme.example"), IDENTITY_REFUSED);
    assert_int_equal(way_of(f, &p, "m@acme.example"), IDENTITY_LINK);
    /* nor does an owner link by hand what it says */
    const struct identity said = said_of(&p, "m@acme.example");
    FAILS(f, ERR_FORBIDDEN, identity_link(&sv, f->a, &said, owner, &f->e));
    p.is_owners = true;
    OK(f, sso_providers_update(f->db, f->a, &p, 0, &f->e));
    assert_int_equal(way_of(f, &p, "o@acme.example"), IDENTITY_LINK);
    OK(f, identity_link(&sv, f->a, &said, owner, &f->e));
}
static void what_it_says_of_an_owner_leaves_no_link_behind(void **state unused_arg)
{
    with_store(links_body);
}

static void what_is_demanded_must_be_proved_and_other_organizations_providers_prove_nothing(
    void **state unused_arg)
{
    with_store(judge_all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_provider_that_an_administrator_configured_proves_no_owner),
        cmocka_unit_test(what_it_says_of_an_owner_leaves_no_link_behind),
        cmocka_unit_test(
            what_is_demanded_must_be_proved_and_other_organizations_providers_prove_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
