/* Proofs of possession: what stands in them, whose key they are by, and which nonce. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "auth/downstream/dpop.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/text.h"
#include "crypto/hash.h"
#include "crypto/jws.h"

/* RFC 9449: the proof of figure 1, the token of figure 12 and its ath, the thumbprint of 6.1. */
#define RFC_PROOF                                                                                  \
    "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNo" \
    "UklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERW" \
    "clUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh" \
    "0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8" \
    "v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg"
#define RFC_TOKEN      "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"
#define RFC_ATH        "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"
#define RFC_THUMBPRINT "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"

#define assert_str(given, wanted) assert_true(str_eq(given, STR(wanted)))

static struct arena *a;

static int setup(void **state)
{
    (void)state;
    a = arena_new((size_t)1024 * 1024);
    return a ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    arena_end(a);
    return 0;
}

/* The proof, verified with the key that it carries. */
static void proof_read(struct str proof, struct jws *out)
{
    struct err e;
    assert_true(jws_parse(a, proof, out, &e));
    const struct jvalue *jwk = jv_get(jdoc_root(out->header), "jwk");
    assert_str(out->typ, "dpop+jwt");
    assert_str(out->alg, "ES256");
    assert_true(jws_verify(out, jwk));
    assert_null(jv_get(jwk, "d"));
}

static struct str claim(const struct jws *t, const char *name)
{
    return jv_get_str(jdoc_root(t->claims), name);
}

/* RFC 7638, by hand. */
static struct str thumbprint_of(const struct jws *t)
{
    const struct jvalue *jwk = jv_get(jdoc_root(t->header), "jwk");
    struct str text =
        arena_printf(a, "{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"%.*s\",\"y\":\"%.*s\"}",
                     STR_FMT(jv_get_str(jwk, "x")), STR_FMT(jv_get_str(jwk, "y")));
    struct sha256 digest = hash_sha256(text);
    struct buf out;
    buf_init(&out, 64);
    text_b64url(&out, digest.b, sizeof(digest.b));
    struct str made = arena_dup(a, buf_str(&out));
    buf_end(&out);
    return made;
}

static struct str nonce_at(struct str key, const char *url, const char *token)
{
    struct jws t;
    const struct dpop_request rq = {STR("POST"), str_c(url), str_c(token)};
    proof_read(dpop_proof_make(a, key, &rq), &t);
    struct str nonce = claim(&t, "nonce");
    struct str kept = str_is_absent(nonce) ? STR_NONE : arena_dup(a, nonce);
    jws_end(&t);
    return kept;
}

static void a_proof_says_which_request_it_is_for_and_is_signed_by_the_key_that_it_names(void **s)
{
    struct jws t;
    struct str key = dpop_key_make(a);
    const struct dpop_request rq = {.method = STR("GET"),
                                    .url = STR("https://mcp.example/a?token=x#y")};
    (void)s;
    int64_t before = clock_wall_ms() / 1000;
    proof_read(dpop_proof_make(a, key, &rq), &t);
    int64_t iat = jv_get_i64(jdoc_root(t.claims), "iat", 0);
    assert_str(claim(&t, "htm"), "GET");
    assert_str(claim(&t, "htu"), "https://mcp.example/a");
    assert_true(iat >= before && iat <= clock_wall_ms() / 1000);
    assert_true(str_is_absent(claim(&t, "ath")) && str_is_absent(claim(&t, "nonce")));
    assert_true(str_eq(thumbprint_of(&t), dpop_key_thumbprint(a, key)));
    jws_end(&t);
}

static void no_two_proofs_and_no_two_keys_are_the_same(void **s)
{
    struct jws one, two;
    struct str key = dpop_key_make(a);
    const struct dpop_request rq = {.method = STR("POST"), .url = STR("https://mcp.example/")};
    (void)s;
    proof_read(dpop_proof_make(a, key, &rq), &one);
    proof_read(dpop_proof_make(a, key, &rq), &two);
    assert_int_equal(claim(&one, "jti").n, 22);
    assert_false(str_eq(claim(&one, "jti"), claim(&two, "jti")));
    assert_true(str_eq(thumbprint_of(&one), thumbprint_of(&two)));
    assert_false(str_eq(key, dpop_key_make(a)));
    jws_end(&one);
    jws_end(&two);
}

