/* What PostgreSQL alone can do to the storage port: losing connections, deadlines, other nodes. */
#include "unit/store_fixture.h"

#include "base/limits.h"

static const struct db_stmt make = {
    "make", "CREATE TABLE IF NOT EXISTS t (k TEXT NOT NULL PRIMARY KEY, v BIGINT)", DB_WRITE, 0};
static const struct db_stmt put = {"put", "INSERT INTO t (k, v) VALUES ($1, $2)", DB_WRITE, 0};
static const struct db_stmt put_durable = {"put_durable", "INSERT INTO t (k, v) VALUES ($1, $2)",
                                           DB_WRITE, DB_DURABLE};
static const struct db_stmt put_epoch = {"put_epoch", "INSERT INTO t (k, v) VALUES ($1, $2)",
                                         DB_WRITE, DB_INVALIDATES | DB_DURABLE};
static const struct db_stmt touch = {"touch", "UPDATE t SET v = v + 1 WHERE k = $1", DB_WRITE, 0};
static const struct db_stmt must_touch = {"must_touch", "UPDATE t SET v = v + 1 WHERE k = $1",
                                          DB_WRITE, DB_MUST_AFFECT};
static const struct db_stmt get = {"get", "SELECT v, k FROM t WHERE k = $1", DB_READ, 0};
static const struct db_stmt count = {"count", "SELECT count(*) FROM t", DB_READ, 0};
static const struct db_stmt sleep_read = {
    "sleep_read", "SELECT CAST(pg_sleep(CAST($1 AS BIGINT)) AS TEXT)", DB_READ, 0};
static const struct db_stmt sleep_list = {
    "sleep_list", "SELECT CAST(pg_sleep(CAST($1 AS BIGINT)) AS TEXT)", DB_LIST, 0};
/* Marks the session, so that a test finds its own connections and nobody else's. */
static const struct db_stmt mark = {
    "mark", "SELECT CAST(pg_advisory_lock_shared(4711, hashtext(current_schema())) AS TEXT)",
    DB_READ, 0};
/* All marked connections of this schema but the one that asks; they are gone when it answers. */
static const struct db_stmt terminate = {
    "terminate",
    "SELECT count(pg_terminate_backend(pid, 20000)) FROM (SELECT DISTINCT pid FROM pg_locks WHERE "
    "locktype = 'advisory' AND classid = 4711 AND "
    "objid = CAST(hashtext(current_schema()) AS OID)) x WHERE pid <> pg_backend_pid()",
    DB_READ, 0};
static const struct db_stmt kill_pid = {
    "kill_pid", "SELECT pg_terminate_backend(CAST(CAST($1 AS BIGINT) AS INTEGER))", DB_READ, 0};

static void on_postgres(void (*body)(struct fixture *f))
{
    ONLY_POSTGRES();
    with_store(body);
}

static int64_t rows_now(struct fixture *f)
{
    struct db_rows r;
    OK(f, db_one(f->db, f->a, &count, DB_NO_ARGS, &r, &f->e));
    return db_int(&r, 0, 0);
}

static void put_one(struct fixture *f, const struct db_stmt *s, const char *k)
{
    OK(f, db_run(f->db, f->a, s, DB_ARGS(A_STR(str_c(k)), A_INT(1)), NULL, &f->e));
}

/* Ends every connection of f's handle, from another handle. */
static void terminate_mine(struct fixture *f)
{
    struct db_rows r;
    for (int i = 0; i < 20; i++) /* enough to meet both connections when several are under way */
        OK(f, db_one(f->db, f->a, &mark, DB_NO_ARGS, &r, &f->e));
    struct db *other = db_attach(f->store, loop_self(), &f->e);
    assert_non_null(other);
    OK(f, db_one(other, f->a, &terminate, DB_NO_ARGS, &r, &f->e));
    assert_true(db_int(&r, 0, 0) >= 1);
    db_detach(other);
}

static void lost_body(struct fixture *f)
{
    OK(f, db_run(f->db, f->a, &make, DB_NO_ARGS, NULL, &f->e));
    put_one(f, &put, "a");
    struct db_rows r;
    for (int round = 0; round < 3; round++) {
        terminate_mine(f);
        /* Prepared statements are prepared again on the new connection. */
        OK(f, db_one(f->db, f->a, &get, DB_ARGS(A_STR(STR("a"))), &r, &f->e));
    }
    put_one(f, &put, "b");
    assert_int_equal(rows_now(f), 2);
}

