/* The audit log: rows, chains, bounds, durability, stream, retention. */
#include "unit/tenant_fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/limits.h"
#include "crypto/hash.h"
#include "log/metrics.h"
#include "store/audit.h"
#include "store/audit_queue.h"

static const struct db_page first_page = {.limit = LIMIT_LIST};
static const struct audit_filter any = {0};

static struct audit_log *start(struct fixture *f, bool sync, const char *stream)
{
    struct audit_config c = {
        .store = f->store, .sync = sync, .stream = stream, .retention_days = 90, .flush_ms = 5};
    struct audit_log *log = audit_start(&c, &f->e);
    if (!log)
        fail_msg("%s", f->e.msg);
    return log;
}

static struct audit_row row_of(struct str org, int64_t at)
{
    return (struct audit_row){.at = at,
                              .org_id = org,
                              .kind = STR("call"),
                              .user_id = STR("usr_1"),
                              .connection_id = STR("conn_1"),
                              .method = STR("tools/call"),
                              .name = STR("find"),
                              .outcome = STR("ok"),
                              .request_id = STR("req_1"),
                              .duration_us = 1500,
                              .bytes_in = 10,
                              .bytes_out = 20};
}

static void submit(struct fixture *f, struct audit_log *log, const struct audit_row *row)
{
    OK(f, audit_reserve(log, &f->e));
    OK(f, audit_submit(log, row, &f->e));
}

static void list_all(struct fixture *f, struct str org, struct audit_row **rows, size_t *n)
{
    OK(f, audit_list(f->db, f->a, org, &any, &first_page, rows, n, &f->e));
}

static void round_trip_body(struct fixture *f)
{
    int64_t now = clock_wall_ms();
    struct audit_log *log = start(f, false, NULL);
    struct audit_row row = row_of(STR("org_a"), now), *rows, got;
    submit(f, log, &row);
    row.at = now + 1;
    row.outcome = STR("denied");
    row.connection_id = STR("conn_2");
    row.name = (struct str){"bad \xff\0 text", 11};
    submit(f, log, &row);
    row = row_of(STR("org_b"), now);
    submit(f, log, &row);
    audit_stop(log);

    size_t n = 0;
    list_all(f, STR("org_a"), &rows, &n);
    assert_int_equal(n, 2);
    assert_str(rows[0].outcome, "denied"); /* newest first */
    assert_str(rows[0].name, "bad ?? text");
    assert_int_equal(rows[1].duration_us, 1500);
    assert_true(str_is_absent(rows[1].key_id) && str_is_absent(rows[1].error));
    assert_true(id_is(rows[0].id, "evt"));
    OK(f, audit_get(f->db, f->a, STR("org_a"), rows[0].id, &got, &f->e));
    FAILS(f, ERR_NOT_FOUND, audit_get(f->db, f->a, STR("org_b"), rows[0].id, &got, &f->e));
    struct str not_ids[] = {STR(""), STR("evt_1"), str_slice(rows[0].id, 0, rows[0].id.n - 1),
                            STR("evt_ffffffffffffffffffffffffffffffff"),
                            STR("conn_00000000000000000000000000000000")};
    for (size_t i = 0; i < ARRAY_LEN(not_ids); i++)
        FAILS(f, ERR_NOT_FOUND, audit_get(f->db, f->a, STR("org_a"), not_ids[i], &got, &f->e));

    struct audit_filter by = {.connection_id = STR("conn_2")};
    OK(f, audit_list(f->db, f->a, STR("org_a"), &by, &first_page, &rows, &n, &f->e));
    assert_int_equal(n, 1);
    by = (struct audit_filter){.outcome = STR("ok"), .to_at = now};
    OK(f, audit_list(f->db, f->a, STR("org_a"), &by, &first_page, &rows, &n, &f->e));
    assert_int_equal(n, 1);
    by = (struct audit_filter){.kind = STR("admin")};
    OK(f, audit_list(f->db, f->a, STR("org_a"), &by, &first_page, &rows, &n, &f->e));
    assert_int_equal(n, 0);
}

static void rows_come_back_newest_first_to_their_organization(unused_arg void **state)
{
    with_store(round_trip_body);
}

static void pages_body(struct fixture *f)
{
    int64_t now = clock_wall_ms();
    struct audit_log *log = start(f, false, NULL);
    for (int i = 0; i < 25; i++) {
        struct audit_row row = row_of(STR("org_a"), now + i / 10);
        submit(f, log, &row);
    }
    audit_stop(log);
    struct db_page page = {.limit = 4};
    size_t seen = 0, n = 5;
    while (n > 4) {
        struct audit_row *rows;
        OK(f, audit_list(f->db, f->a, STR("org_a"), &any, &page, &rows, &n, &f->e));
        size_t shown = n > 4 ? 4 : n;
        seen += shown;
        page.after_at = rows[shown - 1].at;
        page.after_id = rows[shown - 1].id;
    }
    assert_int_equal(seen, 25);
}

