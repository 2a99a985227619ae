/* Tokens that we sign verify with our own public keys and with nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "crypto/jws.h"
#include "crypto/sign.h"

struct signer {
    struct arena *a;
    struct secret der;
    struct str token;
    struct jdoc *jwk;
};

static void signer_make(struct signer *s, const char *alg)
{
    char kid[SIGN_B64_SIZE];
    struct buf jwk, token;
    struct err e;
    bool is_rsa = str_eq(str_c(alg), STR("RS256"));
    *s = (struct signer){.a = arena_new((size_t)1024 * 1024)};
    assert_true(is_rsa ? sign_key_make_rsa(&s->der) : sign_key_make(&s->der));
    buf_init(&jwk, 4096);
    buf_init(&token, 4096);
    assert_true(sign_key_jwk(secret_reveal(&s->der), kid, &jwk));
    s->jwk = jdoc_parse(buf_str(&jwk), &e);
    assert_non_null(s->jwk);
    assert_true(jws_sign(secret_reveal(&s->der), alg, str_c(kid), STR("{\"sub\":\"x\"}"), &token));
    s->token = arena_dup(s->a, buf_str(&token));
    buf_end(&jwk);
    buf_end(&token);
}

static void signer_end(struct signer *s)
{
    secret_end(&s->der);
    jdoc_free(s->jwk);
    arena_end(s->a);
}

static bool verifies(struct signer *s, struct str token, const struct jvalue *jwk)
{
    struct jws t;
    struct err e;
    if (!jws_parse(s->a, token, &t, &e))
        return false;
    bool is_good = jws_verify(&t, jwk);
    jws_end(&t);
    return is_good;
}

static void each_kind_verifies_with_its_own_key_only(void **state)
{
    struct signer ec, rsa;
    (void)state;
    signer_make(&ec, "ES256");
    signer_make(&rsa, "RS256");
    assert_true(verifies(&ec, ec.token, jdoc_root(ec.jwk)));
    assert_true(verifies(&rsa, rsa.token, jdoc_root(rsa.jwk)));
    assert_false(verifies(&ec, ec.token, jdoc_root(rsa.jwk)));
    assert_false(verifies(&rsa, rsa.token, jdoc_root(ec.jwk)));
    signer_end(&ec);
    signer_end(&rsa);
}

static void a_changed_byte_does_not_verify(void **state)
{
    struct signer s;
    (void)state;
    signer_make(&s, "ES256");
    for (size_t i = 0; i < s.token.n; i += 7) {
        struct str changed = arena_dup(s.a, s.token);
        char *p = (char *)(uintptr_t)changed.p;
        p[i] = p[i] == 'A' ? 'B' : 'A';
        if (!str_eq(changed, s.token))
            assert_false(verifies(&s, changed, jdoc_root(s.jwk)));
    }
    signer_end(&s);
}

static void what_is_no_token_is_refused(void **state)
{
    static const char *const bad[] = {
        "", ".", "..", "a.b", "a.b.c", "e30.e30.", "e30.e30.AA.AA",
        /* {"alg":"ES256","crit":["b64"]} */
        "eyJhbGciOiJFUzI1NiIsImNyaXQiOlsiYjY0Il19.e30.AA", "W10.e30.AA", /* header [] */
    };
    struct arena *a = arena_new((size_t)1024 * 1024);
    struct jws t;
    struct err e;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(jws_parse(a, str_c(bad[i]), &t, &e));
    arena_end(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_verifies_with_its_own_key_only),
        cmocka_unit_test(a_changed_byte_does_not_verify),
        cmocka_unit_test(what_is_no_token_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
