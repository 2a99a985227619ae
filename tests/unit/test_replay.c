/* Events kept for clients that come back: order, bounds, whose they are, who reads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/limits.h"
#include "mcp/replay.h"

struct rig {
    struct replay_table *table;
    struct arena *a;
};

static void rig_begin(struct rig *r)
{
    r->table = replay_table_new();
    r->a = arena_new((size_t)64 * 1024 * 1024);
    assert_true(r->table && r->a);
}

static void rig_end(struct rig *r)
{
    arena_end(r->a);
    replay_table_free(r->table);
}

static struct replay *opened(struct rig *r, const char *session, enum replay_kind kind)
{
    struct replay *stream = replay_open(r->table, str_c(session), STR("usr_1"), kind, 1000);
    assert_non_null(stream);
    return stream;
}

static void assert_next(struct rig *r, struct replay *stream, uint64_t *seq, const char *wanted)
{
    struct str message;
    assert_int_equal(replay_next(stream, r->a, seq, &message), REPLAY_MESSAGE);
    assert_true(str_eq(message, str_c(wanted)));
}

static void what_came_after_an_event_is_repeated_in_order(void **state)
{
    (void)state;
    struct rig r;
    char id[REPLAY_ID_SIZE];
    struct str message;
    uint64_t seq;
    rig_begin(&r);
    struct replay *stream = opened(&r, "s", REPLAY_CALL);
    assert_int_equal(replay_add(stream, STR("one"), 1000), 1);
    assert_int_equal(replay_add(stream, STR("two"), 1000), 2);
    assert_int_equal(replay_add(stream, STR("three"), 1000), 3);
    replay_id(stream, 1, id);
    struct replay *found = replay_find(r.table, STR("s"), str_c(id), &seq);
    assert_ptr_equal(found, stream);
    assert_next(&r, found, &seq, "two");
    assert_next(&r, found, &seq, "three");
    assert_int_equal(replay_next(found, r.a, &seq, &message), REPLAY_WAIT);
    replay_finish(stream, 1000);
    assert_int_equal(replay_next(found, r.a, &seq, &message), REPLAY_OVER);
    replay_release(found);
    replay_release(stream);
    rig_end(&r);
}

static void an_id_names_a_stream_of_its_session_only(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "c", "-", "c-", "c0-0", "cx-1", "c12345678901234567-1"};
    struct rig r;
    char id[REPLAY_ID_SIZE], other[REPLAY_ID_SIZE];
    uint64_t seq;
    rig_begin(&r);
    struct replay *stream = opened(&r, "mine", REPLAY_CALL);
    struct replay *theirs = opened(&r, "theirs", REPLAY_CALL);
    (void)replay_add(stream, STR("secret"), 1000);
    replay_id(stream, 0, id);
    replay_id(theirs, 0, other);
    assert_string_not_equal(id, other);
    assert_null(replay_find(r.table, STR("theirs"), str_c(id), &seq));
    assert_null(replay_find(r.table, STR("nobody"), str_c(id), &seq));
    replay_id(stream, 2, id);
    assert_null(replay_find(r.table, STR("mine"), str_c(id), &seq)); /* not said yet */
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_null(replay_find(r.table, STR("mine"), str_c(bad[i]), &seq));
    replay_release(stream);
    replay_release(theirs);
    rig_end(&r);
}

static void the_oldest_give_way_and_the_gap_is_told(void **state)
{
    (void)state;
    struct rig r;
    struct str message;
    rig_begin(&r);
    struct replay *stream = opened(&r, "s", REPLAY_CALL);
    size_t n = LIMIT_REPLAY_BYTES / 4;
    char *text = calloc(1, n);
    assert_non_null(text);
    for (int i = 0; i < 6; i++)
        (void)replay_add(stream, (struct str){text, n}, 1000);
    assert_int_equal(replay_bytes(stream), LIMIT_REPLAY_BYTES);
    uint64_t seq = 1;
    assert_int_equal(replay_next(stream, r.a, &seq, &message), REPLAY_LOST);
    seq = 2;
    assert_int_equal(replay_next(stream, r.a, &seq, &message), REPLAY_MESSAGE);
    assert_int_equal(seq, 3);
    free(text);
    replay_release(stream);
    rig_end(&r);
}

