#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "crypto/hash.h"
#include "crypto/keyring.h"

#define HEX_KEY "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define B64_KEY "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
#define KEY_2   "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"

static void one_key_has_one_id_in_every_spelling(void **state)
{
    (void)state;
    static const char *const spellings[] = {
        HEX_KEY,
        "000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F",
        B64_KEY,
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n",
    };
    char id[KEY_ID_SIZE] = "";
    for (size_t i = 0; i < ARRAY_LEN(spellings); i++) {
        struct keyring k;
        struct err e;
        assert_true(keyring_parse(&k, str_c(spellings[i]), &e));
        assert_int_equal(k.n, 1);
        assert_int_equal(k.keys[0].key.n, 32);
        assert_int_equal(k.keys[0].key.bytes[31], 31);
        assert_int_equal(strlen(k.keys[0].id), 8);
        if (i > 0)
            assert_string_equal(k.keys[0].id, id);
        memcpy(id, k.keys[0].id, sizeof(id));
        keyring_end(&k);
    }
}

static void ill_formed_keys_are_named_by_place_not_by_value(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "short",
        HEX_KEY ",",
        HEX_KEY ",x0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f1",
        HEX_KEY "," B64_KEY, /* the same key twice */
        HEX_KEY "00",
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHhAA",
        "1,2,3,4,5,6,7,8,9",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct keyring k;
        struct err e = {0};
        assert_false(keyring_parse(&k, str_c(bad[i]), &e));
        assert_int_equal(e.code, ERR_INVALID);
        assert_non_null(strstr(e.msg, "ENCRYPTION_KEY"));
        assert_null(strstr(e.msg, "0102"));
    }
}

static void keys_differ_by_purpose_and_master_key(void **state)
{
    (void)state;
    struct keyring k;
    struct err e;
    uint8_t a[32], b[32], again[32], direct[32];
    assert_true(keyring_parse(&k, STR(HEX_KEY "," KEY_2), &e));
    assert_true(keyring_derive(&k, STR_NONE, STR("session-handle"), a));
    assert_true(keyring_derive(&k, STR_NONE, STR("csrf"), b));
    assert_memory_not_equal(a, b, 32);
    assert_true(keyring_derive(&k, str_c(k.keys[1].id), STR("session-handle"), b));
    assert_memory_not_equal(a, b, 32);
    hash_hkdf(secret_reveal(&k.keys[0].key), STR("session-handle"), direct, 32);
    assert_memory_equal(a, direct, 32);
    for (int i = 0; i < 100; i++) { /* beyond what a thread remembers */
        char purpose[80];
        snprintf(purpose, sizeof(purpose), "purpose %d%s", i,
                 i % 2 ? " with a name that is longer than the cache keeps it" : "");
        assert_true(keyring_derive(&k, STR_NONE, str_c(purpose), b));
        hash_hkdf(secret_reveal(&k.keys[0].key), str_c(purpose), direct, 32);
        assert_memory_equal(b, direct, 32);
    }
    assert_true(keyring_derive(&k, str_c(k.keys[0].id), STR("session-handle"), again));
    assert_memory_equal(a, again, 32);
    assert_false(keyring_derive(&k, STR("00000000"), STR("csrf"), b));
    assert_null(keyring_find(&k, STR("00000000")));
    keyring_end(&k);
    assert_false(keyring_derive(&k, STR_NONE, STR("csrf"), b));
}

static void sealed_text_opens_after_rotation_but_for_nothing_else(void **state)
{
    (void)state;
    struct keyring k;
    struct err e;
    struct buf sealed, out;
    buf_init(&sealed, 1000);
    buf_init(&out, 1000);
    assert_true(keyring_parse(&k, STR(HEX_KEY), &e));
    assert_true(keyring_seal(&k, STR("cursor"), STR("usr_1"), STR("page 2"), &sealed));
    assert_true(str_starts(buf_str(&sealed), STR("v1.")));
    keyring_end(&k);

    assert_true(keyring_parse(&k, STR(KEY_2 "," HEX_KEY), &e));
    assert_false(keyring_open(&k, STR("csrf"), STR("usr_1"), buf_str(&sealed), &out));
    assert_false(keyring_open(&k, STR("cursor"), STR("usr_2"), buf_str(&sealed), &out));
    assert_true(keyring_open(&k, STR("cursor"), STR("usr_1"), buf_str(&sealed), &out));
    assert_string_equal(out.p, "page 2");
    keyring_end(&k);

    assert_true(keyring_parse(&k, STR(KEY_2), &e));
    assert_false(keyring_open(&k, STR("cursor"), STR("usr_1"), buf_str(&sealed), &out));
    static const char *const bad[] = {
        "", "v1", "v1.", "v1.00000000", "v2.00000000.AAAA", "v1..", "v1.00000000.A=="};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(keyring_open(&k, STR("cursor"), STR("usr_1"), str_c(bad[i]), &out));
    assert_string_equal(out.p, "page 2");
    keyring_end(&k);
    buf_end(&sealed);
    buf_end(&out);
}

static void a_new_keyring_does_not_see_an_old_ones_cached_keys(void **state)
{
    (void)state;
    struct keyring k;
    struct err e;
    uint8_t a[32], b[32];
    assert_true(keyring_parse(&k, STR(HEX_KEY), &e));
    assert_true(keyring_derive(&k, STR_NONE, STR("csrf"), a));
    keyring_end(&k);
    assert_true(keyring_parse(&k, STR(KEY_2), &e));
    assert_true(keyring_derive(&k, STR_NONE, STR("csrf"), b));
    assert_memory_not_equal(a, b, 32);
    keyring_end(&k);
}

static void the_key_file_is_made_once_private_and_read_again(void **state)
{
    (void)state;
    char folder[] = "/tmp/tulle-keyring-XXXXXX";
    assert_non_null(mkdtemp(folder));
    char path[64];
    snprintf(path, sizeof(path), "%s/key", folder);
    struct keyring k, again;
    struct err e;
    assert_true(keyring_load_or_make(&k, path, &e));
    assert_true(keyring_load_or_make(&again, path, &e));
    assert_string_equal(k.keys[0].id, again.keys[0].id);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(st.st_nlink, 1);
    keyring_end(&k);
    keyring_end(&again);

    int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
    assert_int_equal(write(fd, "broken", 6), 6);
    close(fd);
    assert_false(keyring_load_or_make(&k, path, &e));
    assert_int_equal(e.code, ERR_INVALID);
    assert_non_null(strstr(e.msg, path));
    assert_null(strstr(e.msg, "broken"));
    unlink(path);
    assert_int_equal(rmdir(folder), 0); /* nothing else was left there */
    assert_false(keyring_load_or_make(&k, path, &e));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_key_has_one_id_in_every_spelling),
        cmocka_unit_test(ill_formed_keys_are_named_by_place_not_by_value),
        cmocka_unit_test(keys_differ_by_purpose_and_master_key),
        cmocka_unit_test(sealed_text_opens_after_rotation_but_for_nothing_else),
        cmocka_unit_test(a_new_keyring_does_not_see_an_old_ones_cached_keys),
        cmocka_unit_test(the_key_file_is_made_once_private_and_read_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