static void a_cursor_sees_every_row_once(unused_arg void **state)
{
    with_store(pages_body);
}

/* The number of rows of a chain whose hash is what it must be, oldest first. */
static size_t chain_verify(struct fixture *f, struct str org)
{
    static const struct db_stmt ends = {
        "chain", "SELECT seq, id FROM audit WHERE org_id = $1 ORDER BY chain, seq", DB_LIST,
        DB_AUDIT};
    struct db_rows r;
    OK(f, db_run(f->db, f->a, &ends, DB_ARGS(A_STR(org)), &r, &f->e));
    char hash[65] = "";
    for (size_t i = 0; i < r.n_rows; i++) {
        struct audit_row row;
        struct buf text;
        OK(f, audit_get(f->db, f->a, org, db_text(&r, i, 1), &row, &f->e));
        buf_init(&text, 65536);
        audit_canonical(&row, &text);
        struct str parts[] = {row.prev_hash, buf_str(&text)};
        struct sha256 h = hash_sha256_of(parts, 2);
        bool is_linked = str_eq(row.prev_hash, str_c(hash)) && row.seq == (int64_t)i + 1;
        hash_hex(&h, hash);
        buf_end(&text);
        if (!is_linked || !str_eq(row.hash, str_c(hash)))
            return i;
    }
    return r.n_rows;
}

static void chain_body(struct fixture *f)
{
    static const struct db_stmt tamper[] = {
        {"tamper", "UPDATE audit SET outcome = 'ok' WHERE org_id = 'org_a' AND seq = 1500",
         DB_WRITE, DB_AUDIT | DB_MUST_AFFECT},
        {"remove", "DELETE FROM audit WHERE org_id = 'org_b' AND seq = 7", DB_WRITE,
         DB_AUDIT | DB_MUST_AFFECT}};
    struct audit_log *log = start(f, false, NULL);
    int64_t now = clock_wall_ms();
    for (int i = 0; i < 2200; i++) { /* more than two transactions */
        struct audit_row row = row_of(i % 2 ? STR("org_b") : STR("org_a"), now);
        row.outcome = STR("denied");
        row.bytes_in = i;
        submit(f, log, &row);
        row.org_id = STR("org_a");
        submit(f, log, &row);
    }
    audit_stop(log);
    assert_int_equal(chain_verify(f, STR("org_a")), 3300);
    assert_int_equal(chain_verify(f, STR("org_b")), 1100);
    OK(f, db_run(f->db, f->a, &tamper[0], DB_NO_ARGS, NULL, &f->e));
    OK(f, db_run(f->db, f->a, &tamper[1], DB_NO_ARGS, NULL, &f->e));
    assert_int_equal(chain_verify(f, STR("org_a")), 1499);
    assert_int_equal(chain_verify(f, STR("org_b")), 6);
}

static void a_changed_or_missing_row_breaks_its_chain(unused_arg void **state)
{
    with_store(chain_body);
}

/* One statement for many rows, one for some, one for the last: and all of it again, as after an
 * outcome that nobody knows. */
static void twice_body(struct fixture *f)
{
    enum { N = 32 + 4 + 1 };
    char ids[N][ID_SIZE];
    struct audit_row made[N], *rows;
    const struct audit_row *all[N];
    int64_t now = clock_wall_ms();
    for (int i = 0; i < N; i++) {
        audit_id(now, ids[i]);
        made[i] = row_of(STR("org_a"), now);
        made[i].id = str_c(ids[i]);
        made[i].chain = made[i].prev_hash = made[i].hash = STR("x");
        made[i].seq = i;
        all[i] = &made[i];
    }
    for (int i = 0; i < 2; i++) {
        struct db_batch b;
        db_batch_init(&b, f->a);
        audit_insert(&b, all, N, i == 0);
        assert_int_equal(b.n, 3);
        OK(f, db_batch_run(f->db, &b, NULL, &f->e));
    }
    size_t n = 0;
    list_all(f, STR("org_a"), &rows, &n);
    assert_int_equal(n, N);
    for (int i = 0; i < N; i++) {
        struct audit_row got;
        OK(f, audit_get(f->db, f->a, STR("org_a"), made[i].id, &got, &f->e));
        assert_int_equal(got.seq, i);
        assert_str(got.request_id, "req_1");
    }
}

