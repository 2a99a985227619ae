/* Connections, their tools and credentials; what the deletion of an organization leaves. */
#include "unit/tenant_fixture.h"

#include "store/audit.h"

static const struct db_page first_page = {.limit = 50};

#define NOTE(...) (&(struct connection_note){__VA_ARGS__})
#define MARK(...) (&(struct connection_tool_mark){STR("find"), __VA_ARGS__})

static void registry_body(struct fixture *f)
{
    struct tenant t = make_tenant(f, "team"), other = make_tenant(f, "other");
    struct connection c, *items;
    size_t n = 0;
    int64_t count = 0, now = clock_wall_ms();
    OK(f, connections_note(f->db, f->a, t.org, t.conn, NOTE(STR("healthy"), STR("session"), 5), now,
                           &f->e));
    OK(f, connections_get(f->db, f->a, t.org, t.conn, &c, &f->e));
    assert_str(c.status, "healthy");
    assert_true(c.era_at == now && c.tool_count == 5 && c.updated_at == NOW && c.enabled);
    FAILS(f, ERR_NOT_FOUND, connections_get(f->db, f->a, other.org, t.conn, &c, &f->e));

    c.slug = STR("find");
    c.name = STR("Find");
    OK(f, connections_update(f->db, f->a, &c, now, &f->e));
    OK(f, connections_by_slug(f->db, f->a, t.org, STR("search"), &c, &f->e));
    assert_true(str_eq(c.id, t.conn));
    assert_str(c.slug, "find");
    assert_str(c.era, "session"); /* the same server */
    c.url = STR("https://elsewhere.example/mcp");
    OK(f, connections_update(f->db, f->a, &c, now, &f->e));
    OK(f, connections_get(f->db, f->a, t.org, t.conn, &c, &f->e));
    assert_true(str_is_absent(c.era) && c.era_at == 0);
    assert_str(c.status, "unknown");

    struct connection thief = connection_of(f, t.org, "search", NOW);
    FAILS(f, ERR_CONFLICT, connections_insert(f->db, f->a, &thief, NULL, &f->e));
    thief = connection_of(f, t.org, "find", NOW);
    FAILS(f, ERR_CONFLICT, connections_insert(f->db, f->a, &thief, NULL, &f->e));
    assert_non_null(strstr(f->e.msg, "slug"));
    OK(f, connections_by_slug(f->db, f->a, other.org, STR("search"), &c, &f->e));
    assert_true(str_eq(c.id, other.conn)); /* slugs are an organization's own */
    c.org_id = t.org;
    FAILS(f, ERR_NOT_FOUND, connections_update(f->db, f->a, &c, now, &f->e));
    FAILS(f, ERR_NOT_FOUND,
          connections_set_enabled(f->db, f->a, other.org, t.conn, false, now, &f->e));
    OK(f, connections_set_enabled(f->db, f->a, t.org, t.conn, false, now, &f->e));

    (void)make_connection(f, t.org, "second", NOW + 1);
    OK(f, connections_list(f->db, f->a, t.org, &first_page, &items, &n, &f->e));
    assert_int_equal(n, 2);
    assert_false(items[0].enabled);
    FAILS(f, ERR_NOT_FOUND, connections_delete(f->db, f->a, other.org, t.conn, now, &f->e));
    OK(f, connections_delete(f->db, f->a, t.org, t.conn, now, &f->e));
    OK(f, connections_count(f->db, f->a, t.org, &count, &f->e));
    assert_int_equal(count, 1);
    struct connection_tool *tools;
    struct credential_row *creds;
    OK(f, connection_tools_list(f->db, f->a, t.org, t.conn, &tools, &n, &f->e));
    assert_int_equal(n, 0);
    OK(f, credentials_list(f->db, f->a, t.org, t.conn, STR_NONE, &creds, &n, &f->e));
    assert_int_equal(n, 0);
    (void)make_connection(f, t.org, "search", NOW); /* free again: the object is gone */
}

static void a_connection_lives_in_its_organization_only(unused_arg void **state)
{
    with_store(registry_body);
}

static void note_body(struct fixture *f)
{
    struct tenant t = make_tenant(f, "team");
    struct connection c;
    uint64_t epoch = db_epoch(f->store);
    OK(f,
       connections_note(f->db, f->a, t.org, t.conn, NOTE(STR("down"), STR_NONE, -1), NOW, &f->e));
    assert_int_equal(db_epoch(f->store), epoch);
    OK(f, connections_note(f->db, f->a, t.org, t.conn, NOTE(STR_NONE, STR("session"), -1), NOW,
                           &f->e));
    assert_int_not_equal(db_epoch(f->store), epoch);
    epoch = db_epoch(f->store);
    OK(f, connections_note(f->db, f->a, t.org, t.conn, NOTE(STR_NONE, STR("session"), 3), NOW + 5,
                           &f->e));
    assert_int_equal(db_epoch(f->store), epoch);
    OK(f, connections_get(f->db, f->a, t.org, t.conn, &c, &f->e));
    assert_str(c.status, "down");
    assert_true(c.era_at == NOW + 5 && c.tool_count == 3);
    FAILS(f, ERR_NOT_FOUND,
          connections_note(f->db, f->a, t.org, STR("conn_x"), NOTE(STR("down"), STR("session"), 1),
                           NOW, &f->e));
}

