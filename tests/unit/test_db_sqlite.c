/* The storage port: rows, batches, errors, epochs, durability. */
#include "unit/store_fixture.h"

#include <signal.h>
#include <sys/wait.h>

#include "base/limits.h"
#include "store/db_adapter.h"

static const struct db_stmt make = {
    "make", "CREATE TABLE IF NOT EXISTS t (k TEXT NOT NULL PRIMARY KEY, v BIGINT UNIQUE)", DB_WRITE,
    0};
static const struct db_stmt put = {"put", "INSERT INTO t (k, v) VALUES ($1, $2)", DB_WRITE, 0};
static const struct db_stmt put_durable = {"put_durable", "INSERT INTO t (k, v) VALUES ($1, $2)",
                                           DB_WRITE, DB_DURABLE};
static const struct db_stmt put_epoch = {"put_epoch", "INSERT INTO t (k, v) VALUES ($1, $2)",
                                         DB_WRITE, DB_INVALIDATES};
static const struct db_stmt bump = {"bump", "UPDATE t SET v = v + 1 WHERE k = $1 RETURNING v",
                                    DB_WRITE, DB_MUST_AFFECT};
static const struct db_stmt get = {"get", "SELECT v, k FROM t WHERE k = $1", DB_READ, 0};
static const struct db_stmt list = {"list", "SELECT k, v FROM t ORDER BY k", DB_LIST, 0};
static const struct db_stmt count = {"count", "SELECT count(*) FROM t", DB_READ, 0};

static int64_t rows_now(struct fixture *f)
{
    struct db_rows r;
    OK(f, db_one(f->db, f->a, &count, DB_NO_ARGS, &r, &f->e));
    return db_int(&r, 0, 0);
}

static void put_one(struct fixture *f, const struct db_stmt *s, const char *k, int64_t v)
{
    OK(f, db_run(f->db, f->a, s, DB_ARGS(A_STR(str_c(k)), A_INT(v)), NULL, &f->e));
}

static void values_body(struct fixture *f)
{
    struct db_rows r;
    OK(f, db_run(f->db, f->a, &make, DB_NO_ARGS, NULL, &f->e));
    put_one(f, &put, "a", INT64_MAX);
    OK(f, db_run(f->db, f->a, &put, DB_ARGS(A_STR(STR("")), A_NULL), &r, &f->e));
    assert_int_equal(r.n_affected, 1);
    OK(f, db_one(f->db, f->a, &get, DB_ARGS(A_STR(STR("a"))), &r, &f->e));
    assert_true(db_int(&r, 0, 0) == INT64_MAX);
    OK(f, db_one(f->db, f->a, &get, DB_ARGS(A_STR(STR(""))), &r, &f->e));
    assert_int_equal(db_int(&r, 0, 0), 0);
    assert_true(str_is_absent(db_text(&r, 0, 0)));
    assert_false(str_is_absent(db_text(&r, 0, 1)));
    assert_int_equal(db_text(&r, 0, 1).n, 0);
    FAILS(f, ERR_NOT_FOUND, db_one(f->db, f->a, &get, DB_ARGS(A_STR(STR("z"))), &r, &f->e));
    OK(f, db_run(f->db, f->a, &list, DB_NO_ARGS, &r, &f->e));
    assert_int_equal(r.n_rows, 2);
    assert_str(db_text(&r, 1, 0), "a");
    OK(f, db_ping(f->db, &f->e));
}

static void values_come_back_as_they_went(unused_arg void **state)
{
    with_store(values_body);
}

