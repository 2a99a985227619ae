/* TOTP against RFC 6238's own vectors, base32 against RFC 4648's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "crypto/otp.h"

#define SEED STR("12345678901234567890") /* RFC 6238 appendix B */

static void codes_are_those_of_the_rfc(unused_arg void **state)
{
    static const struct {
        int64_t seconds;
        const char *code; /* the last six of its eight digits */
    } known[] = {{59, "287082"},         {1111111109, "081804"}, {1111111111, "050471"},
                 {1234567890, "005924"}, {2000000000, "279037"}, {20000000000, "353130"}};
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        char code[OTP_DIGITS + 1];
        otp_code(SEED, otp_step(known[i].seconds * 1000), code);
        assert_string_equal(code, known[i].code);
    }
}

static void a_code_is_good_one_step_around_its_own_and_no_further(unused_arg void **state)
{
    const int64_t now = 1111111109000;
    for (int64_t off = -3; off <= 3; off++) {
        int64_t step = 0;
        bool is_near = off >= -1 && off <= 1;
        assert_true(otp_check(SEED, STR("081804"), now + off * OTP_STEP_MS, &step) == is_near);
        if (is_near)
            assert_int_equal(step, otp_step(now));
    }
    int64_t step;
    assert_false(otp_check(SEED, STR(""), now, &step));
    assert_false(otp_check(SEED, STR("81804"), now, &step));
    assert_false(otp_check(SEED, STR("0818040"), now, &step));
    assert_false(otp_check(STR("another seed of the like"), STR("081804"), now, &step));
}

static void seeds_are_written_in_base32(unused_arg void **state)
{
    static const char *const known[][2] = {{"", ""},
                                           {"f", "MY"},
                                           {"fo", "MZXQ"},
                                           {"foo", "MZXW6"},
                                           {"foob", "MZXW6YQ"},
                                           {"fooba", "MZXW6YTB"},
                                           {"foobar", "MZXW6YTBOI"}};
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        struct buf out;
        struct str text = str_c(known[i][0]);
        buf_init(&out, 64);
        otp_base32(&out, text.p, text.n);
        assert_true(str_eq(buf_str(&out), str_c(known[i][1])));
        buf_end(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codes_are_those_of_the_rfc),
        cmocka_unit_test(a_code_is_good_one_step_around_its_own_and_no_further),
        cmocka_unit_test(seeds_are_written_in_base32),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