static void a_note_invalidates_only_when_the_era_changes(unused_arg void **state)
{
    with_store(note_body);
}

static void tools_body(struct fixture *f)
{
    struct tenant t = make_tenant(f, "team");
    struct connection_tool got, *items;
    size_t n = 0;
    OK(f, connection_tools_update(f->db, f->a, t.org, t.conn,
                                  MARK(0, STR("look"), STR("read"), true), NOW, &f->e));
    struct connection_tool seen[] = {
        {.name = STR("find"), .hash = STR("h2"), .definition = STR("{\"a\":1}")},
        {.name = STR("drop"), .hash = STR("d"), .definition = STR("{}")}};
    OK(f, connection_tools_record(f->db, f->a, t.org, t.conn, seen, 2, NOW + 10, &f->e));
    OK(f, connection_tools_get(f->db, f->a, t.org, t.conn, STR("find"), &got, &f->e));
    assert_str(got.hash, "h2");
    assert_str(got.approved_hash, "h1");
    assert_str(got.renamed_to, "look");
    assert_str(got.effect, "read");
    assert_true(!got.enabled && got.first_seen_at == NOW && got.changed_at == NOW + 10);
    OK(f, connection_tools_record(f->db, f->a, t.org, t.conn, seen, 1, NOW + 20, &f->e));
    OK(f, connection_tools_get(f->db, f->a, t.org, t.conn, STR("find"), &got, &f->e));
    assert_true(got.changed_at == NOW + 10 && got.last_seen_at == NOW + 20);
    OK(f, connection_tools_update(f->db, f->a, t.org, t.conn, MARK(-1, STR(""), STR_NONE, false),
                                  NOW, &f->e));
    OK(f, connection_tools_list(f->db, f->a, t.org, t.conn, &items, &n, &f->e));
    assert_int_equal(n, 2);
    assert_true(items[0].enabled); /* drop: new */
    assert_true(str_is_absent(items[1].renamed_to) && !items[1].enabled);
    assert_str(items[1].effect, "read");
    FAILS(f, ERR_NOT_FOUND,
          connection_tools_update(f->db, f->a, STR("org_x"), t.conn,
                                  MARK(1, STR_NONE, STR_NONE, false), NOW, &f->e));
    FAILS(f, ERR_CONFLICT,
          connection_tools_record(f->db, f->a, STR("org_x"), t.conn, seen, 1, NOW, &f->e));
}

static void a_recorded_list_leaves_the_administrators_marks(unused_arg void **state)
{
    with_store(tools_body);
}

static void credentials_body(struct fixture *f)
{
    struct tenant t = make_tenant(f, "team"), other = make_tenant(f, "other");
    struct credential_row c = {.connection_id = t.conn,
                               .user_id = t.owner,
                               .kind = STR("headers"),
                               .sealed = STR("v1.y"),
                               .updated_by = t.owner,
                               .updated_at = NOW + 1};
    struct credential_row got, *items;
    size_t n = 0;
    OK(f, credentials_put(f->db, f->a, t.org, &c, &f->e));
    OK(f, credentials_get(f->db, f->a, t.org, t.conn, t.owner, &got, &f->e));
    assert_str(got.sealed, "v1.y");
    OK(f, credentials_get(f->db, f->a, t.org, t.conn, STR(""), &got, &f->e));
    assert_str(got.sealed, "v1.x");
    /* Another envelope, unless it is another credential by now. */
    OK(f, credentials_reseal(f->db, f->a, t.org, &c, STR("v1.again"), &f->e));
    OK(f, credentials_reseal(f->db, f->a, t.org, &c, STR("v1.late"), &f->e));
    OK(f, credentials_reseal(f->db, f->a, other.org, &got, STR("v1.other"), &f->e));
    OK(f, credentials_get(f->db, f->a, t.org, t.conn, c.user_id, &got, &f->e));
    assert_str(got.sealed, "v1.again");
    FAILS(f, ERR_CONFLICT, credentials_put(f->db, f->a, other.org, &c, &f->e));
    FAILS(f, ERR_NOT_FOUND, credentials_get(f->db, f->a, other.org, t.conn, STR(""), &got, &f->e));
    OK(f, credentials_list(f->db, f->a, t.org, t.conn, STR_NONE, &items, &n, &f->e));
    assert_true(n == 2 && str_is_absent(items[0].sealed) && str_is_absent(items[1].sealed));
    OK(f, credentials_list(f->db, f->a, t.org, t.conn, t.owner, &items, &n, &f->e));
    assert_int_equal(n, 1);
    FAILS(f, ERR_NOT_FOUND,
          credentials_delete(f->db, f->a, other.org, t.conn, t.owner, NOW, &f->e));
    OK(f, credentials_delete(f->db, f->a, t.org, t.conn, t.owner, NOW, &f->e));
    FAILS(f, ERR_NOT_FOUND, credentials_delete(f->db, f->a, t.org, t.conn, t.owner, NOW, &f->e));
}

