#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "crypto/sign.h"

static void a_key_has_one_public_part_and_two_keys_have_two(void **state)
{
    (void)state;
    struct secret one = {0}, two = {0};
    struct sign_public p, again, other;
    assert_true(sign_key_make(&one));
    assert_true(sign_key_make(&two));
    assert_true(sign_key_public(secret_reveal(&one), &p));
    assert_true(sign_key_public(secret_reveal(&one), &again));
    assert_true(sign_key_public(secret_reveal(&two), &other));
    assert_string_equal(p.kid, again.kid);
    assert_string_not_equal(p.kid, other.kid);
    assert_int_equal(strlen(p.x), 43);
    assert_int_equal(strlen(p.y), 43);
    assert_int_equal(strlen(p.kid), 43);
    secret_end(&one);
    secret_end(&two);
}

static void other_bytes_are_no_key(void **state)
{
    (void)state;
    struct sign_public p;
    struct secret one = {0};
    assert_false(sign_key_public(STR(""), &p));
    assert_false(sign_key_public(STR("not a key"), &p));
    assert_true(sign_key_make(&one));
    assert_false(sign_key_public(str_slice(secret_reveal(&one), 0, one.n - 1), &p));
    secret_end(&one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_has_one_public_part_and_two_keys_have_two),
        cmocka_unit_test(other_bytes_are_no_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
