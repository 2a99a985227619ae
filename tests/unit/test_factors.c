/* Codes, recovery codes, pending sign-ins and challenges with their store. */
#include "unit/page_rig.h"

#include "auth/factors/codes.h"
#include "auth/factors/passkeys.h"
#include "auth/login/login_audit.h"
#include "auth/login/second.h"
#include "base/limits.h"
#include "core/totp_seed.h"
#include "crypto/otp.h"
#include "store/users.h"

#define PENDING STR("tulle-dev-second=")
enum { MINUTE = 60 * 1000 };

static int n_denied;

/* Takes the place of auth/login/login_audit.c. */
bool login_audit(struct services *sv unused_arg, const struct http_request *rq unused_arg,
                 const struct login_event *event, struct err *e unused_arg)
{
    n_denied += str_eq(str_c(event->outcome), STR("denied"));
    return true;
}

static struct str user_make(struct fixture *f, const char *id)
{
    struct user u = {
        .id = str_c(id), .email = str_c(id), .name = STR("Ada"), .created_at = 1, .updated_at = 1};
    OK(f, users_insert(f->db, f->a, &u, &f->e));
    return u.id;
}

/* The code that the app of a person shows, `steps` from now. */
static struct str code_of(struct fixture *f, struct rig *r, struct str user, int64_t steps)
{
    struct totp_row row;
    struct secret seed = {0};
    char code[OTP_DIGITS + 1];
    OK(f, totp_get(f->db, f->a, user, &row, &f->e));
    OK(f, totp_seed_open(&r->keys, f->a, user, row.sealed, &seed, &f->e));
    otp_code(secret_reveal(&seed), otp_step(clock_wall_ms()) + steps, code);
    secret_end(&seed);
    return arena_dup(f->a, str_c(code));
}

/* A person with an app whose first code was the one of the step before. */
static struct str with_app(struct fixture *f, struct rig *r, const char *id)
{
    struct str user = user_make(f, id), seed;
    const struct codes_enrolment who = {user, STR("ses_a")};
    rig_send(r, STR_NONE, STR_NONE);
    OK(f, codes_app_start(&r->rq, &who, &seed, &f->e));
    OK(f, codes_app_confirm(&r->rq, &who, code_of(f, r, user, -1), &f->e));
    return user;
}

/* Not at the end of a step, so that it does not change within a test. */
static void to_middle_of_step(void)
{
    clock_shift_for_test(OTP_STEP_MS + OTP_STEP_MS / 2 - clock_wall_ms() % OTP_STEP_MS);
}

static void enrol_body(struct fixture *f)
{
    struct rig r;
    struct str user = user_make(f, "usr_a"), seed, again, uri;
    const struct codes_enrolment who = {user, STR("ses_a")}, other = {user, STR("ses_b")};
    struct factors_row has;
    bool is_recovery;
    rig_begin(&r, f->a, f);
    rig_send(&r, STR_NONE, STR_NONE);
    to_middle_of_step();
    OK(f, codes_app_start(&r.rq, &who, &seed, &f->e));
    assert_int_equal(seed.n, 32); /* 160 bits */
    OK(f, codes_app_uri(&r.rq, STR("a b@x.test"), seed, &uri, &f->e));
    assert_true(str_eq(uri, arena_printf(f->a,
                                         "otpauth://totp/Tulle:a%%20b%%40x.test?secret=%.*s&"
                                         "issuer=Tulle%%20localhost%%3A3000",
                                         STR_FMT(seed))));
    /* a second start replaces a seed that nobody confirmed */
    OK(f, codes_app_start(&r.rq, &who, &again, &f->e));
    assert_false(str_eq(seed, again));
    OK(f, codes_app_pending(&r.rq, &who, &seed, &f->e));
    assert_true(str_eq(seed, again));
    /* another session of the person neither sees it nor finishes it */
    FAILS(f, ERR_NOT_FOUND, codes_app_pending(&r.rq, &other, &seed, &f->e));
    FAILS(f, ERR_NOT_FOUND, codes_app_confirm(&r.rq, &other, code_of(f, &r, user, 0), &f->e));
    /* ... also where its seed has been replaced since its code was looked at */
    FAILS(f, ERR_NOT_FOUND, totp_confirm(f->db, f->a, user, other.session_id, 1, 1, &f->e));
    /* an app that is not confirmed proves nothing */
    FAILS(f, ERR_UNAUTHENTICATED,
          codes_prove(&r.rq, user, code_of(f, &r, user, 0), &is_recovery, &f->e));
    OK(f, factors_get(f->db, f->a, user, &has, &f->e));
    assert_false(has.has_totp);
    OK(f, codes_app_confirm(&r.rq, &who, code_of(f, &r, user, 0), &f->e));
    OK(f, factors_get(f->db, f->a, user, &has, &f->e));
    assert_true(has.has_totp);
    FAILS(f, ERR_CONFLICT, codes_app_start(&r.rq, &who, &seed, &f->e));
    FAILS(f, ERR_NOT_FOUND, codes_app_pending(&r.rq, &who, &seed, &f->e));
    /* the code that confirmed it is used */
    FAILS(f, ERR_UNAUTHENTICATED,
          codes_prove(&r.rq, user, code_of(f, &r, user, 0), &is_recovery, &f->e));
    rig_end(&r);
}

