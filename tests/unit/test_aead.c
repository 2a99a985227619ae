#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/text.h"
#include "crypto/aead.h"

struct vector {
    const char *key, *sealed, *aad, *plain; /* hex */
};

/* The GCM specification's test cases 13, 14 and 16 (McGrew and Viega, appendix B). */
static const struct vector vectors[] = {
    {"0000000000000000000000000000000000000000000000000000000000000000",
     "000000000000000000000000"
     "530f8afbc74536b9a963b4f1c4cb738b",
     "", ""},
    {"0000000000000000000000000000000000000000000000000000000000000000",
     "000000000000000000000000"
     "cea7403d4d606b6e074ec5d3baf39d18"
     "d0d1c8a799996bf0265b98b5d48ab919",
     "", "00000000000000000000000000000000"},
    {"feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
     "cafebabefacedbaddecaf888"
     "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
     "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
     "76fc6ece0f4e1768cddf8853bb2d551b",
     "feedfacedeadbeeffeedfacedeadbeefabaddad2",
     "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
     "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"},
};

static struct str unhex(const char *hex, uint8_t *out)
{
    size_t n = strlen(hex) / 2;
    assert_true(text_hex_decode(str_c(hex), out, n));
    return (struct str){(const char *)out, n};
}

static void known_answers_open(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
        uint8_t key[32], sealed[200], aad[200], plain[200];
        struct buf out;
        buf_init(&out, 200);
        unhex(vectors[i].key, key);
        struct str want = unhex(vectors[i].plain, plain);
        assert_true(
            aead_open(key, unhex(vectors[i].aad, aad), unhex(vectors[i].sealed, sealed), &out));
        assert_true(str_eq(buf_str(&out), want));
        buf_end(&out);
    }
}

static void what_is_sealed_opens_and_is_never_the_same_twice(void **state)
{
    (void)state;
    uint8_t key[32] = {1};
    struct buf a, b, out;
    buf_init(&a, 1000);
    buf_init(&b, 1000);
    buf_init(&out, 1000);
    buf_add(&out, STR("before "));
    assert_true(aead_seal(key, STR("aad"), STR("plain"), &a));
    assert_true(aead_seal(key, STR("aad"), STR("plain"), &b));
    assert_int_equal(a.n, 5 + AEAD_OVERHEAD);
    assert_false(str_eq(buf_str(&a), buf_str(&b)));
    assert_true(aead_open(key, STR("aad"), buf_str(&a), &out));
    assert_string_equal(out.p, "before plain");
    buf_reset(&a);
    buf_reset(&out);
    assert_true(aead_seal(key, STR_NONE, STR_NONE, &a));
    assert_true(aead_open(key, STR_NONE, buf_str(&a), &out));
    assert_int_equal(out.n, 0);
    buf_end(&a);
    buf_end(&b);
    buf_end(&out);
}

static void every_flipped_bit_is_noticed_and_nothing_comes_out(void **state)
{
    (void)state;
    uint8_t key[32] = {1};
    struct buf sealed, out;
    buf_init(&sealed, 100);
    buf_init(&out, 100);
    buf_add(&out, STR("kept"));
    assert_true(aead_seal(key, STR("aad"), STR("plain"), &sealed));
    for (size_t i = 0; i < sealed.n * 8; i++) {
        sealed.p[i / 8] = (char)(sealed.p[i / 8] ^ 1 << i % 8);
        assert_false(aead_open(key, STR("aad"), buf_str(&sealed), &out));
        sealed.p[i / 8] = (char)(sealed.p[i / 8] ^ 1 << i % 8);
    }
    assert_false(aead_open(key, STR("aae"), buf_str(&sealed), &out));
    assert_false(aead_open(key, STR_NONE, buf_str(&sealed), &out));
    for (size_t n = 0; n < sealed.n; n++)
        assert_false(aead_open(key, STR("aad"), str_slice(buf_str(&sealed), 0, n), &out));
    key[31] = 1;
    assert_false(aead_open(key, STR("aad"), buf_str(&sealed), &out));
    assert_string_equal(out.p, "kept");
    key[31] = 0;
    assert_true(aead_open(key, STR("aad"), buf_str(&sealed), &out));
    buf_end(&sealed);
    buf_end(&out);
}

static void a_full_buffer_refuses(void **state)
{
    (void)state;
    uint8_t key[32] = {0};
    struct buf small;
    buf_init(&small, AEAD_OVERHEAD);
    assert_false(aead_seal(key, STR_NONE, STR("x"), &small));
    assert_int_equal(small.n, 0);
    buf_end(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_answers_open),
        cmocka_unit_test(what_is_sealed_opens_and_is_never_the_same_twice),
        cmocka_unit_test(every_flipped_bit_is_noticed_and_nothing_comes_out),
        cmocka_unit_test(a_full_buffer_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
