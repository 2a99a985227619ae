/* Browser sessions and the tokens of forms. */
#include "unit/page_rig.h"

#include "auth/session/session.h"
#include "auth/session/session_caller.h"
#include "base/limits.h"
#include "crypto/hash.h"
#include "store/browser_sessions.h"
#include "store/org_policies.h"
#include "store/orgs.h"
#include "store/users.h"

#define NAME STR("tulle-dev=")
static const struct session_proof ada = {.user_id = STR("usr_a"), .proof = STR("password")};

static struct str user_make(struct fixture *f, const char *id)
{
    struct user u = {
        .id = str_c(id), .email = str_c(id), .name = STR("Ada"), .created_at = 1, .updated_at = 1};
    OK(f, users_insert(f->db, f->a, &u, &f->e));
    return u.id;
}

static struct str sign_in(struct fixture *f, struct rig *r, struct str cookie)
{
    rig_send(r, cookie, STR_NONE);
    OK(f, session_start(&r->rq, &ada, &f->e));
    struct str set = rig_cookie(r, NAME);
    assert_int_equal(set.n, NAME.n + 43);
    return set;
}

static void start_body(struct fixture *f)
{
    struct rig r;
    struct browser_session s;
    user_make(f, "usr_a");
    rig_begin(&r, f->a, f);
    struct str first = sign_in(f, &r, STR("tulle-dev=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"));
    assert_false(str_eq(first, STR("tulle-dev=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")));
    rig_send(&r, first, STR_NONE);
    OK(f, session_find(&r.rq, &s, &f->e));
    assert_str(s.user_id, "usr_a");
    assert_str(s.proof, "password");
    assert_true(str_is_absent(s.org_id));

    /* the second sign-in of the same browser ends the first session */
    struct str second = sign_in(f, &r, first);
    rig_send(&r, first, STR_NONE);
    FAILS(f, ERR_UNAUTHENTICATED, session_find(&r.rq, &s, &f->e));
    rig_send(&r, second, STR_NONE);
    OK(f, session_find(&r.rq, &s, &f->e));
    OK(f, session_end(&r.rq, &f->e));
    assert_str(rig_cookie(&r, NAME), "tulle-dev=");
    rig_send(&r, second, STR_NONE);
    FAILS(f, ERR_UNAUTHENTICATED, session_find(&r.rq, &s, &f->e));
    rig_end(&r);
}

static void every_sign_in_has_a_new_id_and_ends_the_old_session(unused_arg void **state)
{
    with_store(start_body);
}

static void only_hash_body(struct fixture *f)
{
    struct rig r;
    struct browser_session_row *rows;
    const struct db_page page = {.limit = 10};
    size_t n;
    user_make(f, "usr_a");
    rig_begin(&r, f->a, f);
    struct str cookie = str_slice(sign_in(f, &r, STR_NONE), NAME.n, SIZE_MAX);
    const struct session_owner who = {.user_id = STR("usr_a")};
    OK(f, browser_sessions_list(f->db, f->a, &who, clock_wall_ms(), &page, &rows, &n, &f->e));
    assert_int_equal(n, 1);
    char hex[65];
    struct sha256 digest = hash_sha256(cookie);
    hash_hex(&digest, hex);
    assert_true(str_eq(rows[0].hash, str_c(hex)));
    rig_end(&r);
}

static void the_store_knows_the_digest_of_the_cookie_only(unused_arg void **state)
{
    with_store(only_hash_body);
}

static const struct db_stmt disable = {
    "test_disable", "UPDATE users SET disabled_at = 5 WHERE id = $1", DB_WRITE, 0};
static const struct db_stmt delete_user = {"test_delete_user", "DELETE FROM users WHERE id = $1",
                                           DB_WRITE, 0};

