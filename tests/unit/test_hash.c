#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>

#include "base/text.h"
#include "crypto/hash.h"

static void assert_digest(struct sha256 h, const char *hex)
{
    char text[65];
    hash_hex(&h, text);
    assert_string_equal(text, hex);
}

/* FIPS 180-4 examples */
static void sha256_agrees_with_known_answers(void **state)
{
    (void)state;
    assert_digest(hash_sha256(STR("abc")),
                  "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_digest(hash_sha256(STR_NONE),
                  "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    const struct str parts[] = {STR("a"), STR_NONE, STR("bc")};
    assert_digest(hash_sha256_of(parts, ARRAY_LEN(parts)),
                  "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

/* RFC 4231 sections 4.2, 4.3 and 4.7 */
static void hmac_agrees_with_known_answers(void **state)
{
    (void)state;
    char key[131];
    memset(key, 0x0b, 20);
    assert_digest(hash_hmac_sha256((struct str){key, 20}, STR("Hi There")),
                  "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    assert_digest(hash_hmac_sha256(STR("Jefe"), STR("what do ya want for nothing?")),
                  "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    memset(key, 0xaa, sizeof(key));
    assert_digest(hash_hmac_sha256((struct str){key, sizeof(key)},
                                   STR("Test Using Larger Than Block-Size Key - Hash Key First")),
                  "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    /* the well-known digest of nothing under an empty key */
    assert_digest(hash_hmac_sha256(STR_NONE, STR_NONE),
                  "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

/* RFC 5869 appendix A.3: no salt, no info */
static void hkdf_agrees_with_the_rfc(void **state)
{
    (void)state;
    char key[22];
    uint8_t out[42];
    char hex[85];
    memset(key, 0x0b, sizeof(key));
    hash_hkdf((struct str){key, sizeof(key)}, STR_NONE, out, sizeof(out));
    text_hex(hex, out, sizeof(out));
    assert_string_equal(hex, "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"
                             "9d201395faa4b61a96c8");
    uint8_t other[42];
    hash_hkdf((struct str){key, sizeof(key)}, STR("purpose"), other, sizeof(other));
    assert_memory_not_equal(out, other, sizeof(out));
}

static void *digest_in_a_thread(void *arg)
{
    *(struct sha256 *)arg = hash_sha256(STR("abc"));
    return NULL;
}

static void a_thread_that_ends_leaves_nothing_behind(void **state) /* the leak checker judges */
{
    (void)state;
    pthread_t thread;
    struct sha256 h;
    assert_int_equal(pthread_create(&thread, NULL, digest_in_a_thread, &h), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_digest(h, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha256_agrees_with_known_answers),
        cmocka_unit_test(hmac_agrees_with_known_answers),
        cmocka_unit_test(hkdf_agrees_with_the_rfc),
        cmocka_unit_test(a_thread_that_ends_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
