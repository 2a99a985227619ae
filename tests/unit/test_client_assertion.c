/* private_key_jwt at other servers: the keys that administrators give, and what is signed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "auth/downstream/client_assertion.h"
#include "base/clock.h"
#include "base/secret.h"
#include "base/text.h"
#include "core/credential_rules.h"
#include "crypto/jws.h"
#include "crypto/sign.h"
#include "io/forms.h"
#include "json/jout.h"

enum { BIG = 64 * 1024 };

/* {"client_id":"us",...} with the key as PEM, 64 characters a line. */
static struct jdoc *arguments_of(struct arena *a, struct str der, const char *label,
                                 const char *more)
{
    struct buf packed, pem, text;
    struct err e;
    struct jout j;
    buf_init(&packed, BIG);
    buf_init(&pem, BIG);
    buf_init(&text, BIG);
    text_b64(&packed, der.p, der.n);
    buf_addf(&pem, "-----BEGIN %s-----\n", label);
    for (size_t at = 0; at < packed.n; at += 64)
        buf_addf(&pem, "%.*s\r\n", STR_FMT(str_slice(buf_str(&packed), at, 64)));
    buf_addf(&pem, "-----END %s-----\n", label);
    jout_init(&j, &text);
    jout_str(&j, buf_str(&pem));
    struct str made = arena_printf(a, "{\"client_id\":\"us\",\"private_key\":%.*s%s}",
                                   STR_FMT(buf_str(&text)), more);
    struct jdoc *doc = jdoc_parse(made, &e);
    assert_non_null(doc);
    buf_end(&packed);
    buf_end(&pem);
    buf_end(&text);
    return doc;
}

static bool is_taken(struct arena *a, struct str der, const char *label, const char *more,
                     struct jdoc **kept)
{
    struct jdoc *arguments = arguments_of(a, der, label, more);
    struct buf plain;
    struct str kind;
    struct err e;
    buf_init(&plain, BIG);
    bool is_good = credential_rules_read(jdoc_root(arguments), &kind, &plain, &e);
    if (!is_good)
        assert_int_equal(e.code, ERR_INVALID);
    if (is_good && kept) {
        assert_true(str_eq(kind, STR("oauth_client")));
        *kept = jdoc_parse(buf_str(&plain), &e);
    }
    buf_end(&plain);
    jdoc_free(arguments);
    return is_good;
}

/* Signs with a key that was taken so, and verifies with its public part. */
static void check(const struct secret *key, const char *more, const char *alg, struct str kid)
{
    struct arena *a = arena_new(1 << 20);
    struct buf form, jwk;
    struct form fields;
    struct jdoc *kept = NULL, *public;
    struct jws t;
    struct err e;
    struct str token, type;
    char name[SIGN_B64_SIZE];
    buf_init(&form, BIG);
    buf_init(&jwk, BIG);
    assert_true(is_taken(a, secret_reveal(key), "PRIVATE KEY", more, &kept));
    const struct jvalue *v = jdoc_root(kept);
    const struct downstream_identity c = {.client_id = jv_get_str(v, "client_id"),
                                          .private_key = jv_get_str(v, "private_key"),
                                          .private_key_id = jv_get_str(v, "private_key_id")};
    assert_true(client_assertion_add(a, &c, STR("https://as.example"), &form));
    assert_true(form_parse(a, buf_str(&form), &fields, &e));
    assert_int_equal(form_get(&fields, STR("client_assertion"), &token), FORM_ONCE);
    assert_int_equal(form_get(&fields, STR("client_assertion_type"), &type), FORM_ONCE);
    assert_true(str_eq(type, STR("urn:ietf:params:oauth:client-assertion-type:jwt-bearer")));
    assert_true(jws_parse(a, token, &t, &e));
    assert_true(sign_key_jwk(secret_reveal(key), name, &jwk));
    public = jdoc_parse(buf_str(&jwk), &e);
    assert_true(jws_verify(&t, jdoc_root(public)));
    assert_true(str_eq(t.alg, str_c(alg)));
    assert_true(str_is_absent(kid) ? str_is_absent(t.kid) : str_eq(t.kid, kid));
    const struct jvalue *claims = jdoc_root(t.claims);
    assert_true(str_eq(jv_get_str(claims, "iss"), STR("us")));
    assert_true(str_eq(jv_get_str(claims, "sub"), STR("us")));
    assert_true(str_eq(jv_get_str(claims, "aud"), STR("https://as.example")));
    assert_true(jv_get_str(claims, "jti").n > 20);
    int64_t left = jv_get_i64(claims, "exp", 0) - clock_wall_ms() / 1000;
    assert_true(left > 0 && left <= 300);
    jws_end(&t);
    jdoc_free(public);
    jdoc_free(kept);
    buf_end(&form);
    buf_end(&jwk);
    arena_end(a);
}

static void an_assertion_is_the_client_s_for_one_issuer_signed_with_its_key(unused_arg void **state)
{
    struct secret ec = {0}, rsa = {0};
    assert_true(sign_key_make(&ec));
    assert_true(sign_key_make_rsa(&rsa));
    check(&ec, "", "ES256", STR_NONE);
    check(&ec, ",\"private_key_id\":\"k 1\"", "ES256", STR("k 1"));
    check(&rsa, "", "RS256", STR_NONE);
    secret_end(&ec);
    secret_end(&rsa);
}

static void only_keys_that_can_sign_are_taken(unused_arg void **state)
{
    struct arena *a = arena_new(1 << 20);
    struct secret key = {0};
    assert_true(sign_key_make(&key));
    struct str der = secret_reveal(&key);
    assert_true(is_taken(a, der, "PRIVATE KEY", "", NULL));
    assert_false(is_taken(a, der, "EC PRIVATE KEY", "", NULL));
    assert_false(is_taken(a, der, "PRIVATE KEY", ",\"client_secret\":\"s\"", NULL));
    assert_false(is_taken(a, der, "PRIVATE KEY", ",\"private_key_id\":\"a\\nb\"", NULL));
    assert_false(is_taken(a, str_slice(der, 0, der.n - 1), "PRIVATE KEY", "", NULL));
    assert_false(is_taken(a, STR(""), "PRIVATE KEY", "", NULL));
    assert_false(is_taken(a, STR("no key"), "PRIVATE KEY", "", NULL));
    secret_end(&key);
    arena_end(a);
}

static void what_is_no_key_signs_nothing(unused_arg void **state)
{
    struct arena *a = arena_new(1 << 20);
    struct buf form;
    buf_init(&form, BIG);
    const struct downstream_identity broken = {.client_id = STR("us"), .private_key = STR("AAAA")};
    assert_false(client_assertion_add(a, &broken, STR("https://as.example"), &form));
    assert_int_equal(form.n, 0);
    buf_end(&form);
    arena_end(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_assertion_is_the_client_s_for_one_issuer_signed_with_its_key),
        cmocka_unit_test(only_keys_that_can_sign_are_taken),
        cmocka_unit_test(what_is_no_key_signs_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