static void an_app_counts_from_its_first_right_code_on(unused_arg void **state)
{
    with_store(enrol_body);
}

static void once_body(struct fixture *f)
{
    struct rig r;
    bool is_recovery;
    rig_begin(&r, f->a, f);
    to_middle_of_step();
    struct str user = with_app(f, &r, "usr_a"), code = code_of(f, &r, user, 1);
    user_make(f, "usr_b");
    FAILS(f, ERR_UNAUTHENTICATED, codes_prove(&r.rq, STR("usr_b"), code, &is_recovery, &f->e));
    FAILS(f, ERR_UNAUTHENTICATED,
          codes_prove(&r.rq, user, code_of(f, &r, user, 2), &is_recovery, &f->e));
    OK(f, codes_prove(&r.rq, user, code, &is_recovery, &f->e));
    assert_false(is_recovery);
    n_denied = 0;
    FAILS(f, ERR_UNAUTHENTICATED, codes_prove(&r.rq, user, code, &is_recovery, &f->e));
    assert_int_equal(n_denied, 1);
    /* nor an earlier one after a later one */
    FAILS(f, ERR_UNAUTHENTICATED,
          codes_prove(&r.rq, user, code_of(f, &r, user, 0), &is_recovery, &f->e));
    rig_end(&r);
}

static void row_273_a_code_works_once_and_none_before_it_after(unused_arg void **state)
{
    with_store(once_body);
}

static void wait_body(struct fixture *f)
{
    struct rig r;
    bool is_recovery;
    rig_begin(&r, f->a, f);
    to_middle_of_step();
    struct str user = with_app(f, &r, "usr_a");
    for (int i = 0; i < LIMIT_FACTOR_TRIES; i++)
        FAILS(f, ERR_UNAUTHENTICATED, codes_prove(&r.rq, user, STR("not it"), &is_recovery, &f->e));
    FAILS(f, ERR_RATE_LIMITED,
          codes_prove(&r.rq, user, code_of(f, &r, user, 1), &is_recovery, &f->e));
    clock_shift_for_test(2 * MINUTE);
    OK(f, codes_prove(&r.rq, user, code_of(f, &r, user, 0), &is_recovery, &f->e));
    rig_end(&r);
}

static void row_273_after_wrong_codes_even_the_right_one_waits(unused_arg void **state)
{
    with_store(wait_body);
}

static void recovery_body(struct fixture *f)
{
    struct rig r;
    struct str user, codes[LIMIT_RECOVERY_CODES], others[LIMIT_RECOVERY_CODES];
    struct factors_row has;
    bool is_recovery;
    rig_begin(&r, f->a, f);
    user = with_app(f, &r, "usr_a");
    OK(f, codes_recovery_make(&r.rq, user, codes, &f->e));
    for (size_t i = 0; i < LIMIT_RECOVERY_CODES; i++) {
        assert_int_equal(codes[i].n, 19); /* 16 of base32: 80 bits */
        for (size_t k = 0; k < i; k++)
            assert_false(str_eq(codes[i], codes[k]));
    }
    OK(f, codes_prove(&r.rq, user, codes[3], &is_recovery, &f->e));
    assert_true(is_recovery);
    FAILS(f, ERR_UNAUTHENTICATED, codes_prove(&r.rq, user, codes[3], &is_recovery, &f->e));
    OK(f, factors_get(f->db, f->a, user, &has, &f->e));
    assert_int_equal(has.n_recovery_codes, LIMIT_RECOVERY_CODES - 1);
    user_make(f, "usr_b");
    FAILS(f, ERR_UNAUTHENTICATED, codes_prove(&r.rq, STR("usr_b"), codes[4], &is_recovery, &f->e));
    /* new ones end the old */
    OK(f, codes_recovery_make(&r.rq, user, others, &f->e));
    FAILS(f, ERR_UNAUTHENTICATED, codes_prove(&r.rq, user, codes[4], &is_recovery, &f->e));
    OK(f, codes_prove(&r.rq, user, others[0], &is_recovery, &f->e));
    rig_end(&r);
}

