/* Virtual servers in the store: what goes with what, and whose they are. */
#include "unit/tenant_fixture.h"

#include "store/virtual_servers.h"

static const struct db_page first_page = {.limit = 50};

static struct virtual_server virtual_of(struct fixture *f, struct str org, const char *name,
                                        int64_t at)
{
    return (struct virtual_server){.id = new_id(f, "vs"),
                                   .org_id = org,
                                   .name = str_c(name),
                                   .prefix = STR("clash"),
                                   .search = STR("off"),
                                   .enabled = true,
                                   .created_at = at,
                                   .updated_at = at};
}

static void members_body(struct fixture *f)
{
    struct tenant t = make_tenant(f, "team"), other = make_tenant(f, "other");
    struct str second = make_connection(f, t.org, "second", NOW + 1);
    struct virtual_member members[] = {
        {.connection_id = second, .tools = STR("[]"), .prompts = STR("[{\"name\":\"*\"}]")},
        {.connection_id = t.conn}};
    struct virtual_server v = virtual_of(f, t.org, "Both", NOW), got, *list;
    size_t n;
    int64_t count;
    v.members = members;
    v.n_members = 2;
    OK(f, virtual_servers_insert(f->db, f->a, &v, &f->e));
    OK(f, virtual_servers_get(f->db, f->a, t.org, v.id, &got, &f->e));
    assert_int_equal(got.n_members, 2);
    assert_true(str_eq(got.members[0].connection_id, second)); /* in the order given */
    assert_str(got.members[0].tools, "[]");
    assert_true(str_is_absent(got.members[1].tools) && str_is_absent(got.members[0].resources));
    assert_true(got.enabled && str_is_absent(got.description));

    FAILS(f, ERR_NOT_FOUND, virtual_servers_get(f->db, f->a, other.org, v.id, &got, &f->e));
    FAILS(f, ERR_NOT_FOUND, virtual_servers_delete(f->db, f->a, other.org, v.id, &f->e));
    OK(f, virtual_servers_list(f->db, f->a, other.org, &first_page, &list, &n, &f->e));
    assert_int_equal(n, 0);

    /* Another tenant's connection is none, and nothing is left of the attempt. */
    struct virtual_server thief = virtual_of(f, other.org, "Thief", NOW);
    thief.members = members;
    thief.n_members = 1;
    FAILS(f, ERR_CONFLICT, virtual_servers_insert(f->db, f->a, &thief, &f->e));
    OK(f, virtual_servers_count(f->db, f->a, other.org, &count, &f->e));
    assert_int_equal(count, 0);

    OK(f, connections_delete(f->db, f->a, t.org, second, NOW, &f->e));
    OK(f, virtual_servers_get(f->db, f->a, t.org, v.id, &got, &f->e));
    assert_int_equal(got.n_members, 1); /* a member goes with its connection */
}

static void a_virtual_server_holds_connections_of_its_own_organization(unused_arg void **state)
{
    with_store(members_body);
}

static void update_body(struct fixture *f)
{
    struct tenant t = make_tenant(f, "team"), other = make_tenant(f, "other");
    struct virtual_member member = {.connection_id = t.conn};
    struct virtual_server v = virtual_of(f, t.org, "One", NOW), got, *list;
    size_t n;
    uint64_t epoch = db_epoch(f->store);
    OK(f, virtual_servers_insert(f->db, f->a, &v, &f->e));
    assert_true(db_epoch(f->store) != epoch);
    v.name = STR("Two");
    v.enabled = false;
    v.members = &member;
    v.n_members = 1;
    OK(f, virtual_servers_update(f->db, f->a, &v, false, NOW + 5, &f->e));
    OK(f, virtual_servers_get(f->db, f->a, t.org, v.id, &got, &f->e));
    assert_str(got.name, "Two");
    assert_true(!got.enabled && got.n_members == 0 && got.updated_at == NOW + 5);
    OK(f, virtual_servers_update(f->db, f->a, &v, true, NOW + 6, &f->e));
    OK(f, virtual_servers_get(f->db, f->a, t.org, v.id, &got, &f->e));
    assert_int_equal(got.n_members, 1);
    v.org_id = other.org;
    FAILS(f, ERR_NOT_FOUND, virtual_servers_update(f->db, f->a, &v, true, NOW, &f->e));

    struct virtual_server more = virtual_of(f, t.org, "Later", NOW + 1);
    OK(f, virtual_servers_insert(f->db, f->a, &more, &f->e));
    OK(f, virtual_servers_list(f->db, f->a, t.org, &first_page, &list, &n, &f->e));
    assert_int_equal(n, 2);
    assert_int_equal(list[0].n_members, 1);
    struct db_page after = {.limit = 50, .after_at = list[0].created_at, .after_id = list[0].id};
    OK(f, virtual_servers_list(f->db, f->a, t.org, &after, &list, &n, &f->e));
    assert_int_equal(n, 1);
    assert_str(list[0].name, "Later");
    OK(f, virtual_servers_delete(f->db, f->a, t.org, more.id, &f->e));
    FAILS(f, ERR_NOT_FOUND, virtual_servers_delete(f->db, f->a, t.org, more.id, &f->e));
    OK(f, orgs_delete(f->db, f->a, t.org, NOW, &f->e));
    FAILS(f, ERR_NOT_FOUND, virtual_servers_get(f->db, f->a, t.org, v.id, &got, &f->e));
}

static void a_virtual_server_changes_and_ends_with_its_organization(unused_arg void **state)
{
    with_store(update_body);
}

static void hub_body(struct fixture *f)
{
    struct tenant t = make_tenant(f, "team");
    struct org org;
    OK(f, orgs_get(f->db, f->a, t.org, &org, &f->e));
    assert_str(org.hub_prefix, "always");
    assert_str(org.hub_search, "off");
    struct org_change change = {.audit_arguments = -1, .hub_search = STR("auto")};
    OK(f, orgs_update(f->db, f->a, t.org, &change, NOW, &f->e));
    OK(f, orgs_get(f->db, f->a, t.org, &org, &f->e));
    assert_str(org.hub_prefix, "always");
    assert_str(org.hub_search, "auto");
}

static void an_organization_says_how_its_hub_shows_tools(unused_arg void **state)
{
    with_store(hub_body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_virtual_server_holds_connections_of_its_own_organization),
        cmocka_unit_test(a_virtual_server_changes_and_ends_with_its_organization),
        cmocka_unit_test(an_organization_says_how_its_hub_shows_tools),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
