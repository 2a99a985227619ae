/* Passwords, invitations, one-time links, failed sign-ins. */
#include "unit/tenant_fixture.h"

#include "store/browser_sessions.h"
#include "store/invitations.h"
#include "store/one_time_tokens.h"
#include "store/passwords.h"
#include "store/signin_failures.h"

enum { MINUTE = 60 * 1000, DAY = 24 * 60 * MINUTE };

static void session_make(struct fixture *f, struct str user, const char *id)
{
    struct browser_session_row s = {.id = str_c(id),
                                    .hash = str_c(id),
                                    .user_id = user,
                                    .proof = STR("password"),
                                    .created_at = NOW,
                                    .expires_at = NOW + DAY};
    OK(f, browser_sessions_insert(f->db, f->a, &s, STR_NONE, &f->e));
}

static int64_t session_count(struct fixture *f, struct str user)
{
    int64_t n;
    const struct session_owner who = {.user_id = user};
    OK(f, browser_sessions_count(f->db, f->a, &who, NOW, &n, &f->e));
    return n;
}

static void password_body(struct fixture *f)
{
    struct str hash, ada = make_user(f, "ada@x.example"), bob = make_user(f, "bob@x.example");
    FAILS(f, ERR_NOT_FOUND, passwords_get(f->db, f->a, ada, &hash, &f->e));
    session_make(f, ada, "ses_1");
    session_make(f, ada, "ses_2");
    session_make(f, bob, "ses_3");
    struct one_time_token link = {.hash = STR("h"),
                                  .purpose = STR("password"),
                                  .user_id = ada,
                                  .created_at = NOW,
                                  .expires_at = NOW + DAY};
    OK(f, one_time_tokens_insert(f->db, f->a, &link, &f->e));
    OK(f, passwords_put(f->db, f->a, ada, STR("hash1"), STR("ses_2"), NOW, &f->e));
    OK(f, passwords_get(f->db, f->a, ada, &hash, &f->e));
    assert_str(hash, "hash1");
    assert_int_equal(session_count(f, ada), 1);
    assert_int_equal(session_count(f, bob), 1);
    FAILS(f, ERR_NOT_FOUND,
          one_time_tokens_find(f->db, f->a, STR("h"), STR("password"), NOW, &link, &f->e));
    OK(f, passwords_put(f->db, f->a, ada, STR("hash2"), STR_NONE, NOW, &f->e));
    OK(f, passwords_get(f->db, f->a, ada, &hash, &f->e));
    assert_str(hash, "hash2");
    assert_int_equal(session_count(f, ada), 0);
}

static void a_new_password_ends_the_other_sessions_and_open_links(unused_arg void **state)
{
    with_store(password_body);
}

static struct invitation invitation_make(struct fixture *f, struct str org, const char *email,
                                         const char *hash)
{
    struct invitation i = {.id = new_id(f, "inv"),
                           .org_id = org,
                           .email = str_c(email),
                           .role = STR("admin"),
                           .hash = str_c(hash),
                           .created_at = NOW,
                           .expires_at = NOW + DAY};
    OK(f, invitations_insert(f->db, f->a, &i, &f->e));
    return i;
}

