/* What authenticators say, judged: recorded registrations and assertions, and changed ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "auth/factors/webauthn.h"
#include "base/text.h"
#include "unit/webauthn_vectors.h"

static const struct webauthn_party site = {STR("example.test"), STR("https://example.test")};
enum { SMALL_RSA = 3, FLAGS = 32 };

static struct str bytes(struct arena *a, const char *text)
{
    struct buf out;
    buf_init(&out, 4096);
    assert_true(text_b64url_decode(str_c(text), &out));
    struct str copy = arena_dup(a, buf_str(&out));
    buf_end(&out);
    return copy;
}

/* A copy to change, with room for a byte more (0). */
static char *writable(struct arena *a, struct str s)
{
    char *copy = arena_alloc(a, s.n + 1);
    assert_non_null(copy);
    memcpy(copy, s.p, s.n);
    copy[s.n] = 0;
    return copy;
}

static struct webauthn_assertion assertion_of(struct arena *a, const struct webauthn_vector *v)
{
    return (struct webauthn_assertion){STR(VECTOR_GET), bytes(a, v->data), bytes(a, v->signature),
                                       bytes(a, v->key)};
}

static void each_kind_of_key_registers_and_signs_in(unused_arg void **state)
{
    struct arena *a = arena_new(1 << 20);
    struct err e;
    for (size_t i = 0; i < SMALL_RSA; i++) {
        const struct webauthn_vector *v = &webauthn_vectors[i];
        struct webauthn_data d;
        struct webauthn_assertion given = assertion_of(a, v);
        assert_true(webauthn_register(&site, bytes(a, v->attestation), &d, &e));
        assert_true(d.is_present && d.is_verified && d.sign_count == 1);
        assert_int_equal(d.credential_id.n, 32);
        assert_true(str_eq(d.key.text, given.public_key));
        assert_true(webauthn_verify(a, &site, &given, &d, &e));
        assert_true(d.is_verified && d.sign_count == 2);
    }
    arena_end(a);
}

static void a_changed_assertion_is_refused(unused_arg void **state)
{
    struct arena *a = arena_new(1 << 20);
    struct err e;
    struct webauthn_data d;
    for (size_t i = 0; i < SMALL_RSA; i++) {
        const struct webauthn_assertion good = assertion_of(a, &webauthn_vectors[i]);
        /* every byte of the data is signed; those of the site's hash and flags are judged before */
        for (size_t at = 0; at < good.data.n; at++) {
            struct webauthn_assertion bad = good;
            char *copy = writable(a, good.data);
            copy[at] = (char)(copy[at] ^ 1);
            bad.data = (struct str){copy, good.data.n};
            assert_false(webauthn_verify(a, &site, &bad, &d, &e));
            assert_true(e.code == ERR_UNAUTHENTICATED || e.code == ERR_BAD_REQUEST);
        }
        struct webauthn_assertion bad = good;
        bad.client_json = STR(VECTOR_GET " ");
        assert_false(webauthn_verify(a, &site, &bad, &d, &e));
        bad = good;
        bad.signature = str_slice(good.signature, 0, good.signature.n - 1);
        assert_false(webauthn_verify(a, &site, &bad, &d, &e));
        bad.signature = STR("");
        assert_false(webauthn_verify(a, &site, &bad, &d, &e));
        bad = good;
        bad.public_key = bytes(a, webauthn_vectors[(i + 1) % SMALL_RSA].key);
        assert_false(webauthn_verify(a, &site, &bad, &d, &e));
    }
    arena_end(a);
}

static void a_site_takes_nothing_that_is_for_another(unused_arg void **state)
{
    struct arena *a = arena_new(1 << 20);
    struct err e;
    struct webauthn_data d;
    const struct webauthn_party other = {STR("evil.test"), STR("https://evil.test")};
    const struct webauthn_assertion given = assertion_of(a, &webauthn_vectors[0]);
    assert_false(webauthn_verify(a, &other, &given, &d, &e));
    assert_int_equal(e.code, ERR_UNAUTHENTICATED);
    assert_false(webauthn_register(&other, bytes(a, webauthn_vectors[0].attestation), &d, &e));
    assert_int_equal(e.code, ERR_UNAUTHENTICATED);
    arena_end(a);
}