static void rows_written_twice_are_there_once(unused_arg void **state)
{
    with_store(twice_body);
}

/* ---- a full queue ---- */

struct waiter {
    struct audit_log *log;
    struct fiber *fiber;
    bool is_over, has_place;
    struct err e;
};

static void reserve_one(void *arg)
{
    struct waiter *w = arg;
    w->has_place = audit_reserve(w->log, &w->e);
    w->is_over = true;
}

static void waiters_start(struct fixture *f, struct audit_log *log, struct waiter *w, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        w[i] = (struct waiter){.log = log};
        OK(f, fiber_start(loop_self(), reserve_one, &w[i], &w[i].fiber, &f->e));
        assert_false(w[i].is_over);
    }
}

static void reserve_all(struct fixture *f, struct audit_log *log)
{
    for (int i = 0; i < LIMIT_AUDIT_QUEUE; i++)
        OK(f, audit_reserve(log, &f->e));
}

static void waiters_await(const struct waiter *w, size_t n)
{
    for (size_t i = 0; i < n; i++)
        while (!w[i].is_over)
            fiber_yield();
}

static void full_body(struct fixture *f)
{
    struct audit_log *log = start(f, false, NULL);
    struct audit_row row = row_of(STR("org_a"), clock_wall_ms());
    struct waiter w[4];
    int64_t waits = metric_value(M_AUDIT_WAITS), refused = metric_value(M_AUDIT_REFUSED);
    reserve_all(f, log);
    waiters_start(f, log, w, ARRAY_LEN(w));
    assert_int_equal(metric_value(M_AUDIT_WAITS), waits + 4);
    fiber_cancel(w[1].fiber);
    waiters_await(&w[1], 1);
    assert_false(w[1].has_place);
    assert_int_equal(w[1].e.code, ERR_CANCELLED);
    audit_release(log); /* the first in the queue has it */
    waiters_await(&w[0], 1);
    assert_true(w[0].has_place && !w[2].is_over && !w[3].is_over);
    OK(f, audit_submit(log, &row, &f->e)); /* a row that was written gives its place on, too */
    waiters_await(&w[2], 1);
    assert_true(w[2].has_place && !w[3].is_over);
    audit_release(log);
    fiber_cancel(w[3].fiber); /* what was given meanwhile is not lost */
    waiters_await(&w[3], 1);
    assert_true(w[3].has_place);
    FAILS(f, ERR_UNAVAILABLE, audit_reserve(log, &f->e));
    assert_int_equal(metric_value(M_AUDIT_REFUSED), refused + 1);
    for (int i = 0; i < LIMIT_AUDIT_QUEUE; i++)
        audit_release(log);
    reserve_all(f, log); /* none was lost, none is there twice */
    waiters_start(f, log, w, 1);
    fiber_cancel(w[0].fiber);
    waiters_await(&w[0], 1);
    audit_stop(log);
}

static void a_full_queue_makes_calls_wait_and_then_refuses(unused_arg void **state)
{
    with_store(full_body);
}

/* As above: the 1000 after those who may wait would take longer than the test may. */
static void crowd_body(struct fixture *f)
{
    static struct waiter w[LIMIT_AUDIT_WAITERS];
    struct audit_log *log = start(f, false, NULL);
    reserve_all(f, log);
    waiters_start(f, log, w, ARRAY_LEN(w));
    for (int i = 0; i < 1000; i++)
        FAILS(f, ERR_UNAVAILABLE, audit_reserve(log, &f->e));
    for (size_t i = 0; i < ARRAY_LEN(w); i++)
        if (i % 2)
            fiber_cancel(w[i].fiber);
        else
            audit_release(log);
    waiters_await(w, ARRAY_LEN(w));
    for (size_t i = 0; i < ARRAY_LEN(w); i++)
        if (w[i].has_place)
            audit_release(log);
    for (size_t i = ARRAY_LEN(w) / 2; i < LIMIT_AUDIT_QUEUE; i++)
        audit_release(log);
    reserve_all(f, log); /* none was lost, none is there twice */
    waiters_start(f, log, w, 1);
    fiber_cancel(w[0].fiber);
    waiters_await(w, 1);
    audit_stop(log);
}

static void only_so_many_wait(unused_arg void **state)
{
    with_store(crowd_body);
}

static const struct db_stmt hide = {"hide", "ALTER TABLE audit RENAME TO hidden", DB_WRITE,
                                    DB_AUDIT};
static const struct db_stmt show = {"show", "ALTER TABLE hidden RENAME TO audit", DB_WRITE,
                                    DB_AUDIT};