static void invitation_body(struct fixture *f)
{
    struct tenant a = make_tenant(f, "aaa"), b = make_tenant(f, "bbb");
    struct invitation i, one = invitation_make(f, a.org, "new@x.example", "h1"),
                         two = invitation_make(f, a.org, "owner@bbb.example", "h2");
    struct member m;
    struct user u;
    OK(f, invitations_by_hash(f->db, f->a, STR("h1"), NOW, &i, &f->e));
    assert_str(i.org_name, "Org");
    FAILS(f, ERR_NOT_FOUND, invitations_by_hash(f->db, f->a, STR("h1"), NOW + DAY, &i, &f->e));
    FAILS(f, ERR_NOT_FOUND, invitations_delete(f->db, f->a, b.org, one.id, &f->e));

    struct invitation_guest guest = {
        .user_id = new_id(f, "usr"), .name = STR("New"), .password_hash = STR("hash")};
    FAILS(f, ERR_NOT_FOUND, invitations_accept(f->db, f->a, &one, &guest, NOW + DAY, &f->e));
    OK(f, invitations_accept(f->db, f->a, &one, &guest, NOW, &f->e));
    OK(f, members_get(f->db, f->a, a.org, guest.user_id, &m, &f->e));
    assert_str(m.roles, "admin");
    assert_str(m.email, "new@x.example");
    guest.user_id = new_id(f, "usr");
    FAILS(f, ERR_NOT_FOUND, invitations_accept(f->db, f->a, &one, &guest, NOW, &f->e));

    /* somebody who exists: made a second time they would be a duplicate, and nothing is left of the
     * try */
    FAILS(f, ERR_CONFLICT, invitations_accept(f->db, f->a, &two, &guest, NOW, &f->e));
    FAILS(f, ERR_NOT_FOUND, users_get(f->db, f->a, guest.user_id, &u, &f->e));
    struct invitation_guest known = {.user_id = b.owner};
    OK(f, invitations_accept(f->db, f->a, &two, &known, NOW, &f->e));
    OK(f, members_get(f->db, f->a, a.org, b.owner, &m, &f->e));

    struct invitation three = invitation_make(f, a.org, "owner@bbb.example", "h3");
    FAILS(f, ERR_CONFLICT, invitations_accept(f->db, f->a, &three, &known, NOW, &f->e));
    OK(f, invitations_by_hash(f->db, f->a, STR("h3"), NOW, &i, &f->e));
    OK(f, orgs_delete(f->db, f->a, a.org, NOW, &f->e));
    FAILS(f, ERR_NOT_FOUND, invitations_by_hash(f->db, f->a, STR("h3"), NOW, &i, &f->e));
}

static void an_invitation_is_accepted_once_and_goes_with_its_organization(unused_arg void **state)
{
    with_store(invitation_body);
}

static void setup_link(struct fixture *f, const char *hash)
{
    struct one_time_token t = {
        .hash = str_c(hash), .purpose = STR("setup"), .created_at = NOW, .expires_at = NOW + DAY};
    OK(f, one_time_tokens_insert(f->db, f->a, &t, &f->e));
}

static void setup_body(struct fixture *f)
{
    struct one_time_token t;
    struct str hash;
    bool has = true;
    setup_link(f, "s1");
    setup_link(f, "s2");
    make_user(f, "taken@x.example");
    OK(f, one_time_tokens_has_operator(f->db, f->a, &has, &f->e));
    assert_false(has);
    struct user boss = {.id = new_id(f, "usr"),
                        .email = STR("taken@x.example"),
                        .name = STR("Boss"),
                        .created_at = NOW};
    FAILS(f, ERR_CONFLICT,
          one_time_tokens_take_setup(f->db, f->a, STR("s1"), &boss, STR("hash"), &f->e));
    boss.email = STR("boss@x.example");
    FAILS(f, ERR_NOT_FOUND,
          one_time_tokens_take_setup(f->db, f->a, STR("none"), &boss, STR("hash"), &f->e));
    boss.created_at = NOW + DAY;
    FAILS(f, ERR_NOT_FOUND,
          one_time_tokens_take_setup(f->db, f->a, STR("s1"), &boss, STR("hash"), &f->e));
    boss.created_at = NOW;
    OK(f, one_time_tokens_take_setup(f->db, f->a, STR("s1"), &boss, STR("hash"), &f->e));
    OK(f, passwords_get(f->db, f->a, boss.id, &hash, &f->e));
    OK(f, one_time_tokens_has_operator(f->db, f->a, &has, &f->e));
    assert_true(has);
    FAILS(f, ERR_NOT_FOUND,
          one_time_tokens_find(f->db, f->a, STR("s1"), STR("setup"), NOW, &t, &f->e));
    FAILS(f, ERR_NOT_FOUND,
          one_time_tokens_find(f->db, f->a, STR("s2"), STR("setup"), NOW, &t, &f->e));

    /* a link made while there is an operator is of no use */
    setup_link(f, "s3");
    boss = (struct user){.id = new_id(f, "usr"),
                         .email = STR("second@x.example"),
                         .name = STR("Second"),
                         .created_at = NOW};
    FAILS(f, ERR_NOT_FOUND,
          one_time_tokens_take_setup(f->db, f->a, STR("s3"), &boss, STR("hash"), &f->e));
}

