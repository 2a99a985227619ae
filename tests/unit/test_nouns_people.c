/* Users, organizations, members, roles, API keys, facts of the installation. */
#include "unit/tenant_fixture.h"

#include "store/groups.h"
#include "store/invitations.h"
#include "store/org_domains.h"
#include "store/sso_providers.h"

static const struct db_page first_page = {.limit = 50};

#define CHANGE(...) (&(struct org_change){__VA_ARGS__, .hub_prefix = {0}, .hub_search = {0}})

static void users_body(struct fixture *f)
{
    struct user u;
    int64_t n = 0;
    struct str id = make_user(f, "ada@x.example");
    OK(f, users_by_email(f->db, f->a, STR("ada@x.example"), &u, &f->e));
    assert_true(str_eq(u.id, id) && !u.is_operator && u.disabled_at == 0);
    FAILS(f, ERR_NOT_FOUND, users_by_email(f->db, f->a, STR("bob@x.example"), &u, &f->e));
    OK(f, users_update_name(f->db, f->a, id, STR("Ada"), NOW + 1, &f->e));
    OK(f, users_set_operator(f->db, f->a, id, true, NOW + 2, &f->e));
    OK(f, users_get(f->db, f->a, id, &u, &f->e));
    assert_str(u.name, "Ada");
    assert_true(u.is_operator && u.updated_at == NOW + 2);
    struct user twin = {.id = new_id(f, "usr"), .email = STR("ada@x.example")};
    FAILS(f, ERR_CONFLICT, users_insert(f->db, f->a, &twin, &f->e));
    FAILS(f, ERR_NOT_FOUND, users_update_name(f->db, f->a, STR("usr_none"), STR("x"), NOW, &f->e));
    OK(f, users_count(f->db, f->a, &n, &f->e));
    assert_int_equal(n, 1);
}

static void users_are_found_by_id_and_address(unused_arg void **state)
{
    with_store(users_body);
}

static void share_body(struct fixture *f)
{
    bool shares = true;
    struct tenant a = make_tenant(f, "aaa"), b = make_tenant(f, "bbb");
    OK(f, users_share_org(f->db, f->a, a.owner, b.owner, &shares, &f->e));
    assert_false(shares);
    OK(f, members_add(f->db, f->a, a.org, b.owner, STR("member"), NOW, &f->e));
    OK(f, users_share_org(f->db, f->a, a.owner, b.owner, &shares, &f->e));
    assert_true(shares);
}

static void users_see_those_they_share_an_organization_with(unused_arg void **state)
{
    with_store(share_body);
}

static void slug_body(struct fixture *f)
{
    struct org o;
    struct str owner = make_user(f, "o@x.example");
    struct str one = make_org(f, "one", owner), two = make_org(f, "two", owner);
    OK(f, orgs_update(f->db, f->a, one, CHANGE(STR_NONE, STR("what we do"), STR("uno"), 1), NOW,
                      &f->e));
    OK(f, orgs_get(f->db, f->a, one, &o, &f->e));
    assert_str(o.slug, "uno");
    assert_str(o.name, "Org");
    assert_str(o.description, "what we do");
    assert_true(o.audit_arguments);

    /* NOW lies years back: the old slug no longer resolves, and still nobody else gets it */
    FAILS(f, ERR_NOT_FOUND, orgs_by_slug(f->db, f->a, STR("one"), &o, &f->e));
    FAILS(f, ERR_CONFLICT,
          orgs_update(f->db, f->a, two, CHANGE(STR_NONE, STR_NONE, STR("one"), -1), NOW, &f->e));
    FAILS(f, ERR_CONFLICT,
          orgs_update(f->db, f->a, two, CHANGE(STR_NONE, STR_NONE, STR("uno"), -1), NOW, &f->e));
    struct org thief = {.id = new_id(f, "org"), .slug = STR("one"), .name = STR("x")};
    FAILS(f, ERR_CONFLICT, orgs_insert(f->db, f->a, &thief, STR("w"), owner, &f->e));
    FAILS(f, ERR_NOT_FOUND, orgs_get(f->db, f->a, thief.id, &o, &f->e));

    int64_t now = clock_wall_ms();
    OK(f, orgs_update(f->db, f->a, one, CHANGE(STR_NONE, STR_NONE, STR("one"), -1), now, &f->e));
    OK(f, orgs_by_slug(f->db, f->a, STR("uno"), &o, &f->e)); /* retired just now */
    assert_true(str_eq(o.id, one));
    assert_true(o.audit_arguments);
    OK(f, orgs_by_slug(f->db, f->a, STR("one"), &o, &f->e));
    assert_true(str_eq(o.id, one));
    clock_shift_for_test(91LL * 86400000);
    FAILS(f, ERR_NOT_FOUND, orgs_by_slug(f->db, f->a, STR("uno"), &o, &f->e));
    OK(f, orgs_by_slug(f->db, f->a, STR("one"), &o, &f->e));
    clock_shift_for_test(0);
    FAILS(f, ERR_NOT_FOUND,
          orgs_update(f->db, f->a, STR("org_none"), CHANGE(STR("x"), STR_NONE, STR("new"), -1), NOW,
                      &f->e));
}

