/* Sessions that Tulle keeps for clients: handles, caps, subscriptions, questions across threads. */
#include "mcp/client_sessions.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <pthread.h>

#include "base/clock.h"
#include "base/limits.h"
#include "io/fiber.h"

#define KEY "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

struct rig {
    struct keyring keys;
    struct client_sessions *table;
    struct arena *a;
    struct err e;
};

static struct client_who who(const char *user, const char *principal)
{
    return (struct client_who){.org_id = STR("org_a"),
                               .user_id = str_c(user),
                               .principal = str_c(principal),
                               .audience = STR("conn_a")};
}

static const struct client_hello hello = {
    .version = STR("2025-11-25"),
    .capabilities = STR("{\"roots\":{}}"),
    .client_info = STR("{\"name\":\"c\",\"version\":\"1\"}"),
    .offered = STR("{\"tools\":{}}"),
};

static struct str open_at(struct rig *r, const struct client_who *w, int64_t now,
                          struct client_session **out)
{
    struct str handle;
    assert_true(client_session_open(r->table, r->a, w, &hello, now, &handle, out, &r->e));
    return handle;
}

static bool is_found(struct rig *r, struct str handle, const struct client_who *w, int64_t now)
{
    struct client_session *s;
    if (client_session_find(r->table, r->a, handle, w, now, &s, &r->e))
        return true;
    assert_int_equal(r->e.code, ERR_SESSION_NOT_FOUND);
    return false;
}

static void rig_begin(struct rig *r)
{
    assert_true(keyring_parse(&r->keys, STR(KEY), &r->e));
    r->table = client_sessions_new(&r->keys);
    r->a = arena_new((size_t)64 * 1024 * 1024);
    assert_non_null(r->table);
    assert_non_null(r->a);
}

static void rig_end(struct rig *r)
{
    arena_end(r->a);
    client_sessions_free(r->table);
    keyring_end(&r->keys);
}

static void a_handle_works_for_its_principal_and_audience_only(void **state)
{
    (void)state;
    struct rig r = {0};
    struct client_session *s, *again;
    rig_begin(&r);
    struct client_who own = who("usr_a", "p1"), other = who("usr_a", "p2"), elsewhere = own;
    elsewhere.audience = STR("conn_b");
    struct str handle = open_at(&r, &own, 1000, &s);
    assert_true(client_session_find(r.table, r.a, handle, &own, 1001, &again, &r.e));
    assert_ptr_equal(s, again);
    assert_true(str_eq(client_session_hello(s)->capabilities, hello.capabilities));
    assert_false(is_found(&r, handle, &other, 1001));
    assert_false(is_found(&r, handle, &elsewhere, 1001));
    assert_false(is_found(&r, STR("v1.00000000.AAAA"), &own, 1001));
    assert_false(is_found(&r, STR(""), &own, 1001));
    char *forged = arena_cstr(r.a, handle);
    forged[handle.n - 8] = forged[handle.n - 8] == 'A' ? 'B' : 'A';
    assert_false(is_found(&r, str_c(forged), &own, 1001));
    rig_end(&r);
}

static void an_ended_session_is_unknown_and_what_hangs_on_it_ends(void **state)
{
    (void)state;
    struct rig r = {0};
    struct client_session *s;
    rig_begin(&r);
    struct client_who own = who("usr_a", "p1");
    struct str handle = open_at(&r, &own, 1000, &s);
    client_session_end(s);
    client_session_end(s);
    assert_false(is_found(&r, handle, &own, 1001));
    assert_true(client_session_is_ended(s));
    assert_false(client_session_push(s, STR("{}")));
    rig_end(&r);
}

static void a_principal_beyond_its_cap_loses_its_own_longest_unused_session(void **state)
{
    (void)state;
    struct rig r = {0};
    struct client_session *s;
    struct str handles[LIMIT_SESSIONS_PRINCIPAL];
    rig_begin(&r);
    struct client_who own = who("usr_a", "p1"), other = who("usr_b", "p2");
    struct str of_other = open_at(&r, &other, 1, &s);
    for (int i = 0; i < LIMIT_SESSIONS_PRINCIPAL; i++)
        handles[i] = open_at(&r, &own, 1000 + i, &s);
    assert_true(is_found(&r, handles[0], &own, 5000)); /* now the second is the oldest */
    open_at(&r, &own, 6000, &s);
    assert_true(is_found(&r, handles[0], &own, 6001));
    assert_false(is_found(&r, handles[1], &own, 6001));
    assert_true(is_found(&r, handles[2], &own, 6001));
    assert_true(is_found(&r, of_other, &other, 6001));
    rig_end(&r);
}

