/* Migrations: once, in order, with an unchanged past. */
#include "unit/store_fixture.h"

#include <pthread.h>

#include "store/db_adapter.h"
#include "store/migrate_files.h"

static void change(struct fixture *f, const char *sql)
{
    static const struct db_stmt kinds[] = {
        {"forge_checksum", "UPDATE schema_migrations SET sha256 = 'x'", DB_WRITE, DB_MUST_AFFECT},
        {"forge_future", "INSERT INTO schema_migrations VALUES ('main', '9999_future.sql', 'x', 1)",
         DB_WRITE, 0},
        {"forge_hole",
         "UPDATE schema_migrations SET name = '9998_later.sql' WHERE name = "
         "(SELECT max(name) FROM schema_migrations WHERE store = 'main')",
         DB_WRITE, DB_MUST_AFFECT},
        {"forget_audit", "DELETE FROM schema_migrations WHERE store = 'audit'", DB_WRITE,
         DB_MUST_AFFECT | DB_AUDIT},
    };
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (strcmp(kinds[i].name, sql) == 0)
            OK(f, db_run(f->db, f->a, &kinds[i], DB_NO_ARGS, NULL, &f->e));
}

static void forge_checksum(struct fixture *f)
{
    change(f, "forge_checksum");
}

static void forge_future(struct fixture *f)
{
    change(f, "forge_future");
}

static void forge_hole(struct fixture *f)
{
    change(f, "forge_hole");
}

static void forget_audit(struct fixture *f)
{
    change(f, "forget_audit");
}

static void migrations_run_once(unused_arg void **state)
{
    struct fixture f;
    int applied = -1;
    fixture_begin(&f);
    struct db_store *s = fixture_open(&f);
    FAILS(&f, ERR_UNAVAILABLE, migrate_check(s, &f.e));
    assert_non_null(strstr(f.e.msg, migrations[0].name));
    OK(&f, migrate_run(s, &applied, &f.e));
    assert_int_equal(applied, n_migrations);
    OK(&f, migrate_check(s, &f.e));
    OK(&f, migrate_run(s, &applied, &f.e));
    assert_int_equal(applied, 0);
    db_close(s);
    fixture_end(&f);
}

struct racer {
    struct db_store *store;
    int applied;
    bool is_ok;
};

static void *race(void *arg)
{
    struct racer *r = arg;
    struct err e;
    r->is_ok = migrate_run(r->store, &r->applied, &e);
    return NULL;
}

static void two_processes_may_migrate_at_once(unused_arg void **state)
{
    struct fixture f;
    struct racer r[2];
    pthread_t threads[2];
    fixture_begin(&f);
    for (int i = 0; i < 2; i++)
        r[i] = (struct racer){.store = fixture_open(&f)};
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, race, &r[i]), 0);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    assert_true(r[0].is_ok && r[1].is_ok);
    assert_int_equal(r[0].applied + r[1].applied, n_migrations);
    for (int i = 0; i < 2; i++)
        db_close(r[i].store);
    fixture_end(&f);
}

static void past_is_refused(void (*forge)(struct fixture *f), const char *naming)
{
    struct fixture f;
    int applied = -1;
    fixture_begin(&f);
    fixture_migrate(&f);
    fixture_run(&f, forge);
    struct db_store *s = fixture_open(&f);
    FAILS(&f, ERR_CONFLICT, migrate_run(s, &applied, &f.e));
    assert_non_null(strstr(f.e.msg, naming));
    FAILS(&f, ERR_CONFLICT, migrate_check(s, &f.e));
    assert_int_equal(applied, -1);
    db_close(s);
    fixture_end(&f);
}

static void a_changed_migration_is_refused(unused_arg void **state)
{
    past_is_refused(forge_checksum, migrations[0].name);
}

static void a_database_from_a_newer_version_is_refused(unused_arg void **state)
{
    past_is_refused(forge_future, "9999_future.sql");
}

static void an_unknown_past_is_refused(unused_arg void **state)
{
    past_is_refused(forge_hole, "9998_later.sql");
}

