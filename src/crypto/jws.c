#include "crypto/jws.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "base/text.h"
#include "json/jout.h"

enum {
    HALF = 32,     /* bytes of a coordinate or of half a signature: P-256, Ed25519 ... */
    HALF_MAX = 66, /* ... and P-521 */
    RSA_BITS_MIN = 2048,
    RSA_BITS_MAX = 8192,
    PART_MAX = 2 * JWS_MAX,
    SIGNATURE_MAX = 1024,
};

/* What verifies with what: the key's kind and curve belong to the algorithm (RFC 7518 section 3.1,
 * RFC 8037 section 3.1). */
static const struct algorithm {
    const char *name, *type, *curve, *digest; /* curve NULL: RSA; digest NULL: the curve's own */
    size_t half;
    bool is_pss;
} algorithms[] = {
    {"ES256", "EC", "P-256", "SHA256", HALF, false},
    {"ES384", "EC", "P-384", "SHA384", 48, false},
    {"ES512", "EC", "P-521", "SHA512", HALF_MAX, false},
    {"RS256", "RSA", NULL, "SHA256", 0, false},
    {"RS384", "RSA", NULL, "SHA384", 0, false},
    {"RS512", "RSA", NULL, "SHA512", 0, false},
    {"PS256", "RSA", NULL, "SHA256", 0, true},
    {"PS384", "RSA", NULL, "SHA384", 0, true},
    {"PS512", "RSA", NULL, "SHA512", 0, true},
    {"EdDSA", "OKP", "Ed25519", NULL, HALF, false},
};

static const struct algorithm *algorithm_find(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(algorithms); i++)
        if (str_eq(name, str_c(algorithms[i].name)))
            return &algorithms[i];
    return NULL;
}

bool jws_is_algorithm(struct str name)
{
    return algorithm_find(name) != NULL;
}

/* ---- taking apart ---- */

static bool part_decode(struct arena *a, struct str part, struct str *out)
{
    struct buf bytes;
    buf_init(&bytes, PART_MAX);
    bool is_good = text_b64url_decode(part, &bytes);
    *out = is_good ? arena_dup(a, buf_str(&bytes)) : STR_NONE;
    buf_end(&bytes);
    return !str_is_absent(*out);
}

static bool object_read(struct arena *a, struct str part, struct jdoc **out)
{
    struct str text;
    struct err ignored;
    *out = part_decode(a, part, &text) ? jdoc_parse(text, &ignored) : NULL;
    return *out && jv_is_object(jdoc_root(*out));
}

bool jws_parse(struct arena *a, struct str token, struct jws *out, struct err *e)
{
    struct str rest = token, header, claims;
    *out = (struct jws){0};
    bool is_good = token.n > 0 && token.n <= JWS_MAX && str_next(&rest, '.', &header) &&
                   str_next(&rest, '.', &claims) && rest.n > 0 &&
                   str_find_char(rest, '.') == SIZE_MAX && object_read(a, header, &out->header) &&
                   object_read(a, claims, &out->claims) && part_decode(a, rest, &out->signature);
    if (is_good) {
        const struct jvalue *h = jdoc_root(out->header);
        out->alg = jv_get_str(h, "alg");
        out->kid = jv_get_str(h, "kid");
        out->typ = jv_get_str(h, "typ");
        out->signed_part = str_slice(token, 0, header.n + 1 + claims.n);
        is_good = !jv_get(h, "crit") && !jv_get(h, "b64") && !str_is_absent(out->alg);
    }
    if (is_good)
        return true;
    jws_end(out);
    return err_set(e, ERR_PARSE, "no signed token");
}

void jws_end(struct jws *t)
{
    jdoc_free(t->header);
    jdoc_free(t->claims);
    *t = (struct jws){0};
}

/* ---- keys ---- */

static EVP_PKEY *key_from(const char *type, OSSL_PARAM_BLD *build)
{
    EVP_PKEY *key = NULL;
    OSSL_PARAM *params = build ? OSSL_PARAM_BLD_to_param(build) : NULL;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    if (!params || !ctx || EVP_PKEY_fromdata_init(ctx) != 1 ||
        EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
        key = NULL;
    EVP_PKEY_CTX_free(ctx);
    OSSL_PARAM_free(params);
    return key;
}

static bool member_decode(const struct jvalue *jwk, const char *name, struct buf *out)
{
    struct str text = jv_get_str(jwk, name);
    buf_init(out, SIGNATURE_MAX);
    return text.n > 0 && text.n <= SIGNATURE_MAX && text_b64url_decode(text, out);
}

static EVP_PKEY *ec_read(const struct jvalue *jwk, const struct algorithm *alg)
{
    struct buf x, y;
    unsigned char point[1 + 2 * HALF_MAX] = {4};
    EVP_PKEY *key = NULL;
    bool has_x = member_decode(jwk, "x", &x), has_y = member_decode(jwk, "y", &y);
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    if (has_x && has_y && build && x.n == alg->half && y.n == alg->half) {
        memcpy(point + 1, x.p, alg->half);
        memcpy(point + 1 + alg->half, y.p, alg->half);
        if (OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, alg->curve, 0) ==
                1 &&
            OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point,
                                             1 + 2 * alg->half) == 1)
            key = key_from("EC", build);
    }
    OSSL_PARAM_BLD_free(build);
    buf_end(&x);
    buf_end(&y);
    return key;
}