static void client_data_must_be_of_the_right_type_origin_and_frame(unused_arg void **state)
{
    static const struct {
        const char *json;
        enum err_code code;
    } known[] = {
        {VECTOR_GET, ERR_NONE},
        {"{\"type\":\"webauthn.get\",\"challenge\":\"eA\",\"origin\":\"https://example.test\"}",
         ERR_NONE},
        {VECTOR_CREATE, ERR_UNAUTHENTICATED},
        {"{\"type\":\"webauthn.get\",\"challenge\":\"eA\",\"origin\":\"https://evil.test\"}",
         ERR_UNAUTHENTICATED},
        {"{\"type\":\"webauthn.get\",\"challenge\":\"eA\",\"origin\":\"https://"
         "example.test.evil.test\"}",
         ERR_UNAUTHENTICATED},
        {"{\"type\":\"webauthn.get\",\"challenge\":\"eA\",\"origin\":\"http://example.test\"}",
         ERR_UNAUTHENTICATED},
        {"{\"type\":\"webauthn.get\",\"challenge\":\"eA\",\"origin\":\"https://example.test\","
         "\"crossOrigin\":true}",
         ERR_UNAUTHENTICATED},
        {"{\"type\":\"webauthn.get\",\"challenge\":\"eA\",\"origin\":\"https://example.test\","
         "\"topOrigin\":\"https://evil.test\"}",
         ERR_UNAUTHENTICATED},
        {"{\"type\":\"webauthn.get\",\"origin\":\"https://example.test\"}", ERR_BAD_REQUEST},
        {"{\"type\":\"webauthn.get\",\"type\":\"webauthn.get\",\"challenge\":\"eA\","
         "\"origin\":\"https://example.test\"}",
         ERR_BAD_REQUEST},
        {"[]", ERR_BAD_REQUEST},
        {"", ERR_BAD_REQUEST},
    };
    struct arena *a = arena_new(1 << 20);
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        struct err e = {.code = ERR_NONE};
        struct str challenge;
        bool is_good =
            webauthn_client_read(a, &site, str_c(known[i].json), "webauthn.get", &challenge, &e);
        if (is_good != (known[i].code == ERR_NONE) || (!is_good && e.code != known[i].code))
            fail_msg("%s: %s", known[i].json, is_good ? "taken" : err_text(e.code));
    }
    arena_end(a);
}

static void flags_are_judged(unused_arg void **state)
{
    struct arena *a = arena_new(1 << 20);
    struct err e;
    struct webauthn_data d;
    char *copy = writable(a, bytes(a, webauthn_vectors[0].data));
    struct str data = {copy, 37};
    copy[FLAGS] = 0x04; /* nobody was there */
    assert_false(webauthn_data_read(&site, data, &d, &e));
    assert_int_equal(e.code, ERR_UNAUTHENTICATED);
    copy[FLAGS] = 0x01;
    assert_true(webauthn_data_read(&site, data, &d, &e));
    assert_false(d.is_verified);
    copy[FLAGS] = 0x11; /* backed up, not eligible */
    assert_false(webauthn_data_read(&site, data, &d, &e));
    copy[FLAGS] = 0x19;
    assert_true(webauthn_data_read(&site, data, &d, &e) && d.is_backed_up && d.is_backup_eligible);
    copy[FLAGS] = 0x41; /* says that there is a credential */
    assert_false(webauthn_data_read(&site, data, &d, &e));
    assert_int_equal(e.code, ERR_BAD_REQUEST);
    arena_end(a);
}

static void cut_and_odd_registrations_are_refused(unused_arg void **state)
{
    struct arena *a = arena_new(1 << 24);
    struct err e;
    struct webauthn_data d;
    for (size_t i = 0; i < SMALL_RSA; i++) {
        struct str good = bytes(a, webauthn_vectors[i].attestation);
        for (size_t n = 0; n < good.n; n++)
            assert_false(webauthn_register(&site, str_slice(good, 0, n), &d, &e));
        struct str longer = {writable(a, good), good.n + 1};
        assert_false(webauthn_register(&site, longer, &d, &e));
    }
    assert_false(
        webauthn_register(&site, bytes(a, webauthn_vectors[SMALL_RSA].attestation), &d, &e));
    assert_int_equal(e.code, ERR_BAD_REQUEST);
    /* alg -65535; a key of no bytes; a point that is not on the curve; a member twice */
    static const char *const bad_keys[] = {
        ("a5010203397fffff200121"
         "58200000000000000000000000000000000000000000000000000000000000000000"
         "2258200000000000000000000000000000000000000000000000000000000000000000"),
        "a3010103272006",
        "a40101032720062140",
        ("a5010203262001215820000000000000000000000000000000000000000000000000000000000000000122"
         "58200000000000000000000000000000000000000000000000000000000000000001"),
        "a501010101032720062158200000000000000000000000000000000000000000000000000000000000000001",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad_keys); i++) {
        uint8_t b[256];
        struct cose_key key;
        size_t n = strlen(bad_keys[i]) / 2;
        assert_true(text_hex_decode(str_c(bad_keys[i]), b, n));
        struct str rest = {(const char *)b, n};
        if (cose_key_read(&rest, &key) && rest.n == 0 && cose_key_is_good(&key))
            fail_msg("%s was taken", bad_keys[i]);
    }
    arena_end(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_of_key_registers_and_signs_in),
        cmocka_unit_test(a_changed_assertion_is_refused),
        cmocka_unit_test(a_site_takes_nothing_that_is_for_another),
        cmocka_unit_test(client_data_must_be_of_the_right_type_origin_and_frame),
        cmocka_unit_test(flags_are_judged),
        cmocka_unit_test(cut_and_odd_registrations_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