static void a_retired_slug_leads_home_for_90_days_and_goes_to_nobody_else(unused_arg void **state)
{
    with_store(slug_body);
}

static void page_body(struct fixture *f)
{
    struct str owner = make_user(f, "o@x.example");
    for (int i = 0; i < 7; i++)
        (void)make_org(f, arena_printf(f->a, "org-%d", i).p, owner);
    struct db_page page = {.limit = 3};
    size_t seen = 0;
    for (;;) {
        struct org_of_user *items;
        size_t n = 0;
        OK(f, orgs_list_of_user(f->db, f->a, owner, &page, &items, &n, &f->e));
        size_t shown = n > 3 ? 3 : n;
        for (size_t i = 0; i < shown; i++)
            assert_str(items[i].roles, "owner");
        seen += shown;
        if (n <= 3)
            break;
        page.after_at = items[2].org.created_at;
        page.after_id = items[2].org.id;
    }
    assert_int_equal(seen, 7);
    int64_t count = 0;
    OK(f, orgs_count_of_user(f->db, f->a, owner, &count, &f->e));
    assert_int_equal(count, 7);
}

static void a_cursor_goes_through_rows_of_one_time_once_each(unused_arg void **state)
{
    with_store(page_body);
}

static void members_body(struct fixture *f)
{
    struct tenant t = make_tenant(f, "team");
    struct str bob = make_user(f, "bob@x.example");
    struct member m;
    OK(f, members_add(f->db, f->a, t.org, bob, STR("admin"), NOW + 1, &f->e));
    FAILS(f, ERR_CONFLICT, members_add(f->db, f->a, t.org, bob, STR("member"), NOW, &f->e));
    FAILS(f, ERR_CONFLICT,
          members_add(f->db, f->a, t.org, STR("usr_x"), STR("member"), NOW, &f->e));
    FAILS(f, ERR_UNPROCESSABLE, members_remove(f->db, f->a, t.org, t.owner, NOW, &f->e));
    FAILS(f, ERR_UNPROCESSABLE,
          members_set_roles(f->db, f->a, t.org, t.owner, STR("admin"), NOW, &f->e));
    FAILS(f, ERR_NOT_FOUND, members_remove(f->db, f->a, t.org, STR("usr_x"), NOW, &f->e));
    FAILS(f, ERR_NOT_FOUND,
          members_set_roles(f->db, f->a, t.org, STR("usr_x"), STR("owner"), NOW, &f->e));

    OK(f, members_set_roles(f->db, f->a, t.org, bob, STR("owner member"), NOW, &f->e));
    OK(f, members_set_roles(f->db, f->a, t.org, t.owner, STR("member"), NOW, &f->e));
    FAILS(f, ERR_UNPROCESSABLE, members_remove(f->db, f->a, t.org, bob, NOW, &f->e));
    OK(f, members_get(f->db, f->a, t.org, bob, &m, &f->e));
    assert_str(m.roles, "owner member");
    assert_str(m.email, "bob@x.example");

    struct api_key k;
    struct credential_row c;
    OK(f, members_remove(f->db, f->a, t.org, t.owner, NOW, &f->e));
    FAILS(f, ERR_NOT_FOUND, members_get(f->db, f->a, t.org, t.owner, &m, &f->e));
    FAILS(f, ERR_NOT_FOUND, api_keys_get(f->db, f->a, t.org, t.key, &k, &f->e));
    FAILS(f, ERR_NOT_FOUND, credentials_get(f->db, f->a, t.org, t.conn, t.owner, &c, &f->e));
    OK(f, credentials_get(f->db, f->a, t.org, t.conn, STR(""), &c, &f->e));

    struct member *items;
    size_t n = 0;
    int64_t count = 0;
    OK(f, members_list(f->db, f->a, t.org, STR_NONE, &first_page, &items, &n, &f->e));
    OK(f, members_count(f->db, f->a, t.org, &count, &f->e));
    assert_true(n == 1 && count == 1 && str_eq(items[0].user_id, bob));
}