static void one_person_with_many_keys_cannot_fill_a_connection(void **state)
{
    (void)state;
    struct rig r = {0};
    struct client_session *s;
    char principal[32], user[32];
    rig_begin(&r);
    struct str first = STR_NONE;
    for (int i = 0; i < LIMIT_SESSIONS_USER + 10; i++) {
        (void)snprintf(principal, sizeof(principal), "p%d", i / 50);
        struct client_who w = who("usr_a", principal);
        struct str handle = open_at(&r, &w, i, &s);
        first = i == 0 ? handle : first;
    }
    struct client_who w = who("usr_a", "p0");
    assert_false(is_found(&r, first, &w, 2000));

    /* three more like this, and others: the connection is full, and newcomers still come in */
    for (int u = 0; u < 3; u++)
        for (int i = 0; i < LIMIT_SESSIONS_USER - 10; i++) {
            (void)snprintf(principal, sizeof(principal), "q%d-%d", u, i / 50);
            (void)snprintf(user, sizeof(user), "usr_%d", u);
            struct client_who many = who(user, principal);
            open_at(&r, &many, 3000 + i, &s);
        }
    struct client_who quiet = who("usr_quiet", "k");
    struct str of_quiet = open_at(&r, &quiet, 4000, &s);
    for (int i = 0; i < 30; i++) {
        (void)snprintf(user, sizeof(user), "usr_new%d", i);
        struct client_who newcomer = who(user, user);
        struct str handle = open_at(&r, &newcomer, 5000 + i, &s);
        assert_true(is_found(&r, handle, &newcomer, 6000));
    }
    assert_true(is_found(&r, of_quiet, &quiet, 6000));
    rig_end(&r);
}

static void a_full_hub_of_one_organization_leaves_that_of_another_alone(void **state)
{
    (void)state;
    struct rig r = {0};
    struct client_session *s;
    char user[32];
    struct str first = STR_NONE;
    rig_begin(&r);
    struct client_who w = who("usr_0", "usr_0");
    w.audience = STR("hub");
    struct client_who of_first = w;
    for (int i = 0; i < LIMIT_SESSIONS_CONNECTION; i++) {
        (void)snprintf(user, sizeof(user), "usr_%d", i);
        w.user_id = w.principal = str_c(user);
        struct str handle = open_at(&r, &w, i, &s);
        first = i == 0 ? handle : first;
    }
    struct client_who other = w;
    other.org_id = STR("org_2");
    other.user_id = other.principal = STR("usr_other");
    open_at(&r, &other, 5000, &s);
    assert_true(is_found(&r, first, &of_first, 6000));
    rig_end(&r);
}

static void the_idle_and_the_old_are_reaped(void **state)
{
    (void)state;
    struct rig r = {0};
    struct client_session *s;
    rig_begin(&r);
    struct client_who own = who("usr_a", "p1");
    struct str idle = open_at(&r, &own, 1000, &s), used = open_at(&r, &own, 1000, &s);
    int64_t later = 1001 + LIMIT_SESSION_IDLE_MS;
    assert_true(is_found(&r, used, &own, later));
    assert_int_equal(client_sessions_reap(r.table, later), 1);
    assert_false(is_found(&r, idle, &own, later));
    assert_true(is_found(&r, used, &own, later));
    assert_false(is_found(&r, used, &own, 1001 + (int64_t)LIMIT_SESSION_LIFE_MS));
    rig_end(&r);
}

static void levels_and_subscriptions_are_kept(void **state)
{
    (void)state;
    struct rig r = {0};
    struct client_session *s;
    struct str *uris;
    size_t n;
    rig_begin(&r);
    struct client_who own = who("usr_a", "p1");
    open_at(&r, &own, 1000, &s);
    assert_true(str_is_absent(client_session_level(s)));
    assert_true(client_session_set_level(s, STR("warning")));
    assert_false(client_session_set_level(s, STR("loud")));
    assert_true(str_eq(client_session_level(s), STR("warning")));

    assert_true(client_session_subscribe(s, STR("file:///a"), &r.e));
    assert_true(client_session_subscribe(s, STR("file:///a"), &r.e));
    assert_true(client_session_wants(s, STR("file:///a")));
    assert_true(client_session_wants(s, STR("file:///a/b")));
    assert_false(client_session_wants(s, STR("file:///ab")));
    assert_true(client_session_uris(s, r.a, &uris, &n, &r.e));
    assert_int_equal(n, 1);
    assert_true(client_session_unsubscribe(s, STR("file:///a")));
    assert_false(client_session_unsubscribe(s, STR("file:///a")));
    char uri[32];
    for (int i = 0; i < LIMIT_SESSION_URIS; i++) {
        (void)snprintf(uri, sizeof(uri), "x:%d", i);
        assert_true(client_session_subscribe(s, str_c(uri), &r.e));
    }
    assert_false(client_session_subscribe(s, STR("x:more"), &r.e));
    rig_end(&r);
}