static EVP_PKEY *rsa_read(const struct jvalue *jwk)
{
    struct buf n, x;
    EVP_PKEY *key = NULL;
    bool has_n = member_decode(jwk, "n", &n), has_e = member_decode(jwk, "e", &x);
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    BIGNUM *modulus = has_n ? BN_bin2bn((const unsigned char *)n.p, (int)n.n, NULL) : NULL;
    BIGNUM *exponent = has_e ? BN_bin2bn((const unsigned char *)x.p, (int)x.n, NULL) : NULL;
    int bits = modulus ? BN_num_bits(modulus) : 0;
    if (build && exponent && bits >= RSA_BITS_MIN && bits <= RSA_BITS_MAX && x.n <= 8 &&
        BN_is_odd(exponent) && !BN_is_one(exponent) &&
        OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, modulus) == 1 &&
        OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, exponent) == 1)
        key = key_from("RSA", build);
    OSSL_PARAM_BLD_free(build);
    BN_free(modulus);
    BN_free(exponent);
    buf_end(&n);
    buf_end(&x);
    return key;
}

static EVP_PKEY *ed_read(const struct jvalue *jwk)
{
    struct buf x;
    EVP_PKEY *key = NULL;
    if (member_decode(jwk, "x", &x) && x.n == HALF)
        key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, (const unsigned char *)x.p, x.n);
    buf_end(&x);
    return key;
}

/* ---- verifying ---- */

/* ECDSA signatures are two numbers side by side; OpenSSL wants them in DER (RFC 7518 3.4). */
static int ecdsa_der(struct str raw, size_t half, unsigned char **der)
{
    int n = -1, size = (int)half;
    ECDSA_SIG *sig = raw.n == 2 * half ? ECDSA_SIG_new() : NULL;
    BIGNUM *r = sig ? BN_bin2bn((const unsigned char *)raw.p, size, NULL) : NULL;
    BIGNUM *s = sig ? BN_bin2bn((const unsigned char *)raw.p + half, size, NULL) : NULL;
    if (r && s && ECDSA_SIG_set0(sig, r, s) == 1) {
        n = i2d_ECDSA_SIG(sig, der);
    } else {
        BN_free(r);
        BN_free(s);
    }
    ECDSA_SIG_free(sig);
    return n;
}

static bool digest_verify(EVP_PKEY *key, const struct jws *t, const struct algorithm *alg,
                          struct str signature)
{
    EVP_PKEY_CTX *params = NULL;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool is_good =
        ctx && EVP_DigestVerifyInit_ex(ctx, &params, alg->digest, NULL, NULL, key, NULL) == 1 &&
        (!alg->is_pss || (EVP_PKEY_CTX_set_rsa_padding(params, RSA_PKCS1_PSS_PADDING) == 1 &&
                          EVP_PKEY_CTX_set_rsa_pss_saltlen(params, RSA_PSS_SALTLEN_DIGEST) == 1)) &&
        EVP_DigestVerify(ctx, (const unsigned char *)signature.p, signature.n,
                         (const unsigned char *)t->signed_part.p, t->signed_part.n) == 1;
    EVP_MD_CTX_free(ctx);
    return is_good;
}

static bool ecdsa_verify(EVP_PKEY *key, const struct jws *t, const struct algorithm *alg)
{
    unsigned char *der = NULL;
    int n = ecdsa_der(t->signature, alg->half, &der);
    bool is_good = n > 0 && digest_verify(key, t, alg, (struct str){(char *)der, (size_t)n});
    OPENSSL_free(der);
    return is_good;
}

static EVP_PKEY *key_read(const struct jvalue *jwk, const struct algorithm *alg)
{
    if (!str_eq(jv_get_str(jwk, "kty"), str_c(alg->type)))
        return NULL;
    if (!alg->curve)
        return rsa_read(jwk);
    if (!str_eq(jv_get_str(jwk, "crv"), str_c(alg->curve)))
        return NULL;
    return alg->digest ? ec_read(jwk, alg) : ed_read(jwk);
}