static void
an_organization_keeps_an_owner_and_those_who_leave_leave_nothing(unused_arg void **state)
{
    with_store(members_body);
}

static void roles_body(struct fixture *f)
{
    struct tenant t = make_tenant(f, "team"), other = make_tenant(f, "other");
    struct str bob = make_user(f, "bob@x.example"), eve = make_user(f, "eve@x.example");
    struct role twin = {.id = new_id(f, "role"), .name = STR("reader"), .statements = STR("[]")};
    struct role *items, r;
    struct member m;
    size_t n = 0;
    FAILS(f, ERR_CONFLICT, roles_insert(f->db, f->a, t.org, &twin, &f->e));
    struct role_change change = {.description = STR("d"), .statements = STR("[1]")};
    OK(f, roles_update(f->db, f->a, t.org, t.role, &change, NOW, &f->e));
    OK(f, roles_get(f->db, f->a, t.org, t.role, &r, &f->e));
    assert_str(r.name, "reader");
    assert_str(r.statements, "[1]");
    FAILS(f, ERR_NOT_FOUND, roles_get(f->db, f->a, other.org, t.role, &r, &f->e));

    OK(f, members_add(f->db, f->a, t.org, bob, t.role, NOW, &f->e));
    OK(f, members_add(f->db, f->a, t.org, eve,
                      arena_printf(f->a, "admin %.*s member", STR_FMT(t.role)), NOW, &f->e));
    OK(f, roles_of_member(f->db, f->a, t.org, eve, &items, &n, &f->e));
    assert_true(n == 1 && str_eq(items[0].id, t.role));
    OK(f, roles_of_member(f->db, f->a, t.org, t.owner, &items, &n, &f->e));
    assert_int_equal(n, 0);

    struct role_uses uses;
    FAILS(f, ERR_NOT_FOUND, roles_delete(f->db, f->a, other.org, t.role, NOW, &uses, &f->e));
    FAILS(f, ERR_CONFLICT, roles_delete(f->db, f->a, t.org, t.role, NOW, &uses, &f->e));
    assert_true(uses.members == 2 && uses.groups == 0 && uses.invitations == 0);
    OK(f, members_get(f->db, f->a, t.org, bob, &m, &f->e));
    assert_true(str_eq(m.roles, t.role)); /* nobody is given or loses anything by the attempt */
    OK(f, members_set_roles(f->db, f->a, t.org, bob, STR("member"), NOW, &f->e));
    OK(f, members_set_roles(f->db, f->a, t.org, eve, STR("admin"), NOW, &f->e));

    struct org_domain domain = {.id = new_id(f, "dom"),
                                .org_id = t.org,
                                .domain = STR("x.example"),
                                .proof = STR("p"),
                                .join_role = t.role,
                                .created_at = NOW};
    struct invitation invitation = {.id = new_id(f, "inv"),
                                    .org_id = t.org,
                                    .email = STR("new@x.example"),
                                    .role = t.role,
                                    .hash = STR("h"),
                                    .invited_by = t.owner,
                                    .created_at = NOW,
                                    .expires_at = NOW + 1000};
    struct sso_provider provider = {
        .id = new_id(f, "idp"),
        .org_id = t.org,
        .kind = STR("oidc"),
        .name = STR("Corp"),
        .config = arena_printf(f->a, "{\"group_roles\":{\"g\":[\"%.*s\"]}}", STR_FMT(t.role)),
        .default_role = STR("member"),
        .created_at = NOW};
    struct group group = {
        .id = new_id(f, "grp"), .name = STR("G"), .description = STR(""), .roles = t.role};
    OK(f, org_domains_put(f->db, f->a, &domain, &f->e));
    OK(f, invitations_insert(f->db, f->a, &invitation, &f->e));
    OK(f, sso_providers_insert(f->db, f->a, &provider, &f->e));
    OK(f, groups_insert(f->db, f->a, t.org, &group, &f->e));
    FAILS(f, ERR_CONFLICT, roles_delete(f->db, f->a, t.org, t.role, NOW, &uses, &f->e));
    assert_true(uses.members == 0 && uses.groups == 1 && uses.invitations == 1 &&
                uses.providers == 1 && uses.domains == 1);
    OK(f, groups_delete(f->db, f->a, t.org, group.id, &f->e));
    OK(f, sso_providers_delete(f->db, f->a, t.org, provider.id, &f->e));
    OK(f, org_domains_delete(f->db, f->a, t.org, domain.domain, &f->e));
    /* an invitation that has expired holds nothing */
    FAILS(f, ERR_CONFLICT, roles_delete(f->db, f->a, t.org, t.role, NOW, &uses, &f->e));
    OK(f, roles_delete(f->db, f->a, t.org, t.role, NOW + 2000, &uses, &f->e));
    OK(f, roles_list(f->db, f->a, t.org, &first_page, &items, &n, &f->e));
    assert_int_equal(n, 0);
    int64_t count = 0;
    OK(f, roles_count(f->db, f->a, other.org, &count, &f->e));
    assert_int_equal(count, 1);
}