static void a_session_has_a_bounded_number_of_streams_and_the_running_ones_stay(void **state)
{
    (void)state;
    struct rig r;
    struct replay *streams[LIMIT_REPLAY_STREAMS];
    char first[REPLAY_ID_SIZE];
    uint64_t seq;
    rig_begin(&r);
    for (size_t i = 0; i < LIMIT_REPLAY_STREAMS; i++)
        streams[i] = opened(&r, "s", REPLAY_CALL);
    assert_null(replay_open(r.table, STR("s"), STR("usr_1"), REPLAY_CALL, 1000));
    replay_id(streams[0], 0, first);
    replay_finish(streams[0], 1000);
    struct replay *next = opened(&r, "s", REPLAY_CALL);
    assert_null(replay_find(r.table, STR("s"), str_c(first), &seq));
    replay_release(next);
    for (size_t i = 0; i < LIMIT_REPLAY_STREAMS; i++)
        replay_release(streams[i]);
    rig_end(&r);
}

static void what_is_over_is_forgotten_after_a_while_and_what_runs_is_not(void **state)
{
    (void)state;
    struct rig r;
    char over[REPLAY_ID_SIZE], running[REPLAY_ID_SIZE];
    uint64_t seq;
    rig_begin(&r);
    struct replay *one = opened(&r, "s", REPLAY_CALL), *two = opened(&r, "s", REPLAY_CALL);
    replay_id(one, 0, over);
    replay_id(two, 0, running);
    replay_finish(one, 1000);
    replay_release(one);
    replay_reap(r.table, 1000 + LIMIT_REPLAY_MS);
    struct replay *found = replay_find(r.table, STR("s"), str_c(over), &seq);
    assert_non_null(found);
    replay_release(found);
    replay_reap(r.table, 1001 + LIMIT_REPLAY_MS);
    assert_null(replay_find(r.table, STR("s"), str_c(over), &seq));
    found = replay_find(r.table, STR("s"), str_c(running), &seq);
    assert_ptr_equal(found, two);
    replay_release(found);
    replay_release(two);
    rig_end(&r);
}

static void an_ended_session_keeps_nothing_and_its_streams_are_over(void **state)
{
    (void)state;
    struct rig r;
    char id[REPLAY_ID_SIZE];
    struct str message;
    uint64_t seq = 0;
    rig_begin(&r);
    struct replay *stream = opened(&r, "s", REPLAY_CALL);
    replay_id(stream, 0, id);
    replay_forget(r.table, STR("s"));
    assert_null(replay_find(r.table, STR("s"), str_c(id), &seq));
    (void)replay_add(stream, STR("late"), 1000);
    assert_int_equal(replay_bytes(stream), 0);
    seq = 1;
    assert_int_equal(replay_next(stream, r.a, &seq, &message), REPLAY_OVER);
    replay_release(stream);
    rig_end(&r);
}

static void a_session_has_one_stream_of_its_own_with_the_servers_place_in_it(void **state)
{
    (void)state;
    struct rig r;
    char id[REPLAY_ID_SIZE];
    rig_begin(&r);
    struct replay *one = opened(&r, "s", REPLAY_GET), *two = opened(&r, "s", REPLAY_GET);
    assert_ptr_equal(one, two);
    assert_int_equal(replay_kind_of(one), REPLAY_GET);
    replay_id(one, 0, id);
    assert_false(replay_id_is_call(str_c(id)));
    assert_true(str_is_absent(replay_origin(one, r.a)));
    replay_note_origin(one, STR("server-7"));
    assert_true(str_eq(replay_origin(two, r.a), STR("server-7")));
    replay_note_origin(one, STR("no\nheader"));
    assert_true(str_is_absent(replay_origin(two, r.a)));
    replay_release(one);
    replay_release(two);
    rig_end(&r);
}