static void count_end(void *arg)
{
    (*(int *)arg)++;
}

static int sunk;

static void sink_count(struct client_session *of unused_arg,
                       const struct client_session *part unused_arg, struct str message)
{
    assert_true(str_eq(message, STR("{}")));
    sunk++;
}

static void a_part_of_a_session_is_found_again_and_ends_with_it(void **state)
{
    (void)state;
    struct rig r = {0};
    struct client_session *s, *parts[4];
    int ended = 0;
    rig_begin(&r);
    sunk = 0;
    struct client_who own = who("usr_a", "p1");
    open_at(&r, &own, 1000, &s);
    assert_null(client_session_branch_find(s, STR("one")));
    struct client_session *one = client_session_branch(s, STR("one"), sink_count);
    struct client_session *again = client_session_branch(s, STR("one"), sink_count);
    struct client_session *two = client_session_branch(s, STR("two"), sink_count);
    assert_true(one && one == again && two && one != two);
    client_session_release(again);
    client_session_attach(one, count_end, &ended);
    client_session_attach(two, count_end, &ended);
    assert_true(client_session_subscribe(one, STR("file:///a"), &r.e));
    assert_false(client_session_wants(two, STR("file:///a")));
    assert_true(client_session_push(one, STR("{}")));
    assert_int_equal(sunk, 1);

    client_session_end(two); /* by itself */
    assert_int_equal(ended, 1);
    assert_false(client_session_push(two, STR("{}")));
    assert_int_equal(client_session_branches(s, parts, ARRAY_LEN(parts)), 1);
    assert_ptr_equal(parts[0], one);
    client_session_release(one);

    client_session_end(s);
    assert_int_equal(ended, 2);
    assert_true(client_session_is_ended(one));
    assert_false(client_session_push(one, STR("{}")));
    assert_int_equal(sunk, 1);
    assert_null(client_session_branch(s, STR("three"), sink_count));
    client_session_release(one);
    client_session_release(two);
    rig_end(&r);
}

static void what_is_attached_ends_once(void **state)
{
    (void)state;
    struct rig r = {0};
    struct client_session *s;
    int first = 0, second = 0, late = 0;
    rig_begin(&r);
    struct client_who own = who("usr_a", "p1");
    open_at(&r, &own, 1000, &s);
    client_session_attach(s, count_end, &first);
    client_session_attach(s, count_end, &second);
    assert_int_equal(first, 1);
    client_session_attach(s, NULL, &first); /* not the one any more */
    client_session_end(s);
    client_session_attach(s, count_end, &late);
    assert_int_equal(first, 1);
    assert_int_equal(second, 1);
    assert_int_equal(late, 1);
    rig_end(&r);
}

static void what_read_the_uris_last_stays_attached(void **state)
{
    (void)state;
    struct rig r = {0};
    struct client_session *s;
    int first = 0, second = 0, third = 0;
    rig_begin(&r);
    struct client_who own = who("usr_a", "p1");
    open_at(&r, &own, 1000, &s);
    uint64_t turn = client_session_turn(s), later = client_session_turn(s);
    assert_true(client_session_attach_in_turn(s, count_end, &second, later));
    assert_false(client_session_attach_in_turn(s, count_end, &first, turn)); /* took longer */
    assert_int_equal(first + second, 0);
    assert_true(client_session_attach_in_turn(s, count_end, &third, client_session_turn(s)));
    assert_int_equal(second, 1);
    assert_true(client_session_attach(s, NULL, &third));
    assert_true(client_session_attach_in_turn(s, count_end, &first, turn)); /* nothing is there */
    client_session_end(s);
    assert_int_equal(first, 1);
    assert_int_equal(third, 0);
    rig_end(&r);
}

/* ---- questions ---- */

struct talk {
    struct rig *r;
    struct client_session *s;
    struct str ids[2]; /* as the client saw them, copied */
    char text[2][64];
    int n_sent, n_cancelled;
    bool answers_wrong, ends_session;
    pthread_t client;
    int answered;
};

static bool answer(struct talk *t, const char *id, const char *result)
{
    char text[200];
    struct rpc_message m;
    struct err e;
    (void)snprintf(text, sizeof(text), "{\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":%s}", id, result);
    struct arena *a = arena_new((size_t)64 * 1024);
    bool is_taken = rpc_parse(a, str_c(text), &m, &e) && client_session_answer(t->s, &m);
    arena_end(a);
    return is_taken;
}