static void a_migration_that_fails_changes_nothing(unused_arg void **state)
{
    struct fixture f;
    int applied = -1;
    fixture_begin(&f);
    fixture_migrate(&f);
    fixture_run(&f, forget_audit); /* the table is there, its record is not */
    struct db_store *s = fixture_open(&f);
    FAILS(&f, ERR_INTERNAL, migrate_run(s, &applied, &f.e));
    assert_non_null(strstr(f.e.msg, "audit"));
    FAILS(&f, ERR_UNAVAILABLE, migrate_check(s, &f.e));
    db_close(s);
    fixture_end(&f);
}

static const struct migration *migration_of(const char *name)
{
    for (size_t i = 0; i < n_migrations; i++)
        if (strcmp(migrations[i].name, name) == 0)
            return &migrations[i];
    fail_msg("no migration %s", name);
    return NULL;
}

/* The audit as it was before 0021, with two rows. */
static void audit_before_order(struct fixture *f, struct db_store *s)
{
    const struct db_adapter *adapter = s->adapter;
    struct db_script *script = adapter->script_open(s, true, &f->e);
    assert_non_null(script);
    static const char two_rows[] =
        "INSERT INTO audit (id, org_id, chain, seq, at, kind, outcome, duration_us, bytes_in, "
        "bytes_out, prev_hash, hash) VALUES ('evt_2', 'org_a', 'chn_1', 2, 20, 'call', 'ok', 1, 2, "
        "3, 'h1', 'h2'), ('evt_1', 'org_a', 'chn_1', 1, 10, 'call', 'ok', 1, 2, 3, '', 'h1')";
    const char *const steps[] = {
        "DROP TABLE audit",
        migration_of("0002_audit.sql")->sql,
        migration_of("0017_audit_age.sql")->sql,
        two_rows,
        "DELETE FROM schema_migrations WHERE name = '0021_audit_order.sql'",
    };
    for (size_t i = 0; i < ARRAY_LEN(steps); i++)
        OK(f, adapter->script_exec(script, steps[i], &f->e));
    adapter->script_close(script);
}

static void audit_is_kept(struct fixture *f)
{
    static const struct db_stmt rows = {
        "audit_rows", "SELECT id, at, bytes_out, hash, user_id FROM audit ORDER BY at", DB_LIST,
        DB_AUDIT};
    struct db_rows r;
    OK(f, db_run(f->db, f->a, &rows, DB_NO_ARGS, &r, &f->e));
    assert_int_equal(r.n_rows, 2);
    for (size_t i = 0; i < r.n_rows; i++) {
        assert_int_equal(db_int(&r, i, 1), 10 * ((int)i + 1));
        assert_int_equal(db_int(&r, i, 2), 3);
        assert_true(str_is_absent(db_text(&r, i, 4)));
    }
    assert_str(db_text(&r, 0, 0), "evt_1");
    assert_str(db_text(&r, 1, 3), "h2");
}

static void what_was_recorded_before_stays_recorded(unused_arg void **state)
{
    struct fixture f;
    int applied = -1;
    fixture_begin(&f);
    fixture_migrate(&f);
    struct db_store *s = fixture_open(&f);
    audit_before_order(&f, s);
    OK(&f, migrate_run(s, &applied, &f.e));
    assert_int_equal(applied, 1);
    db_close(s);
    fixture_run(&f, audit_is_kept);
    fixture_end(&f);
}

static void migrations_are_embedded_byte_by_byte(unused_arg void **state)
{
    assert_true(n_migrations >= 2);
    for (size_t i = 1; i < n_migrations; i++)
        assert_true(strcmp(migrations[i - 1].name, migrations[i].name) < 0);
    assert_non_null(strstr(migrations[0].sql, "CREATE TABLE users ("));
    assert_non_null(strstr(migrations[0].sql, "scope: '' for"));
    assert_true(strncmp(migrations[1].sql, "-- store: audit\n", 16) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(migrations_run_once),
        cmocka_unit_test(two_processes_may_migrate_at_once),
        cmocka_unit_test(a_changed_migration_is_refused),
        cmocka_unit_test(a_database_from_a_newer_version_is_refused),
        cmocka_unit_test(an_unknown_past_is_refused),
        cmocka_unit_test(a_migration_that_fails_changes_nothing),
        cmocka_unit_test(what_was_recorded_before_stays_recorded),
        cmocka_unit_test(migrations_are_embedded_byte_by_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
