/* Sessions at downstream servers: whose they are, and who gives way when there are many. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/limits.h"
#include "mcp/sessions.h"

#define KEY "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

struct rig {
    struct keyring keys;
    struct session_table *table;
    struct arena *a;
    struct err e;
};

static void rig_begin(struct rig *r)
{
    *r = (struct rig){0};
    assert_true(keyring_parse(&r->keys, STR(KEY), &r->e));
    r->table = session_table_new(&r->keys);
    r->a = arena_new((size_t)64 * 1024 * 1024);
    assert_true(r->table && r->a);
}

static void rig_end(struct rig *r)
{
    arena_end(r->a);
    session_table_free(r->table);
    keyring_end(&r->keys);
}

static struct session_ref ref_of(struct rig *r, const char *user, int key)
{
    return (struct session_ref){.org_id = STR("org_a"),
                                .connection_id = STR("conn_a"),
                                .user_id = str_c(user),
                                .principal = arena_printf(r->a, "%s|%d", user, key),
                                .downstream_id = STR("down"),
                                .version = STR("2025-11-25")};
}

/* Opens one; returns who gave way (absent: nobody). */
static struct str opened(struct rig *r, const char *user, int key, int64_t now, struct str *handle)
{
    struct session_ref ref = ref_of(r, user, key), evicted;
    assert_true(session_open(r->table, r->a, &ref, now, handle, &evicted, &r->e));
    return evicted.user_id;
}

static void a_handle_works_for_its_own_principal_only(void **state)
{
    (void)state;
    struct rig r;
    struct str handle;
    struct session s;
    rig_begin(&r);
    opened(&r, "usr_a", 1, 1000, &handle);
    struct session_ref own = ref_of(&r, "usr_a", 1), other = ref_of(&r, "usr_a", 2);
    assert_true(session_lookup(r.table, r.a, handle, &own, 1001, &s, &r.e));
    assert_true(str_eq(s.downstream_id, STR("down")));
    assert_false(session_lookup(r.table, r.a, handle, &other, 1001, &s, &r.e));
    assert_int_equal(r.e.code, ERR_SESSION_NOT_FOUND);
    rig_end(&r);
}

/* It is opened once, and then known by its text: that must not make it good for anything else. */
static void a_handle_that_was_opened_is_judged_again(void **state)
{
    (void)state;
    struct rig r;
    struct str handle;
    struct session s, again;
    struct session_ref gone;
    rig_begin(&r);
    opened(&r, "usr_a", 1, 1000, &handle);
    struct session_ref own = ref_of(&r, "usr_a", 1), other = ref_of(&r, "usr_a", 2), there = own,
                       changed = own;
    there.connection_id = STR("conn_b");
    changed.connection_updated_at = 7;
    assert_true(session_lookup(r.table, r.a, handle, &own, 1001, &s, &r.e));
    assert_true(session_lookup(r.table, r.a, handle, &own, 1001, &again, &r.e));
    assert_true(str_eq(s.key, again.key) && str_eq(again.downstream_id, STR("down")));
    assert_false(session_lookup(r.table, r.a, handle, &other, 1001, &s, &r.e));
    assert_false(session_lookup(r.table, r.a, handle, &there, 1001, &s, &r.e));
    assert_false(session_lookup(r.table, r.a, handle, &changed, 1001, &s, &r.e));
    assert_false(
        session_lookup(r.table, r.a, handle, &own, 1000 + LIMIT_SESSION_LIFE_MS, &s, &r.e));
    /* What knew it is gone, and it is as good as at first. */
    int64_t later = 1002 + LIMIT_SESSION_IDLE_MS;
    assert_int_equal(session_take_idle(r.table, r.a, later, &gone, 1), 1);
    assert_true(session_lookup(r.table, r.a, handle, &own, later, &s, &r.e));
    assert_true(str_eq(s.key, again.key));
    rig_end(&r);
}

static void one_member_with_many_keys_cannot_take_all_sessions_of_a_connection(void **state)
{
    (void)state;
    struct rig r;
    struct str handle;
    rig_begin(&r);
    for (int i = 0; i < LIMIT_SESSIONS_USER; i++)
        assert_true(str_is_absent(opened(&r, "usr_greedy", i / 32, i, &handle)));
    for (int i = 0; i < 2 * LIMIT_SESSIONS_CONNECTION; i++)
        assert_true(
            str_eq(opened(&r, "usr_greedy", 100 + i / 32, 5000 + i, &handle), STR("usr_greedy")));
    assert_true(str_is_absent(opened(&r, "usr_other", 1, 20000, &handle)));
    rig_end(&r);
}

static void in_a_full_connection_the_largest_holder_gives_way(void **state)
{
    (void)state;
    struct rig r;
    struct str handle;
    char user[32];
    rig_begin(&r);
    for (int i = 0; i < 100; i++)
        opened(&r, "usr_large", i / 32, 9000 + i, &handle);
    for (int i = 100; i < LIMIT_SESSIONS_CONNECTION; i++) {
        (void)snprintf(user, sizeof(user), "usr_%d", i / 2);
        opened(&r, user, 0, i, &handle);
    }
    for (int i = 0; i < 20; i++) {
        (void)snprintf(user, sizeof(user), "usr_new%d", i);
        assert_true(str_eq(opened(&r, user, 0, 20000, &handle), STR("usr_large")));
    }
    assert_true(str_eq(opened(&r, "usr_large", 0, 20001, &handle), STR("usr_large")));
    rig_end(&r);
}