static void ends_body(struct fixture *f)
{
    struct rig r;
    struct browser_session s;
    user_make(f, "usr_a");
    rig_begin(&r, f->a, f);
    struct str cookie = sign_in(f, &r, STR_NONE);
    rig_send(&r, cookie, STR_NONE);
    const int64_t day = (int64_t)24 * 60 * 60 * 1000;
    clock_shift_for_test((int64_t)LIMIT_BROWSER_IDLE_MS + 1000);
    FAILS(f, ERR_UNAUTHENTICATED, session_find(&r.rq, &s, &f->e));
    clock_shift_for_test(-(int64_t)LIMIT_BROWSER_IDLE_MS - 1000);
    /* used every day, it still ends */
    for (int i = 1; i < LIMIT_BROWSER_LIFE_DAYS; i++) {
        OK(f, session_find(&r.rq, &s, &f->e));
        clock_shift_for_test(day);
    }
    OK(f, session_find(&r.rq, &s, &f->e));
    clock_shift_for_test(day + 1000);
    FAILS(f, ERR_UNAUTHENTICATED, session_find(&r.rq, &s, &f->e));
    clock_shift_for_test(-LIMIT_BROWSER_LIFE_DAYS * day - 1000);
    OK(f, session_find(&r.rq, &s, &f->e));
    OK(f, db_run(f->db, f->a, &disable, DB_ARGS(A_STR(STR("usr_a"))), NULL, &f->e));
    FAILS(f, ERR_UNAUTHENTICATED, session_find(&r.rq, &s, &f->e));
    rig_end(&r);
}

static void a_session_ends_by_silence_by_age_and_with_its_person(unused_arg void **state)
{
    with_store(ends_body);
}

static void loosened_body(struct fixture *f)
{
    struct rig r;
    struct browser_session s;
    struct org o = {.id = STR("org_1"), .slug = STR("one"), .name = STR("One"), .created_at = 1};
    user_make(f, "usr_a");
    OK(f, orgs_insert(f->db, f->a, &o, STR("w"), STR("usr_a"), &f->e));
    OK(f, org_policies_put(f->db, f->a, o.id, STR_NONE, STR("{\"session_idle_minutes\":10}"), 1,
                           &f->e));
    rig_begin(&r, f->a, f);
    struct str idle = sign_in(f, &r, STR_NONE), used = sign_in(f, &r, STR_NONE);
    const int64_t shift = (int64_t)11 * 60 * 1000;
    rig_send(&r, used, STR_NONE);
    OK(f, session_find(&r.rq, &s, &f->e));
    clock_shift_for_test(shift);
    rig_send(&r, idle, STR_NONE);
    FAILS(f, ERR_UNAUTHENTICATED, session_find(&r.rq, &s, &f->e));
    OK(f, org_policies_put(f->db, f->a, o.id, STR("{\"session_idle_minutes\":10}"),
                           STR("{\"session_idle_minutes\":60}"), 2, &f->e));
    FAILS(f, ERR_UNAUTHENTICATED, session_find(&r.rq, &s, &f->e)); /* it was found to be over */
    rig_send(&r, used, STR_NONE);
    OK(f, session_find(&r.rq, &s, &f->e)); /* nobody had looked: the new policy counts */
    clock_shift_for_test(-shift);
    rig_end(&r);
}

static void a_session_that_was_over_stays_so_when_the_policy_is_loosened(unused_arg void **state)
{
    with_store(loosened_body);
}

static void deleted_body(struct fixture *f)
{
    struct rig r;
    struct browser_session s;
    user_make(f, "usr_a");
    rig_begin(&r, f->a, f);
    struct str cookie = sign_in(f, &r, STR_NONE);
    OK(f, db_run(f->db, f->a, &delete_user, DB_ARGS(A_STR(STR("usr_a"))), NULL, &f->e));
    rig_send(&r, cookie, STR_NONE);
    FAILS(f, ERR_UNAUTHENTICATED, session_find(&r.rq, &s, &f->e));
    rig_end(&r);
}