static void a_terminated_connection_is_replaced(unused_arg void **state)
{
    on_postgres(lost_body);
}

/* One statement in a fiber of its own. */
struct run {
    struct fixture *f;
    const struct db_stmt *stmt;
    struct db_value arg;
    struct fiber_wait done;
    bool is_ok;
    struct db_rows rows;
    struct arena *a;
    struct err e;
};

static void run_fiber(void *arg)
{
    struct run *run = arg;
    struct db_args args = {&run->arg, 1};
    run->is_ok = db_run(run->f->db, run->a, run->stmt, args, &run->rows, &run->e);
    fiber_wake(&run->done);
}

static struct fiber *run_start(struct fixture *f, struct run *run, const struct db_stmt *stmt,
                               struct db_value arg)
{
    struct fiber *fiber = NULL;
    *run = (struct run){.f = f, .stmt = stmt, .arg = arg, .a = arena_new(LIMIT_BODY_SMALL)};
    OK(f, fiber_start(loop_self(), run_fiber, run, &fiber, &f->e));
    return fiber;
}

static void run_wait(struct fixture *f, struct run *run)
{
    OK(f, fiber_wait(&run->done, clock_mono_ms() + 30000, &f->e));
}

/* Ends the connection on which a statement that begins like this sleeps. */
static void sleeper_terminate(struct fixture *f, struct db *other, const char *beginning)
{
    static const struct db_stmt sleepers = {
        "sleepers",
        "SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND query LIKE $1 || '%' "
        "AND pid IN (SELECT pid FROM pg_locks WHERE relation = to_regclass('t'))",
        DB_LIST, 0};
    struct db_rows r;
    do
        OK(f, db_run(other, f->a, &sleepers, DB_ARGS(A_STR(str_c(beginning))), &r, &f->e));
    while (r.n_rows == 0);
    OK(f, db_run(other, f->a, &kill_pid, DB_ARGS(A_INT(db_int(&r, 0, 0))), NULL, &f->e));
}

static void busy_lost_body(struct fixture *f)
{
    static const struct db_stmt slow_list = {
        "slow_list", "SELECT v FROM t WHERE k = $1 AND pg_sleep(1) IS NOT NULL", DB_LIST, 0};
    static const struct db_stmt slow_touch = {
        "slow_touch", "UPDATE t SET v = v + 1 WHERE k = $1 AND pg_sleep(1) IS NOT NULL", DB_WRITE,
        0};
    struct run read, write;
    struct db_rows r;
    OK(f, db_run(f->db, f->a, &make, DB_NO_ARGS, NULL, &f->e));
    put_one(f, &put, "a");
    struct db *other = db_attach(f->store, loop_self(), &f->e);
    run_start(f, &read, &slow_list, A_STR(STR("a")));
    sleeper_terminate(f, other, "SELECT v FROM t WHERE k");
    run_wait(f, &read);
    OK(f, read.is_ok); /* sent once more */
    assert_int_equal(read.rows.n_rows, 1);
    run_start(f, &write, &slow_touch, A_STR(STR("a")));
    sleeper_terminate(f, other, "UPDATE t SET v = v + 1 WHERE k");
    run_wait(f, &write);
    assert_false(write.is_ok);
    assert_int_equal(write.e.code, ERR_UNAVAILABLE);
    OK(f, db_one(f->db, f->a, &get, DB_ARGS(A_STR(STR("a"))), &r, &f->e));
    assert_int_equal(db_int(&r, 0, 0), 1);
    arena_end(read.a);
    arena_end(write.a);
    db_detach(other);
}

static void a_read_is_sent_again_and_a_write_is_not(unused_arg void **state)
{
    on_postgres(busy_lost_body);
}

static void deadline_body(struct fixture *f)
{
    struct db_rows r;
    int64_t before = clock_mono_ms();
    FAILS(f, ERR_TIMEOUT, db_run(f->db, f->a, &sleep_read, DB_ARGS(A_INT(60)), &r, &f->e));
    assert_true(clock_mono_ms() - before < 2 * LIMIT_DB_MS);
    OK(f, db_ping(f->db, &f->e));
}

