/* Passwords: rules, hashes, and the limits of hashing. */
#include "unit/store_fixture.h"

#include "auth/session/password_work.h"
#include "base/limits.h"
#include "crypto/password.h"

static void passwords_have_a_length_and_no_controls(unused_arg void **state)
{
    static char longest[LIMIT_PASSWORD_MAX + 2];
    struct err e;
    memset(longest, 'x', LIMIT_PASSWORD_MAX + 1);
    assert_false(password_check(STR("seven77"), &e));
    assert_int_equal(e.code, ERR_INVALID);
    assert_true(password_check(STR("eight888"), &e));
    assert_true(password_check(STR("p\xc3\xa4sswort mit Leerzeichen"), &e));
    assert_false(password_check(str_c(longest), &e));
    assert_null(strstr(e.msg, "xxx"));
    assert_true(password_check(str_slice(str_c(longest), 0, LIMIT_PASSWORD_MAX), &e));
    assert_false(password_check(STR("with\ttab in it"), &e));
    assert_false(password_check(STR("not utf-8 \xff\xff"), &e));
}

static void a_hash_belongs_to_one_password_and_has_its_own_salt(unused_arg void **state)
{
    char one[PASSWORD_HASH_SIZE], two[PASSWORD_HASH_SIZE];
    struct err e;
    assert_true(password_hash(STR("correct horse"), one, &e));
    assert_true(password_hash(STR("correct horse"), two, &e));
    assert_true(str_starts(str_c(one), STR("$argon2id$v=19$m=19456,t=2,p=1$")));
    assert_string_not_equal(one, two);
    assert_true(password_verify(STR("correct horse"), one));
    assert_false(password_verify(STR("correct horsf"), one));
    assert_false(password_verify(STR(""), one));
    assert_false(password_verify(STR("correct horse"), "not a hash"));
}

/* A malformed dummy would be refused without work and tell unknown accounts apart. */
static void the_dummy_has_the_form_and_cost_of_a_hash(unused_arg void **state)
{
    char real[PASSWORD_HASH_SIZE];
    struct err e;
    assert_true(password_hash(STR("correct horse"), real, &e));
    assert_int_equal(strlen(password_dummy()), strlen(real));
    assert_true(str_starts(str_c(password_dummy()), STR("$argon2id$v=19$m=19456,t=2,p=1$")));
    assert_false(password_verify(STR("correct horse"), password_dummy()));
}

/* ---- on offload threads ---- */

enum { MANY = LIMIT_PASSWORD_WAITING + 8 };
static struct {
    struct services sv;
    struct arena *a;
    struct str hash;
    int n_right, n_limited, n_left;
    struct fiber_wait all;
} work;

static void verify_one(void *arg unused_arg)
{
    struct err e;
    bool is_right = false;
    if (password_work_verify(&work.sv, STR("correct horse"), work.hash, &is_right, &e))
        work.n_right += is_right;
    else
        work.n_limited += e.code == ERR_UNAVAILABLE;
    if (--work.n_left == 0)
        fiber_wake(&work.all);
}

static void work_fiber(void *arg)
{
    struct err e;
    bool is_right = true;
    work.sv = (struct services){.offload = arg};
    work.a = arena_new(1024 * 1024);
    assert_true(password_work_hash(&work.sv, work.a, STR("correct horse"), &work.hash, &e));
    assert_true(password_work_verify(&work.sv, STR("correct horse"), STR_NONE, &is_right, &e));
    assert_false(is_right);
    work.n_left = MANY;
    for (int i = 0; i < MANY; i++)
        assert_true(fiber_start(loop_self(), verify_one, NULL, NULL, &e));
    assert_true(fiber_wait(&work.all, INT64_MAX, &e));
    assert_int_equal(work.n_right, LIMIT_PASSWORD_WAITING);
    assert_int_equal(work.n_limited, MANY - LIMIT_PASSWORD_WAITING);
    /* the places are free again */
    assert_true(password_work_verify(&work.sv, STR("correct horse"), work.hash, &is_right, &e));
    assert_true(is_right);
    arena_end(work.a);
}

static void beyond_the_limit_of_waiting_passwords_one_is_refused(unused_arg void **state)
{
    struct err e;
    struct offload *o = offload_new(3, &e);
    assert_non_null(o);
    assert_true(fiber_main(work_fiber, o, &e));
    offload_free(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(passwords_have_a_length_and_no_controls),
        cmocka_unit_test(a_hash_belongs_to_one_password_and_has_its_own_salt),
        cmocka_unit_test(the_dummy_has_the_form_and_cost_of_a_hash),
        cmocka_unit_test(beyond_the_limit_of_waiting_passwords_one_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