static void row_274_a_recovery_code_works_once_for_its_person(unused_arg void **state)
{
    with_store(recovery_body);
}

static void rotate_body(struct fixture *f)
{
    struct rig r;
    int64_t n = 0;
    bool is_recovery;
    rig_begin(&r, f->a, f);
    to_middle_of_step();
    struct str user = with_app(f, &r, "usr_a"), code = code_of(f, &r, user, 1);
    keyring_end(&r.keys);
    assert_true(
        keyring_parse(&r.keys,
                      STR("ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100,"
                          "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"),
                      &f->e));
    OK(f, totp_seed_rotate(&r.keys, f->db, f->a, &n, &f->e));
    assert_int_equal(n, 1);
    OK(f, totp_seed_rotate(&r.keys, f->db, f->a, &n, &f->e));
    assert_int_equal(n, 1);
    keyring_end(&r.keys);
    assert_true(keyring_parse(
        &r.keys, STR("ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100"), &f->e));
    OK(f, codes_prove(&r.rq, user, code, &is_recovery, &f->e));
    rig_end(&r);
}

static void seeds_follow_a_rotation_of_the_master_key(unused_arg void **state)
{
    with_store(rotate_body);
}

static void pending_body(struct fixture *f)
{
    struct rig r;
    struct pending_signin p;
    bool is_needed;
    rig_begin(&r, f->a, f);
    struct str user = with_app(f, &r, "usr_a");
    const struct signin s = {.user_id = user, .method = "password", .session_ends_at = 77};
    OK(f, second_is_needed(&r.rq, user, &is_needed, &f->e));
    assert_true(is_needed);
    rig_send(&r, STR_NONE, STR_NONE);
    FAILS(f, ERR_UNAUTHENTICATED, second_find(&r.rq, &p, &f->e));
    OK(f, second_begin(&r.rq, &s, STR("/account"), &f->e));
    struct str cookie = rig_cookie(&r, PENDING);
    assert_int_equal(cookie.n, PENDING.n + 43);
    rig_send(&r, cookie, STR_NONE);
    OK(f, second_find(&r.rq, &p, &f->e));
    assert_str(p.user_id, "usr_a");
    assert_str(p.return_to, "/account");
    assert_int_equal(p.ends_at, 77); /* when the provider's session is over is not forgotten */
    FAILS(f, ERR_UNAUTHENTICATED, second_finish(&r.rq, &p, &p.return_to, &f->e));
    assert_true(str_is_absent(p.org_id) && str_is_absent(p.provider_id));
    /* as many codes as it takes, then it is over, however right the next one is */
    for (int i = 0; i < LIMIT_FACTOR_TRIES; i++)
        FAILS(f, ERR_UNAUTHENTICATED, second_prove_code(&r.rq, &p, STR("000"), &f->e));
    FAILS(f, ERR_UNAUTHENTICATED, second_prove_code(&r.rq, &p, STR("000"), &f->e));
    FAILS(f, ERR_UNAUTHENTICATED, second_find(&r.rq, &p, &f->e));
    /* and it does not last */
    rig_send(&r, STR_NONE, STR_NONE);
    OK(f, second_begin(&r.rq, &s, STR("/account"), &f->e));
    rig_send(&r, rig_cookie(&r, PENDING), STR_NONE);
    OK(f, second_find(&r.rq, &p, &f->e));
    clock_shift_for_test(LIMIT_FACTOR_WAIT_MS + 1000);
    FAILS(f, ERR_UNAUTHENTICATED, second_find(&r.rq, &p, &f->e));
    clock_shift_for_test(-LIMIT_FACTOR_WAIT_MS - 1000);
    rig_end(&r);
}

static void between_the_factors_there_are_ten_minutes_and_five_tries(unused_arg void **state)
{
    with_store(pending_body);
}

static struct passkey_challenge challenge(const char *hash, const char *purpose)
{
    return (struct passkey_challenge){.hash = str_c(hash),
                                      .purpose = str_c(purpose),
                                      .user_id = STR("usr_a"),
                                      .browser_hash = STR("browser"),
                                      .created_at = 1000,
                                      .expires_at = 2000};
}