static void a_deleted_person_has_no_session(unused_arg void **state)
{
    with_store(deleted_body);
}

static void odd_cookies_body(struct fixture *f)
{
    struct rig r;
    struct browser_session s;
    user_make(f, "usr_a");
    rig_begin(&r, f->a, f);
    struct str cookie = sign_in(f, &r, STR_NONE);
    const struct str odd[] = {STR("tulle-dev="), STR("tulle-dev=short"), STR("other=x"),
                              arena_printf(f->a, "%.*s; %.*s", STR_FMT(cookie), STR_FMT(cookie)),
                              arena_printf(f->a, "__Host-%.*s", STR_FMT(cookie))};
    for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
        rig_send(&r, odd[i], STR_NONE);
        FAILS(f, ERR_UNAUTHENTICATED, session_find(&r.rq, &s, &f->e));
    }
    r.config.base_is_https = true; /* another cookie there, never this one */
    rig_send(&r, cookie, STR_NONE);
    FAILS(f, ERR_UNAUTHENTICATED, session_find(&r.rq, &s, &f->e));
    OK(f, session_start(&r.rq, &ada, &f->e));
    struct str line = r.set[0].value;
    assert_true(str_starts(line, STR("__Host-tulle=")));
    assert_true(str_find(line, STR("Secure")) != SIZE_MAX &&
                str_find(line, STR("HttpOnly")) != SIZE_MAX &&
                str_find(line, STR("SameSite=Lax")) != SIZE_MAX);
    rig_end(&r);
}

static void absent_repeated_and_foreign_cookies_are_no_session(unused_arg void **state)
{
    with_store(odd_cookies_body);
}

static void csrf_body(struct fixture *f)
{
    struct rig r;
    struct str token, again;
    user_make(f, "usr_a");
    rig_begin(&r, f->a, f);
    rig_send(&r, STR_NONE, STR_NONE);
    OK(f, csrf_token_for(&r.rq, &token, &f->e));
    struct str form_cookie = rig_cookie(&r, STR("tulle-dev-form="));
    assert_false(str_is_absent(form_cookie));

    rig_send(&r, form_cookie, STR_NONE);
    OK(f, csrf_check(&r.rq, token, &f->e)); /* no Origin: the token is enough */
    OK(f, csrf_token_for(&r.rq, &again, &f->e));
    assert_true(str_eq(token, again) && r.n_set == 0);
    FAILS(f, ERR_FORBIDDEN, csrf_check(&r.rq, STR(""), &f->e));
    FAILS(f, ERR_FORBIDDEN, csrf_check(&r.rq, STR_NONE, &f->e));
    rig_send(&r, STR_NONE, STR_NONE);
    FAILS(f, ERR_FORBIDDEN, csrf_check(&r.rq, token, &f->e)); /* a token without its cookie */

    /* a token from before sign-in is worthless after it */
    struct str session = sign_in(f, &r, form_cookie);
    rig_send(&r, arena_printf(f->a, "%.*s; %.*s", STR_FMT(session), STR_FMT(form_cookie)),
             STR_NONE);
    FAILS(f, ERR_FORBIDDEN, csrf_check(&r.rq, token, &f->e));
    struct browser_session s;
    OK(f, session_find(&r.rq, &s, &f->e));
    OK(f, csrf_check(&r.rq, s.csrf_token, &f->e));
    rig_end(&r);
}

static void a_forms_token_belongs_to_one_cookie(unused_arg void **state)
{
    with_store(csrf_body);
}