static void batch_body(struct fixture *f)
{
    OK(f, db_run(f->db, f->a, &make, DB_NO_ARGS, NULL, &f->e));
    put_one(f, &put, "a", 1);
    struct db_batch b;
    db_batch_init(&b, f->a);
    db_batch_add(&b, &put, DB_ARGS(A_STR(STR("b")), A_INT(2)));
    db_batch_add(&b, &bump, DB_ARGS(A_STR(STR("nobody"))));
    FAILS(f, ERR_CONFLICT, db_batch_run(f->db, &b, NULL, &f->e));
    assert_non_null(strstr(f->e.msg, "bump"));
    assert_int_equal(rows_now(f), 1);

    struct db_rows r[2];
    db_batch_init(&b, f->a);
    db_batch_add(&b, &put, DB_ARGS(A_STR(STR("b")), A_INT(9)));
    db_batch_add(&b, &bump, DB_ARGS(A_STR(STR("b"))));
    OK(f, db_batch_run(f->db, &b, r, &f->e));
    assert_int_equal(r[1].n_rows, 1);
    assert_int_equal(db_int(&r[1], 0, 0), 10);
    assert_int_equal(rows_now(f), 2);
}

static void a_statement_that_must_affect_rolls_its_batch_back(unused_arg void **state)
{
    with_store(batch_body);
}

static void too_large_body(struct fixture *f)
{
    static const struct db_stmt boast = {
        "boast", "UPDATE t SET v = v + 1 RETURNING hex(zeroblob(20000000))", DB_WRITE, 0};
    struct db_rows r;
    OK(f, db_run(f->db, f->a, &make, DB_NO_ARGS, NULL, &f->e));
    put_one(f, &put, "a", 1);
    FAILS(f, ERR_UNAVAILABLE, db_run(f->db, f->a, &boast, DB_NO_ARGS, &r, &f->e));
    OK(f, db_one(f->db, f->a, &get, DB_ARGS(A_STR(STR("a"))), &r, &f->e));
    assert_int_equal(db_int(&r, 0, 0), 1);
}

static void a_statement_whose_answer_is_too_large_changes_nothing(unused_arg void **state)
{
    ONLY_SQLITE();
    with_store(too_large_body);
}

static void conflict_body(struct fixture *f)
{
    OK(f, db_run(f->db, f->a, &make, DB_NO_ARGS, NULL, &f->e));
    put_one(f, &put, "a", 1);
    FAILS(f, ERR_CONFLICT,
          db_run(f->db, f->a, &put, DB_ARGS(A_STR(STR("a")), A_INT(2)), NULL, &f->e));
    assert_null(strstr(f->e.msg, "INSERT"));
    assert_null(strstr(f->e.msg, "t.k"));
}

static void a_unique_violation_is_a_conflict_without_sql(unused_arg void **state)
{
    with_store(conflict_body);
}

/* Many fibers at once, every other one failing: each gets its own answer out of shared
 * transactions. */
struct writer {
    struct fixture *f;
    int i;
    int *left;
    struct fiber_wait *all;
    bool is_ok;
    struct err e;
};

static void write_one(void *arg)
{
    struct writer *w = arg;
    struct arena *a = arena_new(LIMIT_BODY_SMALL);
    int64_t v = w->i % 2 ? w->i : 0; /* v is unique: the even ones collide with the first */
    char k[16];
    snprintf(k, sizeof k, "%d", w->i);
    w->is_ok = db_run(w->f->db, a, &put, DB_ARGS(A_STR(str_c(k)), A_INT(v)), NULL, &w->e);
    arena_end(a);
    if (--*w->left == 0)
        fiber_wake(w->all);
}

static void group_body(struct fixture *f)
{
    enum { N = 200 };
    static struct writer w[N];
    int left = N;
    struct fiber_wait all = {0};
    OK(f, db_run(f->db, f->a, &make, DB_NO_ARGS, NULL, &f->e));
    for (int i = 0; i < N; i++) {
        w[i] = (struct writer){.f = f, .i = i, .left = &left, .all = &all};
        OK(f, fiber_start(loop_self(), write_one, &w[i], NULL, &f->e));
    }
    OK(f, fiber_wait(&all, clock_mono_ms() + 60000, &f->e));
    for (int i = 0; i < N; i++) {
        assert_int_equal(w[i].is_ok, i % 2 == 1 || i == 0);
        if (!w[i].is_ok)
            assert_int_equal(w[i].e.code, ERR_CONFLICT);
    }
    assert_int_equal(rows_now(f), N / 2 + 1);
}

