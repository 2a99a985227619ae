/* Tokens that we sign verify with our own public keys and with nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "crypto/jws.h"
#include "crypto/sign.h"
#include "unit/jws_vectors.h"

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

static void every_algorithm_verifies_with_its_own_key_only(void **state)
{
    struct signer s = {.a = arena_new((size_t)1024 * 1024)};
    struct err e;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(jws_vectors); i++)
        for (size_t k = 0; k < ARRAY_LEN(jws_vectors); k++) {
            struct jdoc *jwk = jdoc_parse(str_c(jws_vectors[k].jwk), &e);
            assert_non_null(jwk);
            /* All RSA ones have one key, which does not name its algorithm. */
            bool is_rsa = jws_vectors[i].alg[1] == 'S' && jws_vectors[i].alg[0] != 'E' &&
                          jws_vectors[k].alg[1] == 'S' && jws_vectors[k].alg[0] != 'E';
            assert_int_equal(verifies(&s, str_c(jws_vectors[i].token), jdoc_root(jwk)),
                             i == k || is_rsa);
            jdoc_free(jwk);
        }
    arena_end(s.a);
}

/* Padding of the other kind, a shorter digest: the key is the same, the algorithm is not. */
static void a_token_does_not_verify_under_another_algorithms_name(void **state)
{
    struct arena *a = arena_new((size_t)1024 * 1024);
    struct err e;
    struct jws t;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(jws_vectors); i++)
        for (size_t k = 0; k < ARRAY_LEN(jws_vectors); k++) {
            struct jdoc *jwk = jdoc_parse(str_c(jws_vectors[i].jwk), &e);
            assert_true(jws_parse(a, str_c(jws_vectors[i].token), &t, &e));
            t.alg = str_c(jws_vectors[k].alg);
            assert_int_equal(jws_verify(&t, jdoc_root(jwk)), i == k);
            jws_end(&t);
            jdoc_free(jwk);
        }
    assert_false(jws_is_algorithm(STR("none")));
    assert_false(jws_is_algorithm(STR("HS256")));
    arena_end(a);
}

static void half_hashes_are_those_of_the_algorithm(void **state)
{
    /* OpenID Connect Core, appendix A.3 */
    static const char access[] = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y";
    struct buf out;
    (void)state;
    buf_init(&out, 256);
    assert_true(jws_half_hash(STR("RS256"), str_c(access), &out));
    assert_true(str_eq(buf_str(&out), STR("77QmUPtjPfzWtF2AnpK9RQ")));
    buf_reset(&out);
    assert_true(jws_half_hash(STR("EdDSA"), str_c(access), &out));
    assert_int_equal(out.n, 43);
    assert_false(jws_half_hash(STR("none"), str_c(access), &out));
    buf_end(&out);
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
        cmocka_unit_test(every_algorithm_verifies_with_its_own_key_only),
        cmocka_unit_test(a_token_does_not_verify_under_another_algorithms_name),
        cmocka_unit_test(half_hashes_are_those_of_the_algorithm),
        cmocka_unit_test(what_is_no_token_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
