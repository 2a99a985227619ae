/* Sign-in providers, identities, sign-ins begun. */
#include "unit/tenant_fixture.h"

#include "store/browser_sessions.h"
#include "store/groups.h"
#include "store/identities.h"
#include "store/invitations.h"
#include "store/members.h"
#include "store/roles.h"
#include "store/sso_providers.h"
#include "store/sso_states.h"

enum { MINUTE = 60 * 1000, DAY = 24 * 60 * MINUTE };

static struct sso_provider provider_make(struct fixture *f, struct str org, const char *slot)
{
    struct sso_provider p = provider_of(f, org);
    p.slot = str_c(slot);
    p.sealed_secret = STR("sealed");
    OK(f, sso_providers_insert(f->db, f->a, &p, &f->e));
    return p;
}

static void provider_body(struct fixture *f)
{
    struct tenant a = make_tenant(f, "aaa"), b = make_tenant(f, "bbb");
    struct sso_provider got, *list, ours = provider_make(f, a.org, NULL),
                                    all = provider_make(f, STR_NONE, "google");
    const struct db_page page = {.limit = 10};
    size_t n;
    int64_t count;
    OK(f, sso_providers_get_of_org(f->db, f->a, a.org, ours.id, &got, &f->e));
    assert_true(str_eq(got.sealed_secret, STR("sealed")) && got.is_enabled && !got.is_jit);
    FAILS(f, ERR_NOT_FOUND, sso_providers_get_of_org(f->db, f->a, b.org, ours.id, &got, &f->e));
    FAILS(f, ERR_NOT_FOUND, sso_providers_get_of_org(f->db, f->a, a.org, all.id, &got, &f->e));
    OK(f, sso_providers_list(f->db, f->a, b.org, &page, &list, &n, &f->e));
    assert_int_equal(n, 0);
    OK(f, sso_providers_list_installation(f->db, f->a, &list, &n, &f->e));
    assert_int_equal(n, 1);
    assert_true(str_eq(list[0].id, all.id));
    all.slot = STR("google");
    all.id = new_id(f, "idp");
    FAILS(f, ERR_CONFLICT, sso_providers_insert(f->db, f->a, &all, &f->e));

    ours.name = STR("Other");
    ours.is_jit = true;
    OK(f, sso_providers_update(f->db, f->a, &ours, 0, &f->e));
    OK(f, sso_providers_get(f->db, f->a, ours.id, &got, &f->e));
    assert_str(got.name, "Other");
    assert_true(got.is_jit);
    int64_t was = got.updated_at;
    got.updated_at++;
    OK(f, sso_providers_update(f->db, f->a, &got, was, &f->e));
    FAILS(f, ERR_NOT_FOUND, sso_providers_update(f->db, f->a, &got, was, &f->e));
    got.org_id = b.org;
    FAILS(f, ERR_NOT_FOUND, sso_providers_update(f->db, f->a, &got, 0, &f->e));
    got.org_id = STR_NONE;
    FAILS(f, ERR_NOT_FOUND, sso_providers_update(f->db, f->a, &got, 0, &f->e));
    FAILS(f, ERR_NOT_FOUND, sso_providers_delete(f->db, f->a, b.org, ours.id, &f->e));
    OK(f, sso_providers_delete(f->db, f->a, a.org, ours.id, &f->e));
    OK(f, sso_providers_count(f->db, f->a, a.org, &count, &f->e));
    assert_int_equal(count, 0);
}

static void a_provider_is_one_organizations_or_the_installations(unused_arg void **state)
{
    with_store(provider_body);
}

static size_t role_count(struct fixture *f, const struct tenant *t, struct str user)
{
    struct role *roles;
    size_t n;
    OK(f, roles_of_member(f->db, f->a, t->org, user, &roles, &n, &f->e));
    return n;
}

static void deleted_body(struct fixture *f)
{
    struct tenant t = make_tenant(f, "aaa");
    struct sso_provider p = provider_make(f, t.org, NULL);
    struct str bob = make_user(f, "bob@x.example"), grp = new_id(f, "grp"), *ids;
    const struct group group = {
        .id = grp, .name = STR("G"), .roles = t.role, .created_at = NOW, .updated_at = NOW};
    const struct groups_by_provider said = {.org_id = t.org,
                                            .user_id = bob,
                                            .provider_id = p.id,
                                            .group_ids = &grp,
                                            .n_groups = 1,
                                            .roles = STR(""),
                                            .now = NOW};
    const struct str where[2] = {t.org, grp};
    size_t n;
    OK(f, members_add(f->db, f->a, t.org, bob, STR("member"), NOW, &f->e));
    OK(f, groups_insert(f->db, f->a, t.org, &group, &f->e));
    OK(f, groups_set_by_provider(f->db, f->a, &said, &f->e));
    assert_int_equal(role_count(f, &t, bob), 1);
    OK(f, sso_providers_delete(f->db, f->a, t.org, p.id, &f->e));
    assert_int_equal(role_count(f, &t, bob), 0);
    OK(f, groups_member_ids(f->db, f->a, t.org, grp, &ids, &n, &f->e));
    assert_int_equal(n, 0);
    /* A sign-in that was on its way writes what the provider said after it is gone. */
    OK(f, groups_set_by_provider(f->db, f->a, &said, &f->e));
    assert_int_equal(role_count(f, &t, bob), 0);
    OK(f, groups_member_add(f->db, f->a, where, bob, STR(""), NOW, &f->e));
    assert_int_equal(role_count(f, &t, bob), 1);
}