static void batches_of_one_group_fail_alone(unused_arg void **state)
{
    with_store(group_body);
}

static void epoch_body(struct fixture *f)
{
    OK(f, db_run(f->db, f->a, &make, DB_NO_ARGS, NULL, &f->e));
    uint64_t before = db_epoch(f->store);
    put_one(f, &put, "plain", 1);
    assert_int_equal(db_epoch(f->store), before);
    put_one(f, &put_epoch, "epoch", 2);
    assert_int_not_equal(db_epoch(f->store), before);
    before = db_epoch(f->store);
    FAILS(f, ERR_CONFLICT,
          db_run(f->db, f->a, &put_epoch, DB_ARGS(A_STR(STR("epoch")), A_INT(3)), NULL, &f->e));
    assert_int_equal(db_epoch(f->store), before);
}

static void the_epoch_moves_with_invalidating_commits_only(unused_arg void **state)
{
    with_store(epoch_body);
}

static void others_body(struct fixture *f)
{
    OK(f, db_run(f->db, f->a, &make, DB_NO_ARGS, NULL, &f->e));
    uint64_t before = db_epoch(f->store);
    struct db_store *other = fixture_open(f);
    struct db *db = db_attach(other, loop_self(), &f->e);
    OK(f, db_run(db, f->a, &put_epoch, DB_ARGS(A_STR(STR("x")), A_INT(1)), NULL, &f->e));
    db_detach(db);
    db_close(other);
    int64_t until = clock_mono_ms() + 20000;
    while (db_epoch(f->store) == before && clock_mono_ms() < until)
        OK(f, fiber_sleep_until(clock_mono_ms() + 10, &f->e));
    assert_int_not_equal(db_epoch(f->store), before);
}

static void the_epoch_moves_when_another_process_commits(unused_arg void **state)
{
    with_store(others_body);
}

/* One change of another process, then its lock, for which our writer waits. */
static void held_body(struct fixture *f)
{
    const struct db_adapter *adapter = f->store->adapter;
    int left = 1;
    struct fiber_wait all = {0};
    struct writer w = {.f = f, .i = 1, .left = &left, .all = &all};
    OK(f, db_run(f->db, f->a, &make, DB_NO_ARGS, NULL, &f->e));
    struct db_script *script = adapter->script_open(f->store, false, &f->e);
    assert_non_null(script);
    OK(f, fiber_sleep_until(clock_mono_ms() + 1500, &f->e));
    uint64_t before = db_epoch(f->store);
    OK(f, adapter->script_exec(script, "INSERT INTO t (k) VALUES ('x'); BEGIN IMMEDIATE", &f->e));
    OK(f, fiber_start(loop_self(), write_one, &w, NULL, &f->e));
    int64_t until = clock_mono_ms() + 2500;
    while (db_epoch(f->store) == before && clock_mono_ms() < until)
        OK(f, fiber_sleep_until(clock_mono_ms() + 10, &f->e));
    bool is_heard = db_epoch(f->store) != before;
    OK(f, adapter->script_exec(script, "COMMIT", &f->e));
    adapter->script_close(script);
    OK(f, fiber_wait(&all, clock_mono_ms() + 20000, &f->e));
    assert_true(is_heard && w.is_ok);
}

static void
what_another_process_committed_is_heard_of_while_it_holds_the_lock(unused_arg void **state)
{
    ONLY_SQLITE();
    with_store(held_body);
}