static void a_slow_statement_ends_at_its_deadline(unused_arg void **state)
{
    on_postgres(deadline_body);
}

static void cancel_body(struct fixture *f)
{
    struct run runs[2 * 40];
    OK(f, db_run(f->db, f->a, &make, DB_NO_ARGS, NULL, &f->e));
    put_one(f, &put, "a");
    for (size_t i = 0; i < ARRAY_LEN(runs); i++) {
        bool is_slow = i % 8 == 0;
        struct fiber *fiber = run_start(f, &runs[i], is_slow ? &sleep_list : &get,
                                        is_slow ? A_INT(0) : A_STR(STR("a")));
        if (i % 2 == 0 && !runs[i].done.is_done)
            fiber_cancel(fiber);
    }
    for (size_t i = 0; i < ARRAY_LEN(runs); i++) {
        run_wait(f, &runs[i]);
        if (i % 2 == 0)
            assert_true(runs[i].is_ok || runs[i].e.code == ERR_CANCELLED);
        else
            OK(f, runs[i].is_ok);
        if (runs[i].is_ok && runs[i].stmt == &get)
            assert_int_equal(db_int(&runs[i].rows, 0, 0), 1);
        arena_end(runs[i].a);
    }
    OK(f, db_ping(f->db, &f->e));
}

static void answers_reach_the_right_waiter_when_others_give_up(unused_arg void **state)
{
    on_postgres(cancel_body);
}

/* A transaction whose waiter leaves between its statements and COMMIT. */
static void batch_fiber(void *arg)
{
    struct run *run = arg;
    struct db_batch b;
    db_batch_init(&b, run->a);
    db_batch_add(&b, &put_epoch, DB_ARGS(run->arg, A_INT(5)));
    db_batch_add(&b, &must_touch, DB_ARGS(run->arg));
    run->is_ok = db_batch_run(run->f->db, &b, NULL, &run->e);
    fiber_wake(&run->done);
}

static void left_body(struct fixture *f)
{
    enum { N = 30 };
    struct run runs[N];
    char keys[N][16];
    int64_t n_ok = 0;
    OK(f, db_run(f->db, f->a, &make, DB_NO_ARGS, NULL, &f->e));
    for (int i = 0; i < N; i++) {
        struct fiber *fiber = NULL;
        snprintf(keys[i], sizeof keys[i], "k%d", i);
        runs[i] =
            (struct run){.f = f, .arg = A_STR(str_c(keys[i])), .a = arena_new(LIMIT_BODY_SMALL)};
        OK(f, fiber_start(loop_self(), batch_fiber, &runs[i], &fiber, &f->e));
        for (int turn = 0; turn < i % 5; turn++)
            fiber_yield();
        if (i % 2 == 0 && !runs[i].done.is_done)
            fiber_cancel(fiber);
    }
    for (int i = 0; i < N; i++) {
        run_wait(f, &runs[i]);
        assert_true(runs[i].is_ok || (i % 2 == 0 && runs[i].e.code == ERR_CANCELLED));
        n_ok += runs[i].is_ok;
        arena_end(runs[i].a);
    }
    assert_true(n_ok >= N / 2 && rows_now(f) >= n_ok);
    /* Nothing is left open: this would wait for another's row lock. */
    static const struct db_stmt touch_all = {"touch_all", "UPDATE t SET v = 7", DB_WRITE, 0};
    static const struct db_stmt open_now = {
        "open_now",
        "SELECT count(*) FROM pg_locks WHERE relation = to_regclass('t') AND pid <> "
        "pg_backend_pid()",
        DB_READ, 0};
    struct db_rows r;
    OK(f, db_run(f->db, f->a, &touch_all, DB_NO_ARGS, NULL, &f->e));
    OK(f, db_one(f->db, f->a, &open_now, DB_NO_ARGS, &r, &f->e));
    assert_int_equal(db_int(&r, 0, 0), 0);
}

static void a_transaction_whose_waiter_left_is_closed(unused_arg void **state)
{
    on_postgres(left_body);
}