/* Each of these would wait for LIMIT_AUDIT_WAIT_MS, and the test for more than its time. */
static void away_body(struct fixture *f)
{
    struct audit_log *log = start(f, false, NULL);
    struct audit_row row = row_of(STR("org_a"), clock_wall_ms());
    struct waiter w[3];
    OK(f, db_run(f->db, f->a, &hide, DB_NO_ARGS, NULL, &f->e));
    reserve_all(f, log);
    waiters_start(f, log, w, ARRAY_LEN(w));
    OK(f, audit_submit(log, &row, &f->e));
    waiters_await(w, ARRAY_LEN(w));
    for (size_t i = 0; i < ARRAY_LEN(w); i++)
        assert_true(!w[i].has_place && w[i].e.code == ERR_UNAVAILABLE);
    for (int i = 0; i < 1000; i++)
        FAILS(f, ERR_UNAVAILABLE, audit_reserve(log, &f->e));
    OK(f, db_run(f->db, f->a, &show, DB_NO_ARGS, NULL, &f->e));
    while (!audit_reserve(log, &f->e)) /* the row is written when it is tried again */
        fiber_yield();
    waiters_start(f, log, w, 1); /* and calls wait again */
    audit_release(log);
    waiters_await(w, 1);
    assert_true(w[0].has_place);
    audit_stop(log);
}

static void nobody_waits_for_a_store_that_is_away(unused_arg void **state)
{
    with_store(away_body);
}

/* Another process holds the audit file: rows wait, and none is lost. */
static void busy_body(struct fixture *f)
{
    struct audit_log *log = start(f, false, NULL);
    struct err e;
    OK(f, db_run(f->db, f->a, &hide, DB_NO_ARGS, NULL, &f->e));
    struct audit_row row = row_of(STR("org_a"), clock_wall_ms()), *rows;
    for (int i = 0; i < 100; i++)
        submit(f, log, &row);
    (void)!fiber_sleep_until(clock_mono_ms() + 50, &e); /* some tries fail */
    OK(f, db_run(f->db, f->a, &show, DB_NO_ARGS, NULL, &f->e));
    audit_stop(log);
    size_t n = 0;
    list_all(f, STR("org_a"), &rows, &n);
    assert_int_equal(n, 100);
    assert_int_equal(chain_verify(f, STR("org_a")), 100);
}

static void rows_outlive_a_failing_store(unused_arg void **state)
{
    with_store(busy_body);
}

static void sync_body(struct fixture *f)
{
    struct audit_log *log = start(f, true, NULL);
    struct audit_row row = row_of(STR("org_a"), clock_wall_ms()), *rows;
    size_t n = 0;
    submit(f, log, &row);
    list_all(f, STR("org_a"), &rows, &n); /* no stop in between: it is there when submit returns */
    assert_int_equal(n, 1);
    audit_stop(log);
}

static void sync_rows_are_there_when_submit_returns(unused_arg void **state)
{
    with_store(sync_body);
}

static void submit_cancelled(void *arg)
{
    struct audit_log *log = arg;
    struct err e = {0};
    struct audit_row row = row_of(STR("org_a"), clock_wall_ms());
    assert_true(audit_reserve(log, &e));
    assert_true(audit_submit(log, &row, &e) || e.code == ERR_CANCELLED);
}

static void give_up_body(struct fixture *f)
{
    struct audit_log *log = start(f, true, NULL);
    struct audit_row *rows;
    size_t n = 0;
    for (int i = 0; i < 50; i++) {
        struct fiber *fiber;
        OK(f, fiber_start(loop_self(), submit_cancelled, log, &fiber, &f->e));
        fiber_cancel(fiber);
    }
    while (fiber_count() > 2) /* this one and the writer's */
        fiber_yield();
    audit_stop(log);
    OK(f, fiber_sleep_until(clock_mono_ms() + 1, &f->e)); /* what was posted here runs */
    list_all(f, STR("org_a"), &rows, &n);
    assert_int_equal(n, 50);
}

static void a_row_whose_waiter_gave_up_is_written_all_the_same(unused_arg void **state)
{
    with_store(give_up_body);
}

static int64_t n_acknowledged;

static void killed_body(struct fixture *f)
{
    struct audit_log *log = start(f, true, NULL);
    for (int64_t i = 1;; i++) {
        struct audit_row row = row_of(STR("org_a"), clock_wall_ms());
        row.bytes_in = i;
        submit(f, log, &row);
        if (write(STDOUT_FILENO, &i, sizeof i) != sizeof i)
            _exit(1);
    }
}

static void survivors_body(struct fixture *f)
{
    assert_true(chain_verify(f, STR("org_a")) >= (size_t)n_acknowledged);
}