static void a_deleted_provider_gives_nothing_by_groups_any_more(unused_arg void **state)
{
    with_store(deleted_body);
}

static void session_make(struct fixture *f, struct str user, struct str proof, const char *id)
{
    struct browser_session_row s = {.id = str_c(id),
                                    .hash = str_c(id),
                                    .user_id = user,
                                    .proof = proof,
                                    .created_at = NOW,
                                    .expires_at = NOW + DAY};
    OK(f, browser_sessions_insert(f->db, f->a, &s, STR_NONE, &f->e));
}

static int64_t session_count(struct fixture *f, struct str user)
{
    int64_t n;
    const struct session_owner who = {.user_id = user};
    OK(f, browser_sessions_count(f->db, f->a, &who, NOW, &n, &f->e));
    return n;
}

static void identity_body(struct fixture *f)
{
    struct tenant a = make_tenant(f, "aaa");
    struct sso_provider p = provider_make(f, a.org, NULL), q = provider_make(f, a.org, NULL);
    struct str ada = make_user(f, "ada@x.example"), bob = make_user(f, "bob@x.example");
    struct identity_row got, *list,
        row = {.id = new_id(f, "idn"),
               .provider_id = p.id,
               .issuer = STR("https://idp.example"),
               .subject = STR("1"),
               .org_id = a.org,
               .user_id = ada,
               .created_at = NOW};
    const struct identity_new n = {.row = &row};
    size_t count;
    bool has;
    OK(f, identities_make(f->db, f->a, &n, &f->e));
    row.id = new_id(f, "idn");
    row.user_id = bob;
    FAILS(f, ERR_CONFLICT, identities_make(f->db, f->a, &n, &f->e));
    OK(f, identities_find(f->db, f->a, p.id, row.issuer, STR("1"), &got, &f->e));
    assert_true(str_eq(got.user_id, ada));
    FAILS(f, ERR_NOT_FOUND,
          identities_find(f->db, f->a, p.id, STR("https://other.example"), STR("1"), &got, &f->e));
    FAILS(f, ERR_NOT_FOUND, identities_find(f->db, f->a, q.id, row.issuer, STR("1"), &got, &f->e));
    OK(f, identities_touch(f->db, f->a, got.id, STR("new@x.example"), NOW + 1, &f->e));
    OK(f, identities_list_of_user(f->db, f->a, ada, &list, &count, &f->e));
    assert_int_equal(count, 1);
    assert_str(list[0].email, "new@x.example");
    assert_str(list[0].provider_name, "Corp");

    session_make(f, ada, p.id, "ses_1");
    session_make(f, ada, STR("password"), "ses_2");
    session_make(f, bob, p.id, "ses_3");
    FAILS(f, ERR_NOT_FOUND, identities_delete(f->db, f->a, bob, list[0].id, &f->e));
    assert_int_equal(session_count(f, ada), 2);
    OK(f, identities_delete(f->db, f->a, ada, list[0].id, &f->e));
    assert_int_equal(session_count(f, ada), 1);
    assert_int_equal(session_count(f, bob), 1);
    OK(f, identities_has(f->db, f->a, ada, p.id, &has, &f->e));
    assert_false(has);
    OK(f, sso_providers_delete(f->db, f->a, a.org, p.id, &f->e));
    assert_int_equal(session_count(f, bob), 0);
}

static void an_identity_is_one_accounts_and_ends_with_what_it_proved(unused_arg void **state)
{
    with_store(identity_body);
}