static void the_examples_of_the_rfc_hold(void **s)
{
    struct jws t;
    struct str key = dpop_key_make(a);
    const struct dpop_request rq = {
        STR("GET"), STR("https://resource.example.org/protectedresource"), STR(RFC_TOKEN)};
    (void)s;
    proof_read(dpop_proof_make(a, key, &rq), &t);
    assert_str(claim(&t, "ath"), RFC_ATH);
    jws_end(&t);
    proof_read(STR(RFC_PROOF), &t);
    assert_str(claim(&t, "htu"), "https://server.example.com/token");
    assert_str(thumbprint_of(&t), RFC_THUMBPRINT);
    jws_end(&t);
}

static void a_nonce_goes_back_to_the_origin_and_role_that_gave_it(void **s)
{
    struct str key = dpop_key_make(a);
    const struct dpop_request at = {.url = STR("https://one.example/mcp"), .token = STR("t")};
    (void)s;
    dpop_nonce_keep(a, &at, STR("first~nonce"));
    assert_str(nonce_at(key, "https://ONE.example:443/other?x=1", "u"), "first~nonce");
    assert_true(str_is_absent(nonce_at(key, "https://one.example/token", NULL)));
    assert_true(str_is_absent(nonce_at(key, "https://one.example:8443/mcp", "t")));
    assert_true(str_is_absent(nonce_at(key, "http://one.example/mcp", "t")));
    dpop_nonce_keep(a, &at, STR("second"));
    assert_str(nonce_at(key, "https://one.example/mcp", "t"), "second");
}

static void what_is_no_nonce_is_not_kept(void **s)
{
    struct str key = dpop_key_make(a);
    const struct dpop_request at = {.url = STR("https://two.example/"), .token = STR("t")};
    char longest[DPOP_NONCE_MAX + 1];
    (void)s;
    memset(longest, 'n', sizeof(longest));
    dpop_nonce_keep(a, &at, (struct str){longest, DPOP_NONCE_MAX});
    assert_int_equal(nonce_at(key, "https://two.example/", "t").n, DPOP_NONCE_MAX);
    dpop_nonce_keep(a, &at, (struct str){longest, DPOP_NONCE_MAX + 1});
    dpop_nonce_keep(a, &at, STR("with space"));
    dpop_nonce_keep(a, &at, STR("quote\""));
    dpop_nonce_keep(a, &at, STR("back\\slash"));
    dpop_nonce_keep(a, &at, STR("\xC3\xBC"));
    dpop_nonce_keep(a, &at, STR(""));
    dpop_nonce_keep(a, &at, STR_NONE);
    assert_int_equal(nonce_at(key, "https://two.example/", "t").n, DPOP_NONCE_MAX);
}

static void without_a_good_key_there_is_no_proof(void **s)
{
    const struct dpop_request rq = {.method = STR("POST"), .url = STR("https://mcp.example/")};
    struct str key = dpop_key_make(a);
    (void)s;
    assert_true(str_is_absent(dpop_proof_make(a, STR(""), &rq)));
    assert_true(str_is_absent(dpop_proof_make(a, STR("not base64url!"), &rq)));
    assert_true(str_is_absent(dpop_proof_make(a, str_slice(key, 0, key.n / 2), &rq)));
    assert_true(str_is_absent(dpop_key_thumbprint(a, str_slice(key, 0, key.n / 2))));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            a_proof_says_which_request_it_is_for_and_is_signed_by_the_key_that_it_names, setup,
            teardown),
        cmocka_unit_test_setup_teardown(no_two_proofs_and_no_two_keys_are_the_same, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(the_examples_of_the_rfc_hold, setup, teardown),
        cmocka_unit_test_setup_teardown(a_nonce_goes_back_to_the_origin_and_role_that_gave_it,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_no_nonce_is_not_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(without_a_good_key_there_is_no_proof, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