static void the_idle_are_taken_out(void **state)
{
    (void)state;
    struct rig r;
    struct str handle;
    struct session_ref out[4];
    rig_begin(&r);
    opened(&r, "usr_a", 1, 1000, &handle);
    opened(&r, "usr_a", 1, 9000, &handle);
    assert_int_equal(session_take_idle(r.table, r.a, 2000 + LIMIT_SESSION_IDLE_MS, out, 4), 1);
    assert_true(str_eq(out[0].user_id, STR("usr_a")));
    rig_end(&r);
}

static void an_ended_handle_is_dead_and_a_forgotten_one_is_not(void **state)
{
    (void)state;
    struct rig r;
    struct str ended, forgotten;
    struct session s;
    rig_begin(&r);
    struct session_ref ref = ref_of(&r, "usr_a", 1);
    opened(&r, "usr_a", 1, 1000, &ended);
    opened(&r, "usr_a", 1, 1000, &forgotten);
    assert_true(session_lookup(r.table, r.a, forgotten, &ref, 1001, &s, &r.e));
    session_forget(r.table, s.key);
    assert_true(session_lookup(r.table, r.a, forgotten, &ref, 1001, &s, &r.e));
    assert_true(session_lookup(r.table, r.a, ended, &ref, 1001, &s, &r.e));
    session_kill(r.table, s.key);
    assert_false(session_lookup(r.table, r.a, ended, &ref, 1001, &s, &r.e));
    assert_int_equal(r.e.code, ERR_SESSION_NOT_FOUND);
    for (int i = 0; i < 2000; i++) { /* the memory of the ended grows */
        struct str handle;
        opened(&r, "usr_b", i, 1000, &handle);
        struct session_ref who = ref_of(&r, "usr_b", i);
        assert_true(session_lookup(r.table, r.a, handle, &who, 1001, &s, &r.e));
        session_kill(r.table, s.key);
    }
    assert_false(session_lookup(r.table, r.a, ended, &ref, 1001, &s, &r.e));
    rig_end(&r);
}

static void what_a_new_session_must_be_told_is_remembered(void **state)
{
    (void)state;
    struct rig r;
    struct str handle;
    struct session s;
    struct session_ref evicted;
    struct session_memory m;
    rig_begin(&r);
    struct session_ref ref = ref_of(&r, "usr_a", 1);
    ref.hello = STR("{\"capabilities\":{}}");
    ref.client_version = STR("2025-06-18");
    ref.caps = 5;
    assert_true(session_open(r.table, r.a, &ref, 1000, &handle, &evicted, &r.e));
    assert_true(session_lookup(r.table, r.a, handle, &ref, 1001, &s, &r.e));
    assert_true(str_eq(s.client_version, STR("2025-06-18")));
    assert_int_equal(s.caps, 5);
    session_note_level(r.table, s.key, STR("\"info\""));
    session_note_level(r.table, s.key, STR("\"error\""));
    session_note_uri(r.table, s.key, STR("\"a:1\""), true);
    session_note_uri(r.table, s.key, STR("\"a:2\""), true);
    session_note_uri(r.table, s.key, STR("\"a:2\""), true);
    session_note_uri(r.table, s.key, STR("\"a:1\""), false);
    assert_true(session_recall(r.table, r.a, s.key, &m));
    assert_true(str_eq(m.hello, ref.hello) && str_eq(m.level, STR("\"error\"")));
    assert_int_equal(m.n_uris, 1);
    assert_true(str_eq(m.uris[0], STR("\"a:2\"")));
    assert_true(session_renew(r.table, s.key, STR("down"), STR("down 2"), STR("2025-03-26")));
    assert_false(session_renew(r.table, s.key, STR("down"), STR("down 3"), STR("2025-03-26")));
    assert_true(session_lookup(r.table, r.a, handle, &ref, 1001, &s, &r.e));
    assert_true(str_eq(s.downstream_id, STR("down 2")) && str_eq(s.version, STR("2025-03-26")));
    char uri[16];
    for (int i = 0; i < LIMIT_SESSION_URIS; i++) {
        (void)snprintf(uri, sizeof(uri), "\"b:%d\"", i);
        session_note_uri(r.table, s.key, str_c(uri), true);
    }
    assert_false(session_recall(r.table, r.a, s.key, &m)); /* there is more than is remembered */
    rig_end(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_handle_works_for_its_own_principal_only),
        cmocka_unit_test(a_handle_that_was_opened_is_judged_again),
        cmocka_unit_test(one_member_with_many_keys_cannot_take_all_sessions_of_a_connection),
        cmocka_unit_test(in_a_full_connection_the_largest_holder_gives_way),
        cmocka_unit_test(the_idle_are_taken_out),
        cmocka_unit_test(an_ended_handle_is_dead_and_a_forgotten_one_is_not),
        cmocka_unit_test(what_a_new_session_must_be_told_is_remembered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