bool jws_verify(const struct jws *t, const struct jvalue *jwk)
{
    const struct algorithm *alg = algorithm_find(t->alg);
    struct str own = jv_get_str(jwk, "alg"), use = jv_get_str(jwk, "use");
    if (!alg || (!str_is_absent(own) && !str_eq(own, t->alg)) ||
        (!str_is_absent(use) && !str_eq(use, STR("sig"))))
        return false;
    EVP_PKEY *key = key_read(jwk, alg);
    bool is_ecdsa = alg->curve && alg->digest;
    bool is_good =
        key && (is_ecdsa ? ecdsa_verify(key, t, alg) : digest_verify(key, t, alg, t->signature));
    EVP_PKEY_free(key);
    ERR_clear_error();
    return is_good;
}

bool jws_half_hash(struct str alg_name, struct str text, struct buf *out)
{
    const struct algorithm *alg = algorithm_find(alg_name);
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int n = 0;
    if (!alg)
        return false;
    /* Ed25519 hashes with SHA-512 inside: that is the one that is meant. */
    EVP_MD *md = EVP_MD_fetch(NULL, alg->digest ? alg->digest : "SHA512", NULL);
    bool is_good = md && EVP_Digest(text.p ? text.p : "", text.n, digest, &n, md, NULL) == 1;
    EVP_MD_free(md);
    if (is_good)
        text_b64url(out, digest, n / 2);
    ERR_clear_error();
    return is_good && buf_ok(out);
}

/* ---- signing ---- */

static EVP_PKEY *private_read(struct str der)
{
    const unsigned char *at = (const unsigned char *)der.p;
    PKCS8_PRIV_KEY_INFO *info =
        der.n <= 8192 ? d2i_PKCS8_PRIV_KEY_INFO(NULL, &at, (long)der.n) : NULL;
    EVP_PKEY *key = info ? EVP_PKCS82PKEY(info) : NULL;
    PKCS8_PRIV_KEY_INFO_free(info);
    return key;
}

static bool es256_raw(const unsigned char *der, size_t n, unsigned char raw[2 * HALF])
{
    const unsigned char *at = der;
    ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &at, (long)n);
    bool is_good = sig && BN_bn2binpad(ECDSA_SIG_get0_r(sig), raw, HALF) == HALF &&
                   BN_bn2binpad(ECDSA_SIG_get0_s(sig), raw + HALF, HALF) == HALF;
    ECDSA_SIG_free(sig);
    return is_good;
}

static bool signature_add(EVP_PKEY *key, bool is_ec, struct str text, struct buf *out)
{
    unsigned char sig[SIGNATURE_MAX], raw[2 * HALF];
    size_t n = sizeof(sig);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool is_good = ctx && EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) == 1 &&
                   EVP_DigestSign(ctx, sig, &n, (const unsigned char *)text.p, text.n) == 1 &&
                   (!is_ec || es256_raw(sig, n, raw));
    EVP_MD_CTX_free(ctx);
    if (!is_good)
        return false;
    buf_add_char(out, '.');
    if (is_ec)
        text_b64url(out, raw, sizeof(raw));
    else
        text_b64url(out, sig, n);
    return buf_ok(out);
}

/* is_ec: which kind of key it has to be. */
static bool sign_parts(struct str der, bool is_ec, struct str header, struct str claims,
                       struct buf *out)
{
    struct buf text;
    EVP_PKEY *key = private_read(der);
    buf_init(&text, PART_MAX);
    text_b64url(&text, header.p, header.n);
    buf_add_char(&text, '.');
    text_b64url(&text, claims.p, claims.n);
    bool is_good = key && EVP_PKEY_is_a(key, is_ec ? "EC" : "RSA") == 1 && buf_ok(&text);
    buf_add(out, buf_str(&text));
    is_good = is_good && signature_add(key, is_ec, buf_str(&text), out);
    EVP_PKEY_free(key);
    ERR_clear_error();
    buf_end(&text);
    return is_good;
}

bool jws_sign(struct str der, const char *alg, struct str kid, struct str claims, struct buf *out)
{
    struct buf header;
    struct jout j;
    bool is_ec = str_eq(str_c(alg), STR("ES256"));
    buf_init(&header, SIGNATURE_MAX);
    jout_init(&j, &header);
    jout_object(&j);
    jout_kstr(&j, "alg", str_c(alg));
    jout_kstr(&j, "typ", STR("JWT"));
    if (!str_is_absent(kid))
        jout_kstr(&j, "kid", kid);
    jout_object_end(&j);
    bool is_good = buf_ok(&header) && sign_parts(der, is_ec, buf_str(&header), claims, out);
    buf_end(&header);
    return is_good;
}

bool jws_sign_es256(struct str der, struct str header, struct str claims, struct buf *out)
{
    return sign_parts(der, true, header, claims, out);
}