static void challenge_body(struct fixture *f)
{
    user_make(f, "usr_a");
    struct passkey_challenge c = challenge("h1", "second"), other = c;
    OK(f, passkey_challenges_insert(f->db, f->a, &c, &f->e));
    OK(f, passkey_challenges_take(f->db, f->a, &c, 1500, &f->e));
    FAILS(f, ERR_NOT_FOUND, passkey_challenges_take(f->db, f->a, &c, 1500, &f->e));
    /* for another purpose, person, browser or time it is used up for nothing */
    for (int i = 0; i < 5; i++) {
        OK(f, passkey_challenges_insert(f->db, f->a, &c, &f->e));
        other = c;
        if (i == 0)
            other.purpose = STR("again");
        else if (i == 1)
            other.user_id = STR("usr_b");
        else if (i == 2)
            other.user_id = STR_NONE;
        else if (i == 3)
            other.browser_hash = STR("another");
        FAILS(f, ERR_NOT_FOUND,
              passkey_challenges_take(f->db, f->a, &other, i == 4 ? 2000 : 1500, &f->e));
        FAILS(f, ERR_NOT_FOUND, passkey_challenges_take(f->db, f->a, &c, 1500, &f->e));
    }
    struct passkey_challenge nobody = challenge("h2", "signin");
    nobody.user_id = STR_NONE;
    OK(f, passkey_challenges_insert(f->db, f->a, &nobody, &f->e));
    OK(f, passkey_challenges_take(f->db, f->a, &nobody, 1500, &f->e));
}

static void row_269_a_challenge_is_good_once_for_one_thing(unused_arg void **state)
{
    with_store(challenge_body);
}

static void counter_body(struct fixture *f)
{
    struct passkey p = {.id = STR("pk_1"),
                        .credential_id = STR("c1"),
                        .public_key = STR("k"),
                        .name = STR("Key"),
                        .sign_count = 5,
                        .created_at = 1};
    struct passkey got, *list;
    size_t n;
    p.user_id = user_make(f, "usr_a");
    user_make(f, "usr_b");
    OK(f, passkeys_insert(f->db, f->a, &p, &f->e));
    FAILS(f, ERR_CONFLICT, passkeys_insert(f->db, f->a, &p, &f->e));
    OK(f, passkeys_used(f->db, f->a, &p, 6, true, 9, &f->e));
    FAILS(f, ERR_CONFLICT, passkeys_used(f->db, f->a, &p, 6, true, 9, &f->e));
    FAILS(f, ERR_CONFLICT, passkeys_used(f->db, f->a, &p, 0, true, 9, &f->e));
    OK(f, passkeys_by_credential(f->db, f->a, STR("c1"), &got, &f->e));
    assert_true(got.sign_count == 6 && got.is_backed_up && got.last_used_at == 9);
    /* counters that stay zero are no counters */
    p.id = STR("pk_2");
    p.credential_id = STR("c2");
    p.sign_count = 0;
    OK(f, passkeys_insert(f->db, f->a, &p, &f->e));
    OK(f, passkeys_used(f->db, f->a, &p, 0, false, 9, &f->e));
    OK(f, passkeys_used(f->db, f->a, &p, 0, false, 9, &f->e));
    /* of their own person only */
    FAILS(f, ERR_NOT_FOUND,
          passkeys_rename(f->db, f->a, STR("usr_b"), STR("pk_2"), STR("Mine"), &f->e));
    FAILS(f, ERR_NOT_FOUND, passkeys_delete(f->db, f->a, STR("usr_b"), STR("pk_2"), &f->e));
    OK(f, passkeys_rename(f->db, f->a, STR("usr_a"), STR("pk_2"), STR("Other"), &f->e));
    OK(f, passkeys_list(f->db, f->a, STR("usr_a"), &list, &n, &f->e));
    assert_int_equal(n, 2);
    assert_str(list[1].name, "Other");
    OK(f, passkeys_delete(f->db, f->a, STR("usr_a"), STR("pk_2"), &f->e));
    struct str first, second;
    OK(f, passkey_handles_get(f->db, f->a, STR("usr_a"), STR("one"), &first, &f->e));
    OK(f, passkey_handles_get(f->db, f->a, STR("usr_a"), STR("two"), &second, &f->e));
    assert_str(first, "one");
    assert_str(second, "one");
}

static void row_270_a_counter_never_goes_back_and_a_passkey_has_one_owner(unused_arg void **state)
{
    with_store(counter_body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_app_counts_from_its_first_right_code_on),
        cmocka_unit_test(row_273_a_code_works_once_and_none_before_it_after),
        cmocka_unit_test(row_273_after_wrong_codes_even_the_right_one_waits),
        cmocka_unit_test(row_274_a_recovery_code_works_once_for_its_person),
        cmocka_unit_test(seeds_follow_a_rotation_of_the_master_key),
        cmocka_unit_test(between_the_factors_there_are_ten_minutes_and_five_tries),
        cmocka_unit_test(row_269_a_challenge_is_good_once_for_one_thing),
        cmocka_unit_test(row_270_a_counter_never_goes_back_and_a_passkey_has_one_owner),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