static void every_sync_row_survives_kill_9(unused_arg void **state)
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
    int64_t i = 0;
    while (i < 50 && read(ends[0], &i, sizeof i) == sizeof i)
        n_acknowledged = i;
    kill(child, SIGKILL);
    while (read(ends[0], &i, sizeof i) == sizeof i)
        n_acknowledged = i;
    close(ends[0]);
    int status = 0;
    waitpid(child, &status, 0);
    assert_true(WIFSIGNALED(status) && n_acknowledged >= 50);
    f.offload = offload_new(1, &f.e);
    fixture_run(&f, survivors_body);
    fixture_end(&f);
}

static void stream_body(struct fixture *f)
{
    char setting[160];
    snprintf(setting, sizeof setting, "file:%s/audit.jsonl", f->dir);
    struct audit_log *log = start(f, false, setting);
    struct audit_row row = row_of(STR("org_a"), clock_wall_ms());
    row.name = STR("a \"quoted\"\nname");
    submit(f, log, &row);
    submit(f, log, &row);
    audit_stop(log);
    struct stat s;
    assert_int_equal(stat(setting + 5, &s), 0);
    assert_int_equal(s.st_mode & 0777, 0600);
    char text[4096] = "";
    int fd = open(setting + 5, O_RDONLY);
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    assert_true(n > 0);
    assert_true(strncmp(text, "{\"v\":1,\"id\":\"evt_", 17) == 0);
    char *second = strchr(text, '\n') + 1;
    assert_true(second[-2] == '}' && strncmp(second, "{\"v\":1,", 7) == 0);
    assert_non_null(strstr(second, "\"prev_hash\":\""));
    assert_int_equal(strchr(second, '\n') - text + 1, n);
}

static void the_stream_has_one_json_line_a_row(unused_arg void **state)
{
    with_store(stream_body);
}

static void bad_stream_body(struct fixture *f)
{
    struct audit_config c = {.store = f->store, .stream = "kafka"};
    assert_null(audit_start(&c, &f->e));
    assert_int_equal(f->e.code, ERR_INVALID);
    c.stream = "file:/nowhere/at/all";
    assert_null(audit_start(&c, &f->e));
    assert_int_equal(f->e.code, ERR_UNAVAILABLE);
}

static void an_unusable_stream_is_refused_at_start(unused_arg void **state)
{
    with_store(bad_stream_body);
}

static void retention_body(struct fixture *f)
{
    static const char *const orgs[] = {"", "org_a", "org_b", "org_c"}; /* one has no old rows */
    static const int n_old[] = {3, 2050, 0, 1};
    int64_t now = clock_wall_ms();
    struct audit_log *log = start(f, false, NULL);
    for (size_t i = 0; i < ARRAY_LEN(orgs); i++)
        for (int j = 0; j < n_old[i] + 50; j++) {
            struct audit_row row =
                row_of(str_c(orgs[i]), now - (j < n_old[i] ? 91LL : 89LL) * 86400000);
            submit(f, log, &row);
        }
    audit_stop(log);
    log = start(f, false, NULL);
    int64_t until_ms = clock_mono_ms() + 10000;
    for (size_t i = 0; i < ARRAY_LEN(orgs); i++) {
        struct audit_row *rows;
        size_t n = 0;
        do
            list_all(f, str_c(orgs[i]), &rows, &n);
        while (n != 50 && clock_mono_ms() < until_ms &&
               fiber_sleep_until(clock_mono_ms() + 1, &f->e));
        assert_int_equal(n, 50);
    }
    audit_stop(log);
}

static void old_rows_are_removed_at_start(unused_arg void **state)
{
    with_store(retention_body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_sync_row_survives_kill_9),
        cmocka_unit_test(rows_come_back_newest_first_to_their_organization),
        cmocka_unit_test(a_cursor_sees_every_row_once),
        cmocka_unit_test(a_changed_or_missing_row_breaks_its_chain),
        cmocka_unit_test(rows_written_twice_are_there_once),
        cmocka_unit_test(a_full_queue_makes_calls_wait_and_then_refuses),
        cmocka_unit_test(only_so_many_wait),
        cmocka_unit_test(nobody_waits_for_a_store_that_is_away),
        cmocka_unit_test(rows_outlive_a_failing_store),
        cmocka_unit_test(sync_rows_are_there_when_submit_returns),
        cmocka_unit_test(a_row_whose_waiter_gave_up_is_written_all_the_same),
        cmocka_unit_test(the_stream_has_one_json_line_a_row),
        cmocka_unit_test(an_unusable_stream_is_refused_at_start),
        cmocka_unit_test(old_rows_are_removed_at_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