/* A connection of its own commits at once, without a wait of this fiber. */
static void put_aside(struct fixture *f, const char *k)
{
    char sql[64];
    snprintf(sql, sizeof sql, "INSERT INTO t (k) VALUES ('%s')", k);
    struct db_script *script = f->store->adapter->script_open(f->store, false, &f->e);
    assert_non_null(script);
    OK(f, f->store->adapter->script_exec(script, sql, &f->e));
    f->store->adapter->script_close(script);
}

static void one_run_body(struct fixture *f)
{
    OK(f, db_run(f->db, f->a, &make, DB_NO_ARGS, NULL, &f->e));
    assert_int_equal(rows_now(f), 0);
    put_aside(f, "a");
    assert_int_equal(rows_now(f), 0);
    fiber_yield();
    assert_int_equal(rows_now(f), 1);
    put_aside(f, "b");
    atomic_fetch_add(&f->store->epoch, 1);
    assert_int_equal(rows_now(f), 2);
    put_one(f, &put, "c", 1);
    assert_int_equal(rows_now(f), 3);
}

static void reads_see_one_moment_until_a_wait_or_a_new_epoch(unused_arg void **state)
{
    ONLY_SQLITE();
    with_store(one_run_body);
}

static void deadline_body(struct fixture *f)
{
    /* Longer than any deadline: the list must be cut, and the loop must not wait for it meanwhile.
     */
    static const struct db_stmt heavy = {
        "heavy",
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n",
        DB_LIST, 0};
    static const struct db_stmt heavy_read = {
        "heavy_read",
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000000000) "
        "SELECT max(i) FROM n",
        DB_READ, 0};
    struct db_rows r;
    FAILS(f, ERR_TIMEOUT, db_run(f->db, f->a, &heavy, DB_NO_ARGS, &r, &f->e));
    FAILS(f, ERR_TIMEOUT, db_run(f->db, f->a, &heavy_read, DB_NO_ARGS, &r, &f->e));
    OK(f, db_ping(f->db, &f->e));
}

static void a_heavy_list_ends_at_its_deadline(unused_arg void **state)
{
    with_store(deadline_body);
}

static void cancelled_write(void *arg)
{
    struct writer *w = arg;
    write_one(w);
}

static void cancel_body(struct fixture *f)
{
    OK(f, db_run(f->db, f->a, &make, DB_NO_ARGS, NULL, &f->e));
    static struct writer w[50];
    int left = 50;
    struct fiber_wait all = {0};
    for (int i = 0; i < 50; i++) {
        struct fiber *fiber;
        w[i] = (struct writer){.f = f, .i = 2 * i + 1, .left = &left, .all = &all};
        OK(f, fiber_start(loop_self(), cancelled_write, &w[i], &fiber, &f->e));
        fiber_cancel(fiber);
    }
    OK(f, fiber_wait(&all, clock_mono_ms() + 60000, &f->e));
    for (int i = 0; i < 50; i++)
        assert_true(w[i].is_ok || w[i].e.code == ERR_CANCELLED);
    put_one(f, &put, "after", 1000);
}

static void a_waiter_that_gave_up_harms_nobody(unused_arg void **state)
{
    with_store(cancel_body);
}

/* The child says each row's number once its write has returned; then it is killed mid-work. */
static void killed_body(struct fixture *f)
{
    OK(f, db_run(f->db, f->a, &make, DB_NO_ARGS, NULL, &f->e));
    for (int64_t i = 0;; i++) {
        char k[32];
        snprintf(k, sizeof k, "%lld", (long long)i);
        struct arena *a = arena_new(LIMIT_BODY_SMALL);
        if (!db_run(f->db, a, i % 2 ? &put : &put_durable, DB_ARGS(A_STR(str_c(k)), A_INT(i)), NULL,
                    &f->e) ||
            write(STDOUT_FILENO, &i, sizeof i) != sizeof i)
            _exit(1);
        arena_end(a);
    }
}

static int64_t acknowledged;