static void a_role_is_deleted_when_nothing_gives_it(unused_arg void **state)
{
    with_store(roles_body);
}

static void keys_body(struct fixture *f)
{
    struct tenant t = make_tenant(f, "team"), other = make_tenant(f, "other");
    struct api_key k, *items;
    size_t n = 0;
    int64_t count = 0;
    OK(f, api_keys_get(f->db, f->a, t.org, t.key, &k, &f->e));
    assert_true(str_is_absent(k.scopes) && str_is_absent(k.tools));
    struct str hash = k.hash;
    k.scopes = STR("mcp");
    k.tools = STR("[\"find\"]");
    k.expires_at = NOW + 100;
    OK(f, api_keys_update(f->db, f->a, &k, NOW, &f->e));
    OK(f, api_keys_touch(f->db, f->a, t.org, t.key, NOW + 7, &f->e));
    OK(f, api_keys_by_hash(f->db, f->a, hash, NOW + 99, &k, &f->e));
    assert_str(k.scopes, "mcp");
    assert_int_equal(k.last_used_at, NOW + 7);
    FAILS(f, ERR_NOT_FOUND, api_keys_by_hash(f->db, f->a, hash, NOW + 100, &k, &f->e));
    FAILS(f, ERR_NOT_FOUND,
          api_keys_rotate(f->db, f->a,
                          &(struct api_key_rotation){other.org, t.key, STR("p"), STR("new"), 0,
                                                     STR_NONE, STR_NONE},
                          NOW, &f->e));
    OK(f, api_keys_rotate(
              f->db, f->a,
              &(struct api_key_rotation){t.org, t.key, STR("p"), STR("new"), 0, STR_NONE, STR_NONE},
              NOW, &f->e));
    FAILS(f, ERR_NOT_FOUND, api_keys_by_hash(f->db, f->a, hash, NOW, &k, &f->e));
    OK(f, api_keys_by_hash(f->db, f->a, STR("new"), NOW, &k, &f->e));
    OK(f, api_keys_rotate(f->db, f->a,
                          &(struct api_key_rotation){t.org, t.key, STR("p"), STR("newer"), NOW + 50,
                                                     STR_NONE, STR_NONE},
                          NOW, &f->e));
    OK(f, api_keys_by_hash(f->db, f->a, STR("new"), NOW + 49, &k, &f->e));
    assert_int_equal(k.expires_at, NOW + 50);
    FAILS(f, ERR_NOT_FOUND, api_keys_by_hash(f->db, f->a, STR("new"), NOW + 50, &k, &f->e));
    OK(f, api_keys_by_hash(f->db, f->a, STR("newer"), NOW + 50, &k, &f->e));
    assert_int_equal(k.expires_at, NOW + 100);

    (void)make_key(f, t.org, t.owner);
    OK(f, api_keys_list(f->db, f->a, t.org, t.owner, &first_page, &items, &n, &f->e));
    assert_int_equal(n, 2);
    OK(f, api_keys_list(f->db, f->a, t.org, other.owner, &first_page, &items, &n, &f->e));
    assert_int_equal(n, 0);
    OK(f, api_keys_count(f->db, f->a, t.org, STR_NONE, &count, &f->e));
    assert_int_equal(count, 2);
    FAILS(f, ERR_NOT_FOUND, api_keys_delete(f->db, f->a, other.org, t.key, NOW, &f->e));
    uint64_t epoch = db_epoch(f->store);
    OK(f, api_keys_delete(f->db, f->a, t.org, t.key, NOW, &f->e));
    assert_int_not_equal(db_epoch(f->store), epoch);
    FAILS(f, ERR_NOT_FOUND, api_keys_by_hash(f->db, f->a, STR("newer"), NOW, &k, &f->e));
}