static void make_body(struct fixture *f)
{
    struct tenant a = make_tenant(f, "aaa"), b = make_tenant(f, "bbb");
    struct sso_provider p = provider_make(f, a.org, NULL);
    struct invitation i = {.id = new_id(f, "inv"),
                           .org_id = a.org,
                           .email = STR("new@x.example"),
                           .role = STR("admin"),
                           .hash = STR("h"),
                           .created_at = NOW,
                           .expires_at = NOW + DAY};
    struct str id, role;
    struct member m;
    struct identity_row row = {.id = new_id(f, "idn"),
                               .provider_id = p.id,
                               .issuer = STR("https://idp.example"),
                               .subject = STR("1"),
                               .org_id = a.org,
                               .user_id = new_id(f, "usr"),
                               .created_at = NOW};
    struct identity_new n = {
        .row = &row, .email = i.email, .name = STR("New"), .join_role = STR("admin")};
    OK(f, invitations_insert(f->db, f->a, &i, &f->e));
    FAILS(f, ERR_NOT_FOUND,
          identities_invitation(f->db, f->a, b.org, i.email, NOW, &id, &role, &f->e));
    FAILS(f, ERR_NOT_FOUND,
          identities_invitation(f->db, f->a, a.org, i.email, NOW + DAY, &id, &role, &f->e));
    OK(f, identities_invitation(f->db, f->a, STR_NONE, i.email, NOW, &id, &role, &f->e));
    OK(f, identities_invitation(f->db, f->a, a.org, i.email, NOW, &n.invitation, &role, &f->e));
    assert_str(role, "admin");
    OK(f, identities_make(f->db, f->a, &n, &f->e));
    OK(f, members_get(f->db, f->a, a.org, row.user_id, &m, &f->e));
    assert_str(m.roles, "admin");
    FAILS(f, ERR_NOT_FOUND,
          identities_invitation(f->db, f->a, a.org, i.email, NOW, &id, &role, &f->e));

    /* A used invitation: nothing of the rest happens either. */
    row.id = new_id(f, "idn");
    row.user_id = new_id(f, "usr");
    row.subject = STR("2");
    n.email = STR("two@x.example");
    FAILS(f, ERR_CONFLICT, identities_make(f->db, f->a, &n, &f->e));
    FAILS(f, ERR_NOT_FOUND, identities_find(f->db, f->a, p.id, row.issuer, STR("2"), &row, &f->e));
    FAILS(f, ERR_NOT_FOUND, identities_domain(f->db, f->a, a.org, STR("x.example"), &role, &f->e));
}

static void account_identity_and_membership_come_together_or_not_at_all(unused_arg void **state)
{
    with_store(make_body);
}

static void state_body(struct fixture *f)
{
    struct tenant a = make_tenant(f, "aaa");
    struct sso_provider p = provider_make(f, a.org, NULL), q = provider_make(f, a.org, NULL);
    struct sso_state got, s = {.hash = STR("h"),
                               .provider_id = p.id,
                               .purpose = STR("signin"),
                               .browser_hash = STR("b"),
                               .sealed = STR("sealed"),
                               .created_at = NOW,
                               .expires_at = NOW + 10 * MINUTE};
    struct db *db = f->db;
    OK(f, sso_states_insert(db, f->a, &s, &f->e));
    FAILS(f, ERR_NOT_FOUND, sso_states_take(db, f->a, s.hash, q.id, STR("b"), NOW, &got, &f->e));
    FAILS(f, ERR_NOT_FOUND, sso_states_take(db, f->a, s.hash, p.id, STR("c"), NOW, &got, &f->e));
    FAILS(f, ERR_NOT_FOUND, sso_states_take(db, f->a, s.hash, p.id, STR_NONE, NOW, &got, &f->e));
    FAILS(f, ERR_NOT_FOUND, sso_states_take(db, f->a, STR("x"), p.id, STR("b"), NOW, &got, &f->e));
    FAILS(f, ERR_NOT_FOUND,
          sso_states_take(db, f->a, s.hash, p.id, STR("b"), s.expires_at, &got, &f->e));
    OK(f, sso_states_take(db, f->a, s.hash, p.id, STR("b"), NOW, &got, &f->e));
    assert_str(got.purpose, "signin");
    assert_str(got.sealed, "sealed");
    FAILS(f, ERR_NOT_FOUND, sso_states_take(db, f->a, s.hash, p.id, STR("b"), NOW, &got, &f->e));

    s.hash = STR("without a browser");
    s.browser_hash = STR_NONE;
    OK(f, sso_states_insert(db, f->a, &s, &f->e));
    FAILS(f, ERR_NOT_FOUND, sso_states_take(db, f->a, s.hash, p.id, STR("b"), NOW, &got, &f->e));
    OK(f, sso_states_take(db, f->a, s.hash, p.id, STR_NONE, NOW, &got, &f->e));
}

static void a_sign_in_begun_is_good_once_in_its_browser(unused_arg void **state)
{
    with_store(state_body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_provider_is_one_organizations_or_the_installations),
        cmocka_unit_test(a_deleted_provider_gives_nothing_by_groups_any_more),
        cmocka_unit_test(an_identity_is_one_accounts_and_ends_with_what_it_proved),
        cmocka_unit_test(account_identity_and_membership_come_together_or_not_at_all),
        cmocka_unit_test(a_sign_in_begun_is_good_once_in_its_browser),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