static void survivors_body(struct fixture *f)
{
    struct db_rows r;
    for (int64_t i = 0; i <= acknowledged; i++) {
        char k[32];
        snprintf(k, sizeof k, "%lld", (long long)i);
        OK(f, db_one(f->db, f->a, &get, DB_ARGS(A_STR(str_c(k))), &r, &f->e));
    }
}

static void every_acknowledged_row_survives_kill_9(unused_arg void **state)
{
    struct fixture f;
    fixture_begin(&f);
    offload_free(f.offload); /* no threads across fork */
    f.offload = NULL;
    fixture_migrate(&f);
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDOUT_FILENO);
        fixture_run(&f, killed_body);
        _exit(0);
    }
    close(ends[1]);
    int64_t i = -1;
    while (i < 300 && read(ends[0], &i, sizeof i) == sizeof i)
        acknowledged = i;
    kill(child, SIGKILL);
    while (read(ends[0], &i, sizeof i) == sizeof i) /* said before it died */
        acknowledged = i;
    close(ends[0]);
    int status = 0;
    waitpid(child, &status, 0);
    assert_true(WIFSIGNALED(status));
    assert_true(acknowledged >= 300);
    f.offload = offload_new(1, &f.e);
    fixture_run(&f, survivors_body);
    fixture_end(&f);
}

static void files_are_for_their_owner_only(unused_arg void **state)
{
    struct fixture f;
    fixture_begin(&f);
    snprintf(f.url, sizeof f.url, "sqlite:%s/data/x.db", f.dir);
    fixture_migrate(&f);
    char path[160];
    struct stat s;
    snprintf(path, sizeof path, "%s/data", f.dir);
    assert_int_equal(stat(path, &s), 0);
    assert_int_equal(s.st_mode & 0777, 0700);
    static const char *const names[] = {"x.db", "x-audit.db"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        snprintf(path, sizeof path, "%s/data/%s", f.dir, names[i]);
        assert_int_equal(stat(path, &s), 0);
        assert_int_equal(s.st_mode & 0777, 0600);
    }
    fixture_end(&f);
}

static void unusable_urls_are_refused(unused_arg void **state)
{
    struct err e;
    assert_null(db_open(&(struct db_config){.url = "mysql://x"}, &e));
    assert_int_equal(e.code, ERR_INVALID);
    assert_null(db_open(&(struct db_config){.url = "postgresql://u:hunter2@[::1/y"}, &e));
    assert_int_equal(e.code, ERR_INVALID);
    assert_non_null(strstr(e.msg, "postgresql://"));
    assert_null(strstr(e.msg, "hunter2"));
    assert_null(strstr(e.detail, "hunter2"));
    assert_null(db_open(&(struct db_config){.url = "sqlite:"}, &e));
    assert_int_equal(e.code, ERR_INVALID);
    assert_null(db_open(&(struct db_config){.url = "sqlite:/nowhere/at/all/x.db"}, &e));
    assert_int_equal(e.code, ERR_UNAVAILABLE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_acknowledged_row_survives_kill_9),
        cmocka_unit_test(values_come_back_as_they_went),
        cmocka_unit_test(a_statement_that_must_affect_rolls_its_batch_back),
        cmocka_unit_test(a_statement_whose_answer_is_too_large_changes_nothing),
        cmocka_unit_test(a_unique_violation_is_a_conflict_without_sql),
        cmocka_unit_test(batches_of_one_group_fail_alone),
        cmocka_unit_test(the_epoch_moves_with_invalidating_commits_only),
        cmocka_unit_test(the_epoch_moves_when_another_process_commits),
        cmocka_unit_test(what_another_process_committed_is_heard_of_while_it_holds_the_lock),
        cmocka_unit_test(reads_see_one_moment_until_a_wait_or_a_new_epoch),
        cmocka_unit_test(a_heavy_list_ends_at_its_deadline),
        cmocka_unit_test(a_waiter_that_gave_up_harms_nobody),
        cmocka_unit_test(files_are_for_their_owner_only),
        cmocka_unit_test(unusable_urls_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