/* The client, on a thread of its own: the second question first, each twice, and a wrong id. */
static void *client_run(void *arg)
{
    struct talk *t = arg;
    if (t->ends_session) {
        client_session_end(t->s);
        return NULL;
    }
    t->answered += answer(t, "\"ask-999\"", "{}") ? 100 : 0;
    for (int i = 1; i >= 0; i--) {
        t->answered += answer(t, t->text[i], i ? "{\"n\":1}" : "{\"n\":0}") ? 1 : 0;
        t->answered += answer(t, t->text[i], "{\"n\":9}") ? 10 : 0;
    }
    return NULL;
}

static bool send_to_client(void *arg, struct str message, struct err *e)
{
    struct talk *t = arg;
    struct rpc_message m;
    struct arena *a = arena_new((size_t)64 * 1024);
    assert_true(rpc_parse(a, message, &m, e));
    if (m.kind == RPC_NOTIFICATION) {
        t->n_cancelled++;
    } else {
        (void)snprintf(t->text[t->n_sent], sizeof(t->text[0]), "%.*s", STR_FMT(m.id));
        t->n_sent++;
        if (t->n_sent == 2 && !t->answers_wrong)
            assert_int_equal(pthread_create(&t->client, NULL, client_run, t), 0);
    }
    arena_end(a);
    return true;
}

static void ask_two(void *arg)
{
    struct talk *t = arg;
    struct client_question q[2] = {{.method = STR("roots/list")},
                                   {.method = STR("elicitation/create"), .params = STR("{}")}};
    bool is_good =
        client_session_ask(t->s, t->r->a, q, 2, clock_mono_ms() + (t->answers_wrong ? 2 : 60000),
                           send_to_client, t, &t->r->e);
    if (!t->answers_wrong)
        pthread_join(t->client, NULL);
    if (t->ends_session || t->answers_wrong) {
        assert_false(is_good);
        return;
    }
    assert_true(is_good);
    assert_true(str_eq(q[0].result, STR("{\"n\":0}")));
    assert_true(str_eq(q[1].result, STR("{\"n\":1}")));
    assert_int_equal(t->answered, 2);
}

static void talk(struct talk *t)
{
    struct rig r = {0};
    rig_begin(&r);
    struct client_who own = who("usr_a", "p1");
    t->r = &r;
    open_at(&r, &own, 1000, &t->s);
    assert_true(fiber_main(ask_two, t, &r.e));
    rig_end(&r);
}

static void questions_are_answered_from_another_thread_once_each(void **state)
{
    (void)state;
    for (int i = 0; i < 50; i++)
        talk(&(struct talk){0});
}

static void whoever_waits_hears_that_the_session_ended(void **state)
{
    (void)state;
    struct talk t = {.ends_session = true};
    struct rig r = {0};
    rig_begin(&r);
    struct client_who own = who("usr_a", "p1");
    t.r = &r;
    open_at(&r, &own, 1000, &t.s);
    struct err e;
    assert_true(fiber_main(ask_two, &t, &e));
    assert_int_equal(r.e.code, ERR_SESSION_NOT_FOUND);
    rig_end(&r);
}

static void an_unanswered_question_is_withdrawn_at_its_deadline(void **state)
{
    (void)state;
    struct talk t = {.answers_wrong = true};
    struct rig r = {0};
    rig_begin(&r);
    struct client_who own = who("usr_a", "p1");
    t.r = &r;
    open_at(&r, &own, 1000, &t.s);
    struct err e;
    assert_true(fiber_main(ask_two, &t, &e));
    assert_int_equal(r.e.code, ERR_TIMEOUT);
    assert_int_equal(t.n_cancelled, 2);
    assert_false(answer(&t, t.text[0], "{}"));
    rig_end(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_handle_works_for_its_principal_and_audience_only),
        cmocka_unit_test(an_ended_session_is_unknown_and_what_hangs_on_it_ends),
        cmocka_unit_test(a_principal_beyond_its_cap_loses_its_own_longest_unused_session),
        cmocka_unit_test(one_person_with_many_keys_cannot_fill_a_connection),
        cmocka_unit_test(a_full_hub_of_one_organization_leaves_that_of_another_alone),
        cmocka_unit_test(the_idle_and_the_old_are_reaped),
        cmocka_unit_test(levels_and_subscriptions_are_kept),
        cmocka_unit_test(a_part_of_a_session_is_found_again_and_ends_with_it),
        cmocka_unit_test(what_is_attached_ends_once),
        cmocka_unit_test(what_read_the_uris_last_stays_attached),
        cmocka_unit_test(questions_are_answered_from_another_thread_once_each),
        cmocka_unit_test(whoever_waits_hears_that_the_session_ended),
        cmocka_unit_test(an_unanswered_question_is_withdrawn_at_its_deadline),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