static void nodes_body(struct fixture *f)
{
    OK(f, db_run(f->db, f->a, &make, DB_NO_ARGS, NULL, &f->e));
    struct db_store *node = fixture_open(f);
    struct db *db = db_attach(node, loop_self(), &f->e);
    assert_non_null(db);
    uint64_t mine = db_epoch(f->store), its = db_epoch(node);
    put_one(f, &put, "plain");
    OK(f, fiber_sleep_until(clock_mono_ms() + 1200, &f->e));
    assert_int_equal(db_epoch(node), its);

    put_one(f, &put_epoch, "epoch");
    assert_int_not_equal(db_epoch(f->store), mine);
    int64_t until = clock_mono_ms() + 20000;
    while (db_epoch(node) == its && clock_mono_ms() < until)
        OK(f, fiber_sleep_until(clock_mono_ms() + 5, &f->e));
    assert_int_not_equal(db_epoch(node), its);
    mine = db_epoch(f->store);
    OK(f, fiber_sleep_until(clock_mono_ms() + 1200, &f->e));
    assert_int_equal(db_epoch(f->store), mine); /* its own rows are no news to it */
    db_detach(db);
    db_close(node);
}

static void an_invalidation_reaches_the_other_nodes(unused_arg void **state)
{
    on_postgres(nodes_body);
}

/* Whoever waits leaves while COMMIT is under way: nobody hears that it succeeded, and the row of it
 * is this node's own. */
static void doubt_body(struct fixture *f)
{
    static const struct db_stmt hold = {
        "hold",
        "SELECT CAST(pg_advisory_lock(hashtext('tulle_invalidations'), hashtext(current_schema())) "
        "AS TEXT)",
        DB_READ, 0};
    static const struct db_stmt waiting = {
        "waiting",
        "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND classid = "
        "CAST(hashtext('tulle_invalidations') AS OID) AND objid = "
        "CAST(hashtext(current_schema()) AS OID)",
        DB_READ, 0};
    struct run run = {.f = f, .arg = A_STR(STR("a")), .a = arena_new(LIMIT_BODY_SMALL)};
    struct fiber *fiber = NULL;
    struct db_rows r;
    OK(f, db_run(f->db, f->a, &make, DB_NO_ARGS, NULL, &f->e));
    struct db *other = db_attach(f->store, loop_self(), &f->e);
    assert_non_null(other);
    OK(f, db_one(other, f->a, &hold, DB_NO_ARGS, &r, &f->e));
    OK(f, fiber_start(loop_self(), batch_fiber, &run, &fiber, &f->e));
    while (!db_one(f->db, f->a, &waiting, DB_NO_ARGS, &r, &f->e))
        OK(f, f->e.code == ERR_NOT_FOUND && fiber_sleep_until(clock_mono_ms() + 5, &f->e));
    fiber_cancel(fiber);
    run_wait(f, &run);
    assert_true(!run.is_ok && run.e.code == ERR_CANCELLED);
    arena_end(run.a);
    db_detach(other); /* with its session ends its lock */
    while (rows_now(f) == 0)
        OK(f, fiber_sleep_until(clock_mono_ms() + 5, &f->e));
    uint64_t epoch = db_epoch(f->store);
    int64_t until = clock_mono_ms() + 3000;
    while (db_epoch(f->store) == epoch && clock_mono_ms() < until)
        OK(f, fiber_sleep_until(clock_mono_ms() + 5, &f->e));
    assert_int_not_equal(db_epoch(f->store), epoch);
}

static void what_was_committed_unheard_invalidates_here_too(unused_arg void **state)
{
    on_postgres(doubt_body);
}

static void blocked_body(struct fixture *f)
{
    /* A statement after the one that touched no row fails, too: the first is named. */
    OK(f, db_run(f->db, f->a, &make, DB_NO_ARGS, NULL, &f->e));
    put_one(f, &put, "a");
    struct db_batch b;
    db_batch_init(&b, f->a);
    db_batch_add(&b, &put_durable, DB_ARGS(A_STR(STR("b")), A_INT(1)));
    db_batch_add(&b, &must_touch, DB_ARGS(A_STR(STR("nobody"))));
    db_batch_add(&b, &put, DB_ARGS(A_STR(STR("a")), A_INT(1)));
    FAILS(f, ERR_CONFLICT, db_batch_run(f->db, &b, NULL, &f->e));
    assert_non_null(strstr(f->e.detail, "must_touch: no row"));
    assert_int_equal(rows_now(f), 1);
}

static void the_first_statement_that_touched_no_row_is_named(unused_arg void **state)
{
    on_postgres(blocked_body);
}

