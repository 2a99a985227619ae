/* Migrations of this test's own: blocks for one database, and text that is hard to embed. */
#include "unit/store_fixture.h"

#include "store/migrate_files.h"

const struct migration migrations[] = {
    {"0001_dialects.sql", "CREATE TABLE t (k TEXT);\n"
                          "-- only: sqlite\n"
                          "INSERT INTO t VALUES ('sqlite; \"quoted\" \\ [x]');\n"
                          "-- end\n"
                          "-- only: postgres\n"
                          "COMMENT ON TABLE t IS 'not for SQLite';\n"
                          "INSERT INTO t VALUES ('postgres');\n"
                          "-- end\n"
                          "INSERT INTO t VALUES ('both')"},
    {"0002_half.sql", "INSERT INTO t VALUES ('half');\nINSERT INTO nowhere VALUES (1);\n"},
};
const size_t n_migrations = ARRAY_LEN(migrations);

static const struct db_stmt all = {"all", "SELECT k FROM t ORDER BY k", DB_LIST, 0};

static void rows_body(struct fixture *f)
{
    struct db_rows r;
    OK(f, db_run(f->db, f->a, &all, DB_NO_ARGS, &r, &f->e));
    assert_int_equal(r.n_rows, 2);
    assert_str(db_text(&r, 0, 0), "both");
    if (fixture_postgres())
        assert_str(db_text(&r, 1, 0), "postgres");
    else
        assert_str(db_text(&r, 1, 0), "sqlite; \"quoted\" \\ [x]");
}

static void
blocks_for_other_databases_are_left_out_and_half_a_file_is_undone(unused_arg void **state)
{
    struct fixture f;
    int applied = -1;
    fixture_begin(&f);
    struct db_store *s = fixture_open(&f);
    FAILS(&f, ERR_INTERNAL, migrate_run(s, &applied, &f.e));
    assert_non_null(strstr(f.e.msg, "0002_half.sql"));
    FAILS(&f, ERR_UNAVAILABLE, migrate_check(s, &f.e)); /* the first stays */
    assert_non_null(strstr(f.e.msg, "0002_half.sql"));
    db_close(s);
    fixture_run(&f, rows_body);
    fixture_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_for_other_databases_are_left_out_and_half_a_file_is_undone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
