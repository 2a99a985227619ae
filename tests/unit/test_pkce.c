#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "auth/oauth/pkce.h"

/* RFC 7636, appendix B. */
#define VERIFIER  STR("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
#define CHALLENGE STR("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM")

static void the_rfc_s_example_verifies(void **state)
{
    (void)state;
    assert_true(pkce_challenge_is_good(CHALLENGE));
    assert_true(pkce_verify(CHALLENGE, VERIFIER));
}

static void another_verifier_does_not(void **state)
{
    (void)state;
    assert_false(pkce_verify(CHALLENGE, STR("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXl")));
    assert_false(pkce_verify(CHALLENGE, CHALLENGE)); /* plain is not offered */
    assert_false(pkce_verify(CHALLENGE, STR_NONE));
    assert_false(pkce_verify(STR(""), VERIFIER));
}

static void verifiers_have_43_to_128_unreserved_characters(void **state)
{
    (void)state;
    char text[130];
    memset(text, 'a', sizeof(text));
    assert_false(pkce_verify(CHALLENGE, (struct str){text, 42}));
    assert_false(pkce_verify(CHALLENGE, (struct str){text, 129}));
    text[10] = ' ';
    assert_false(pkce_verify(CHALLENGE, (struct str){text, 64}));
}

static void challenges_are_32_bytes_of_base64url(void **state)
{
    (void)state;
    assert_false(pkce_challenge_is_good(STR_NONE));
    assert_false(pkce_challenge_is_good(STR("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-c")));
    assert_false(pkce_challenge_is_good(STR("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cMA")));
    assert_false(pkce_challenge_is_good(STR("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-c=")));
    assert_false(pkce_challenge_is_good(STR("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw+cM")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rfc_s_example_verifies),
        cmocka_unit_test(another_verifier_does_not),
        cmocka_unit_test(verifiers_have_43_to_128_unreserved_characters),
        cmocka_unit_test(challenges_are_32_bytes_of_base64url),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