static void a_setup_link_makes_the_first_operator_only(unused_arg void **state)
{
    with_store(setup_body);
}

static void password_link_body(struct fixture *f)
{
    struct str ada = make_user(f, "ada@x.example"), hash;
    struct one_time_token found, t = {.hash = STR("p1"),
                                      .purpose = STR("password"),
                                      .user_id = ada,
                                      .created_at = NOW,
                                      .expires_at = NOW + DAY};
    OK(f, one_time_tokens_insert(f->db, f->a, &t, &f->e));
    FAILS(f, ERR_NOT_FOUND,
          one_time_tokens_find(f->db, f->a, STR("p1"), STR("setup"), NOW, &found, &f->e));
    session_make(f, ada, "ses_1");
    OK(f, one_time_tokens_find(f->db, f->a, STR("p1"), STR("password"), NOW, &found, &f->e));
    OK(f, one_time_tokens_take_password(f->db, f->a, &found, STR("hash"), NOW, &f->e));
    assert_int_equal(session_count(f, ada), 0);
    FAILS(f, ERR_NOT_FOUND,
          one_time_tokens_take_password(f->db, f->a, &found, STR("other"), NOW, &f->e));
    OK(f, passwords_get(f->db, f->a, ada, &hash, &f->e));
    assert_str(hash, "hash");
}

static void a_password_link_is_good_once_and_for_its_purpose(unused_arg void **state)
{
    with_store(password_link_body);
}

static int64_t attempt(struct fixture *f, const char *name, int64_t now)
{
    static const struct signin_rule rule = {.free = 3, .window_ms = 60 * MINUTE};
    int64_t wait_until = -1;
    OK(f, signin_failures_count(f->db, f->a, str_c(name), &rule, now, &wait_until, &f->e));
    return wait_until;
}

static void failures_body(struct fixture *f)
{
    int64_t now = NOW;
    for (int i = 0; i < 3; i++)
        assert_int_equal(attempt(f, "a", now), 0);
    assert_int_equal(attempt(f, "a", now + 1), now + MINUTE);
    assert_int_equal(attempt(f, "b", now), 0); /* others are not concerned */
    static const int minutes[] = {1, 2, 4, 8, 15, 15};
    for (size_t i = 0; i < ARRAY_LEN(minutes); i++) {
        assert_int_equal(attempt(f, "a", now + minutes[i] * MINUTE - 1), now + minutes[i] * MINUTE);
        now += minutes[i] * MINUTE;
        assert_int_equal(attempt(f, "a", now), 0);
    }
    /* after an hour of silence the count begins anew */
    now += 61 * MINUTE;
    for (int i = 0; i < 3; i++)
        assert_int_equal(attempt(f, "a", now), 0);
    assert_true(attempt(f, "a", now) > now);
    OK(f, signin_failures_forget(f->db, f->a, STR("a"), &f->e));
    assert_int_equal(attempt(f, "a", now), 0);
}

static void each_failure_makes_the_next_attempt_wait_longer(unused_arg void **state)
{
    with_store(failures_body);
}

static void refund_body(struct fixture *f)
{
    for (int i = 0; i < 20; i++) {
        assert_int_equal(attempt(f, "a", NOW), 0);
        OK(f, signin_failures_refund(f->db, f->a, STR("a"), &f->e));
    }
}

static void a_refunded_attempt_does_not_count(unused_arg void **state)
{
    with_store(refund_body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_password_ends_the_other_sessions_and_open_links),
        cmocka_unit_test(an_invitation_is_accepted_once_and_goes_with_its_organization),
        cmocka_unit_test(a_setup_link_makes_the_first_operator_only),
        cmocka_unit_test(a_password_link_is_good_once_and_for_its_purpose),
        cmocka_unit_test(each_failure_makes_the_next_attempt_wait_longer),
        cmocka_unit_test(a_refunded_attempt_does_not_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