static void a_key_that_expired_or_was_deleted_is_not_found(unused_arg void **state)
{
    with_store(keys_body);
}

static void facts_body(struct fixture *f)
{
    struct str v;
    FAILS(f, ERR_NOT_FOUND, installation_get(f->db, f->a, STR("id"), &v, &f->e));
    OK(f, installation_put_once(f->db, f->a, STR("id"), STR("one"), &v, &f->e));
    OK(f, installation_put_once(f->db, f->a, STR("id"), STR("two"), &v, &f->e));
    assert_str(v, "one");
    OK(f, installation_put(f->db, f->a, STR("id"), STR("three"), &f->e));
    OK(f, installation_get(f->db, f->a, STR("id"), &v, &f->e));
    assert_str(v, "three");
}

static void a_fact_put_once_stays(unused_arg void **state)
{
    with_store(facts_body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(users_are_found_by_id_and_address),
        cmocka_unit_test(users_see_those_they_share_an_organization_with),
        cmocka_unit_test(a_retired_slug_leads_home_for_90_days_and_goes_to_nobody_else),
        cmocka_unit_test(a_cursor_goes_through_rows_of_one_time_once_each),
        cmocka_unit_test(an_organization_keeps_an_owner_and_those_who_leave_leave_nothing),
        cmocka_unit_test(a_role_is_deleted_when_nothing_gives_it),
        cmocka_unit_test(a_key_that_expired_or_was_deleted_is_not_found),
        cmocka_unit_test(a_fact_put_once_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