static void deadlock_body(struct fixture *f)
{
    /* Two batches take two rows in opposite order, each in a round trip of many statements. */
    OK(f, db_run(f->db, f->a, &make, DB_NO_ARGS, NULL, &f->e));
    put_one(f, &put, "a");
    put_one(f, &put, "b");
    struct db_batch b;
    db_batch_init(&b, f->a);
    db_batch_add(&b, &touch, DB_ARGS(A_STR(STR("a"))));
    db_batch_add(&b, &touch, DB_ARGS(A_STR(STR("b"))));
    struct run other;
    static const struct db_stmt crossed = {
        "crossed",
        "WITH x AS (UPDATE t SET v = v + 1 WHERE k = 'b' RETURNING pg_sleep(1)), "
        "y AS (SELECT count(*) AS n FROM x) "
        "UPDATE t SET v = v + (SELECT n FROM y) WHERE k = $1",
        DB_WRITE, 0};
    run_start(f, &other, &crossed, A_STR(STR("a")));
    OK(f, fiber_sleep_until(clock_mono_ms() + 300, &f->e));
    OK(f, db_batch_run(f->db, &b, NULL, &f->e));
    run_wait(f, &other);
    OK(f, other.is_ok);
    arena_end(other.a);
    struct db_rows r;
    OK(f, db_one(f->db, f->a, &get, DB_ARGS(A_STR(STR("a"))), &r, &f->e));
    assert_int_equal(db_int(&r, 0, 0), 3);
}

static void a_deadlock_is_tried_again(unused_arg void **state)
{
    on_postgres(deadlock_body);
}

static void text_body(struct fixture *f)
{
    OK(f, db_run(f->db, f->a, &make, DB_NO_ARGS, NULL, &f->e));
    FAILS(f, ERR_INVALID,
          db_run(f->db, f->a, &put, DB_ARGS(A_STR(STR("a\0b")), A_INT(1)), NULL, &f->e));
    FAILS(f, ERR_INVALID,
          db_run(f->db, f->a, &put, DB_ARGS(A_STR(STR("\xff\xfe")), A_INT(1)), NULL, &f->e));
    assert_int_equal(rows_now(f), 0);
}

static void text_that_postgresql_cannot_keep_is_refused(unused_arg void **state)
{
    on_postgres(text_body);
}

static void away_fiber(void *arg)
{
    struct fixture *f = arg;
    f->db = db_attach(f->store, loop_self(), &f->e);
    assert_non_null(f->db);
    FAILS(f, ERR_UNAVAILABLE, db_ping(f->db, &f->e));
    assert_null(strstr(f->e.msg, "hunter2"));
    assert_null(strstr(f->e.detail, "hunter2"));
    assert_int_not_equal(db_epoch(f->store), 0); /* nobody can say what was revoked */
    db_detach(f->db);
}

static void an_absent_server_is_unavailable_and_its_url_is_not_told(unused_arg void **state)
{
    ONLY_POSTGRES();
    struct fixture f = {.url = "postgresql://somebody:hunter2@127.0.0.1:1/nothing"};
    int applied = 0;
    f.store = fixture_open(&f);
    FAILS(&f, ERR_UNAVAILABLE, migrate_run(f.store, &applied, &f.e));
    assert_null(strstr(f.e.msg, "hunter2"));
    assert_null(strstr(f.e.detail, "hunter2"));
    assert_true(fiber_main(away_fiber, &f, &f.e));
    db_close(f.store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_terminated_connection_is_replaced),
        cmocka_unit_test(a_read_is_sent_again_and_a_write_is_not),
        cmocka_unit_test(a_slow_statement_ends_at_its_deadline),
        cmocka_unit_test(answers_reach_the_right_waiter_when_others_give_up),
        cmocka_unit_test(a_transaction_whose_waiter_left_is_closed),
        cmocka_unit_test(an_invalidation_reaches_the_other_nodes),
        cmocka_unit_test(what_was_committed_unheard_invalidates_here_too),
        cmocka_unit_test(the_first_statement_that_touched_no_row_is_named),
        cmocka_unit_test(a_deadlock_is_tried_again),
        cmocka_unit_test(text_that_postgresql_cannot_keep_is_refused),
        cmocka_unit_test(an_absent_server_is_unavailable_and_its_url_is_not_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