/* As much as one stream may keep, in `n` streams of sessions of their own. Counts what was kept. */
static size_t fill(struct rig *r, const char *owner, size_t n, struct replay **streams)
{
    static char big[LIMIT_REPLAY_BYTES];
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        char session[48];
        (void)snprintf(session, sizeof(session), "%s-%zu", owner, i);
        streams[i] = replay_open(r->table, str_c(session), str_c(owner), REPLAY_GET, 1000);
        assert_non_null(streams[i]);
        (void)replay_add(streams[i], (struct str){big, sizeof(big)}, 1000);
        kept += replay_bytes(streams[i]);
    }
    return kept;
}

static void one_person_leaves_room_for_the_others(void **state)
{
    (void)state;
    struct rig r;
    enum { N = LIMIT_REPLAY_ALL / LIMIT_REPLAY_BYTES, M = 4 };
    static struct replay *greedy[N], *modest[M];
    rig_begin(&r);
    assert_int_equal(fill(&r, "usr_greedy", N, greedy), LIMIT_REPLAY_ALL / LIMIT_REPLAY_SHARE);
    assert_int_equal(fill(&r, "usr_modest", M, modest), (size_t)M * LIMIT_REPLAY_BYTES);
    for (size_t i = 0; i < N; i++)
        replay_release(greedy[i]);
    for (size_t i = 0; i < N; i++) {
        char session[48];
        (void)snprintf(session, sizeof(session), "usr_greedy-%zu", i);
        replay_forget(r.table, str_c(session));
    }
    assert_int_equal(fill(&r, "usr_greedy", M, greedy), (size_t)M * LIMIT_REPLAY_BYTES);
    for (size_t i = 0; i < M; i++) {
        replay_release(greedy[i]);
        replay_release(modest[i]);
    }
    rig_end(&r);
}

static void one_persons_running_calls_leave_room_for_the_others(void **state)
{
    (void)state;
    struct rig r;
    enum { SHARE = LIMIT_REPLAY_CALLS / LIMIT_REPLAY_SHARE };
    static struct replay *calls[SHARE];
    rig_begin(&r);
    for (size_t i = 0; i < SHARE; i++) {
        char session[48];
        (void)snprintf(session, sizeof(session), "s%zu", i);
        calls[i] = replay_open(r.table, str_c(session), STR("usr_a"), REPLAY_CALL, 1000);
        assert_non_null(calls[i]);
    }
    assert_null(replay_open(r.table, STR("more"), STR("usr_a"), REPLAY_CALL, 1000));
    struct replay *other = replay_open(r.table, STR("theirs"), STR("usr_b"), REPLAY_CALL, 1000);
    assert_non_null(other);
    replay_finish(calls[0], 1000);
    struct replay *next = replay_open(r.table, STR("more"), STR("usr_a"), REPLAY_CALL, 1000);
    assert_non_null(next);
    replay_release(next);
    replay_release(other);
    for (size_t i = 0; i < SHARE; i++)
        replay_release(calls[i]);
    rig_end(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_came_after_an_event_is_repeated_in_order),
        cmocka_unit_test(an_id_names_a_stream_of_its_session_only),
        cmocka_unit_test(the_oldest_give_way_and_the_gap_is_told),
        cmocka_unit_test(a_session_has_a_bounded_number_of_streams_and_the_running_ones_stay),
        cmocka_unit_test(what_is_over_is_forgotten_after_a_while_and_what_runs_is_not),
        cmocka_unit_test(an_ended_session_keeps_nothing_and_its_streams_are_over),
        cmocka_unit_test(a_session_has_one_stream_of_its_own_with_the_servers_place_in_it),
        cmocka_unit_test(one_person_leaves_room_for_the_others),
        cmocka_unit_test(one_persons_running_calls_leave_room_for_the_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