static void a_credential_belongs_to_its_organization(unused_arg void **state)
{
    with_store(credentials_body);
}

/* Counts the cells of a whole table that hold this text, whatever its columns. */
static size_t mentions(struct fixture *f, unsigned audit, struct str table, struct str text)
{
    struct str sql = arena_printf(f->a, "SELECT * FROM %.*s", STR_FMT(table));
    struct db_stmt s = {"everything", sql.p, DB_LIST, audit};
    struct db_rows r;
    size_t n = 0;
    OK(f, db_run(f->db, f->a, &s, DB_NO_ARGS, &r, &f->e));
    for (size_t i = 0; i < r.n_rows * r.n_cols; i++)
        n += r.cells[i].type == DB_TEXT && str_eq(r.cells[i].s, text);
    return n;
}

static size_t mentions_everywhere(struct fixture *f, struct str text, size_t *n_tables)
{
    static const struct db_stmt tables[] = {
        {"tables", "SELECT name FROM sqlite_master WHERE type = 'table'", DB_LIST, 0},
        {"audit_tables", "SELECT name FROM sqlite_master WHERE type = 'table'", DB_LIST, DB_AUDIT},
        {"pg_tables",
         "SELECT CAST(tablename AS TEXT) FROM pg_tables WHERE schemaname = current_schema()",
         DB_LIST, 0}};
    size_t first = fixture_postgres() ? 2 : 0, end = fixture_postgres() ? 3 : 2;
    size_t n = 0;
    *n_tables = 0;
    for (size_t i = first; i < end; i++) {
        struct db_rows r;
        OK(f, db_run(f->db, f->a, &tables[i], DB_NO_ARGS, &r, &f->e));
        for (size_t row = 0; row < r.n_rows; row++) {
            size_t here = mentions(f, tables[i].flags, db_text(&r, row, 0), text);
            n += here;
            *n_tables += here > 0;
        }
    }
    return n;
}

static void record(struct fixture *f, struct audit_log *log, struct str org, int n)
{
    struct audit_row row = {
        .at = NOW, .org_id = org, .kind = STR("call"), .outcome = STR("ok"), .name = STR("find")};
    for (int i = 0; i < n; i++) {
        OK(f, audit_reserve(log, &f->e));
        OK(f, audit_submit(log, &row, &f->e));
    }
}

static void delete_body(struct fixture *f)
{
    struct tenant a = make_tenant(f, "aaa"), b = make_tenant(f, "bbb");
    struct audit_config c = {.store = f->store, .flush_ms = 1, .retention_days = 30000};
    struct audit_log *log = audit_start(&c, &f->e);
    assert_non_null(log);
    record(f, log, a.org, 2500); /* more than two pieces */
    record(f, log, b.org, 10);
    audit_stop(log);

    size_t n_tables = 0;
    assert_true(mentions_everywhere(f, a.org, &n_tables) > 0);
    assert_true(n_tables >= 10); /* the fixture has a row in every tenant's table */
    size_t before = mentions_everywhere(f, b.org, &n_tables);
    FAILS(f, ERR_NOT_FOUND, orgs_delete(f->db, f->a, STR("org_none"), NOW, &f->e));
    OK(f, orgs_delete(f->db, f->a, a.org, NOW, &f->e));
    assert_int_equal(mentions_everywhere(f, a.org, &n_tables), 0);
    assert_int_equal(mentions_everywhere(f, b.org, &n_tables), before);
    struct user u;
    OK(f, users_get(f->db, f->a, a.owner, &u, &f->e));
    (void)make_org(f, "aaa", a.owner); /* the slug went with it */
}

static void a_deleted_organization_leaves_no_row(unused_arg void **state)
{
    with_store(delete_body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connection_lives_in_its_organization_only),
        cmocka_unit_test(a_note_invalidates_only_when_the_era_changes),
        cmocka_unit_test(a_recorded_list_leaves_the_administrators_marks),
        cmocka_unit_test(a_credential_belongs_to_its_organization),
        cmocka_unit_test(a_deleted_organization_leaves_no_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
