/* What organizations demand: defaults, changes, the worker's memory of them. */
#include "unit/tenant_fixture.h"

#include "base/limits.h"
#include "core/org_policy.h"
#include "core/row_cache.h"
#include "store/org_policies.h"

static struct services services_of(struct fixture *f)
{
    struct services sv = {.db = f->db, .rows = row_cache_new()};
    assert_non_null(sv.rows);
    return sv;
}

static const struct org_policy *policy_of(struct fixture *f, struct services *sv, struct str org)
{
    const struct org_policy *p = NULL;
    OK(f, org_policy_get(sv, f->a, org, &p, &f->e));
    return p;
}

static void defaults_hold(struct fixture *f)
{
    struct services sv = services_of(f);
    struct str org = make_org(f, "acme", make_user(f, "a@acme.example"));
    const struct org_policy *p = policy_of(f, &sv, org);
    assert_false(p->require_sso || p->require_two_factor);
    assert_true(p->magic_links && p->oauth_clients == ORG_CLIENTS_OPEN);
    assert_int_equal(p->session_idle_minutes, 7 * 24 * 60);
    assert_int_equal(p->session_life_minutes, 30 * 24 * 60);
    assert_true(str_is_absent(p->provider_id) && str_is_absent(p->search_mode_default));
    assert_int_equal(p->rate_key, 0);
    row_cache_free(sv.rows);
}
static void without_a_row_the_defaults_hold(void **state unused_arg)
{
    with_store(defaults_hold);
}

static void changes_are_seen(struct fixture *f)
{
    struct services sv = services_of(f);
    struct str a = make_org(f, "acme", make_user(f, "a@acme.example"));
    struct str b = make_org(f, "beta", make_user(f, "b@beta.example"));
    assert_false(policy_of(f, &sv, a)->require_sso);
    OK(f, org_policies_put(f->db, f->a, a, STR_NONE,
                           STR("{\"require_sso\":true,\"provider_id\":\"idp_x\","
                               "\"oauth_clients\":\"approved\",\"approved_clients\":[\"c1\"]}"),
                           NOW, &f->e));
    const struct org_policy *p = policy_of(f, &sv, a);
    assert_true(p->require_sso && p->magic_links);
    assert_str(p->provider_id, "idp_x");
    assert_int_equal(p->oauth_clients, ORG_CLIENTS_APPROVED);
    assert_int_equal(p->n_approved_clients, 1);
    assert_str(p->approved_clients[0], "c1");
    assert_false(policy_of(f, &sv, b)->require_sso);
    row_cache_free(sv.rows);
}
static void a_change_is_seen_at_once_and_by_no_other_organization(void **state unused_arg)
{
    with_store(changes_are_seen);
}

static void second_writer_loses(struct fixture *f)
{
    struct str org = make_org(f, "acme", make_user(f, "a@acme.example"));
    OK(f, org_policies_put(f->db, f->a, org, STR_NONE, STR("{}"), NOW, &f->e));
    FAILS(f, ERR_CONFLICT,
          org_policies_put(f->db, f->a, org, STR_NONE, STR("{\"a\":1}"), NOW, &f->e));
    OK(f, org_policies_put(f->db, f->a, org, STR("{}"), STR("{\"a\":1}"), NOW, &f->e));
    FAILS(f, ERR_CONFLICT,
          org_policies_put(f->db, f->a, org, STR("{}"), STR("{\"a\":2}"), NOW, &f->e));
}
static void who_did_not_see_the_last_change_cannot_overwrite_it(void **state unused_arg)
{
    with_store(second_writer_loses);
}

static void lifetimes(struct fixture *f)
{
    struct services sv = services_of(f);
    struct session_lifetime l;
    struct str user = make_user(f, "a@acme.example");
    struct str a = make_org(f, "acme", user), b = make_org(f, "beta", user);
    OK(f, org_policies_put(f->db, f->a, a, STR_NONE, STR("{\"session_idle_minutes\":10}"), NOW,
                           &f->e));
    OK(f, org_policies_put(f->db, f->a, b, STR_NONE,
                           STR("{\"session_idle_minutes\":60,\"session_life_minutes\":90}"), NOW,
                           &f->e));
    OK(f, org_policy_lifetime(&sv, f->a, user, STR_NONE, &l, &f->e));
    assert_int_equal(l.idle_ms, 10 * 60 * 1000);
    assert_int_equal(l.life_ms, 90 * 60 * 1000);
    OK(f, org_policy_lifetime(&sv, f->a, user, b, &l, &f->e));
    assert_int_equal(l.idle_ms, 60 * 60 * 1000);
    OK(f, org_policy_lifetime(&sv, f->a, make_user(f, "n@none.example"), STR_NONE, &l, &f->e));
    assert_int_equal(l.idle_ms, LIMIT_BROWSER_IDLE_MS);
    row_cache_free(sv.rows);
}
static void
a_session_lives_as_long_as_the_strictest_or_the_proving_organization_says(void **state unused_arg)
{
    with_store(lifetimes);
}

static void null_is_the_default(void **state unused_arg)
{
    struct arena *a = arena_new(1024 * 1024);
    struct err e;
    struct org_policy p = org_policy_default();
    struct jdoc *set = jdoc_parse(STR("{\"require_sso\":true,\"session_idle_minutes\":5,"
                                      "\"magic_links\":false,\"provider_id\":\"idp_1\","
                                      "\"search_mode_default\":\"off\",\"rate_key\":9,"
                                      "\"oauth_clients\":\"off\",\"approved_clients\":[\"x\"]}"),
                                  &e);
    struct jdoc *unset = jdoc_parse(STR("{\"require_sso\":null,\"session_idle_minutes\":null,"
                                        "\"magic_links\":null,\"provider_id\":null,"
                                        "\"search_mode_default\":null,\"rate_key\":null,"
                                        "\"oauth_clients\":null,\"approved_clients\":null}"),
                                    &e);
    struct buf fresh, changed;
    buf_init(&fresh, LIMIT_ORG_POLICY);
    buf_init(&changed, LIMIT_ORG_POLICY);
    org_policy_write(&p, &fresh);
    assert_true(org_policy_apply(a, jdoc_root(set), &p, &e));
    org_policy_write(&p, &changed);
    assert_false(str_eq(buf_str(&fresh), buf_str(&changed)));
    buf_reset(&changed);
    assert_true(org_policy_apply(a, jdoc_root(unset), &p, &e));
    org_policy_write(&p, &changed);
    assert_true(str_eq(buf_str(&fresh), buf_str(&changed)));
    buf_end(&fresh);
    buf_end(&changed);
    jdoc_free(set);
    jdoc_free(unset);
    arena_end(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_row_the_defaults_hold),
        cmocka_unit_test(a_change_is_seen_at_once_and_by_no_other_organization),
        cmocka_unit_test(who_did_not_see_the_last_change_cannot_overwrite_it),
        cmocka_unit_test(a_session_lives_as_long_as_the_strictest_or_the_proving_organization_says),
        cmocka_unit_test(null_is_the_default),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