static void origin_body(struct fixture *f)
{
    struct rig r;
    struct str token;
    rig_begin(&r, f->a, f);
    rig_send(&r, STR_NONE, STR_NONE);
    OK(f, csrf_token_for(&r.rq, &token, &f->e));
    struct str cookie = rig_cookie(&r, STR("tulle-dev-form="));
    rig_send(&r, cookie, STR("http://localhost:3000"));
    OK(f, csrf_check(&r.rq, token, &f->e));
    static const char *const foreign[] = {"https://evil.example", "null", "http://localhost:3001",
                                          "https://localhost:3000", ""};
    for (size_t i = 0; i < ARRAY_LEN(foreign); i++) {
        rig_send(&r, cookie, str_c(foreign[i]));
        FAILS(f, ERR_FORBIDDEN, csrf_check(&r.rq, token, &f->e));
    }
    /* reached by another loopback name or a forwarded port: the browser's own view of this server
     */
    rig_send(&r, cookie, STR("http://127.0.0.1:8080"));
    r.sent[2].value = STR("127.0.0.1:8080");
    OK(f, csrf_check(&r.rq, token, &f->e));
    r.config.base_is_loopback = false;
    FAILS(f, ERR_FORBIDDEN, csrf_check(&r.rq, token, &f->e));
    rig_end(&r);
}

static void a_form_from_another_site_is_refused(unused_arg void **state)
{
    with_store(origin_body);
}

static void rotate_body(struct fixture *f)
{
    struct rig r;
    struct str token;
    rig_begin(&r, f->a, f);
    rig_send(&r, STR_NONE, STR_NONE);
    OK(f, csrf_token_for(&r.rq, &token, &f->e));
    struct str cookie = rig_cookie(&r, STR("tulle-dev-form="));
    keyring_end(&r.keys);
    assert_true(
        keyring_parse(&r.keys,
                      STR("ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100,"
                          "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"),
                      &f->e));
    rig_send(&r, cookie, STR_NONE);
    OK(f, csrf_check(&r.rq, token, &f->e));
    rig_end(&r);
}

static void open_forms_survive_a_rotation_of_the_master_key(unused_arg void **state)
{
    with_store(rotate_body);
}

static void caller_body(struct fixture *f)
{
    struct rig r;
    struct caller c;
    user_make(f, "usr_a");
    struct org o = {.id = STR("org_1"),
                    .slug = STR("one"),
                    .name = STR("One"),
                    .created_at = 1,
                    .updated_at = 1};
    OK(f, orgs_insert(f->db, f->a, &o, STR("w"), STR("usr_a"), &f->e));
    rig_begin(&r, f->a, f);
    struct browser_session s = {.user_id = STR("usr_a"), .email = STR("a@x"), .org_id = o.id};
    OK(f, session_caller(&r.sv, f->a, &s, &c, &f->e));
    assert_str(c.org_id, "org_1");
    assert_true(c.builtin_roles == ROLE_OWNER && c.is_management_audience && !c.is_proxy_audience);
    assert_false(caller_is_bound(&c));
    s.org_id = STR("org_left");
    OK(f, session_caller(&r.sv, f->a, &s, &c, &f->e));
    assert_true(str_is_absent(c.org_id) && c.builtin_roles == 0 && !c.is_proxy_audience);
    rig_end(&r);
}

static void a_session_acts_for_its_person_and_never_at_connections(unused_arg void **state)
{
    with_store(caller_body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_sign_in_has_a_new_id_and_ends_the_old_session),
        cmocka_unit_test(the_store_knows_the_digest_of_the_cookie_only),
        cmocka_unit_test(a_session_ends_by_silence_by_age_and_with_its_person),
        cmocka_unit_test(a_session_that_was_over_stays_so_when_the_policy_is_loosened),
        cmocka_unit_test(a_deleted_person_has_no_session),
        cmocka_unit_test(absent_repeated_and_foreign_cookies_are_no_session),
        cmocka_unit_test(a_forms_token_belongs_to_one_cookie),
        cmocka_unit_test(a_form_from_another_site_is_refused),
        cmocka_unit_test(open_forms_survive_a_rotation_of_the_master_key),
        cmocka_unit_test(a_session_acts_for_its_person_and_never_at_connections),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
