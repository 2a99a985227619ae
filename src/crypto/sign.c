#include "crypto/sign.h"

#include <limits.h>
#include <stdio.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "base/text.h"
#include "crypto/hash.h"

enum {
    COORDINATE_SIZE = 32,
    POINT_SIZE = 1 + 2 * COORDINATE_SIZE,
    JWK_SIZE = 1024,
    RSA_BITS = 2048
};

/* Writes the key out and ends it. */
static bool key_write(EVP_PKEY *key, struct secret *der)
{
    unsigned char *bytes = NULL;
    PKCS8_PRIV_KEY_INFO *info = key ? EVP_PKEY2PKCS8(key) : NULL;
    int n = info ? i2d_PKCS8_PRIV_KEY_INFO(info, &bytes) : -1;
    bool is_good = n > 0 && secret_set(der, bytes, (size_t)n);
    if (n > 0)
        OPENSSL_clear_free(bytes, (size_t)n);
    PKCS8_PRIV_KEY_INFO_free(info);
    EVP_PKEY_free(key);
    ERR_clear_error();
    return is_good;
}

bool sign_key_make(struct secret *der)
{
    return key_write(EVP_EC_gen("P-256"), der);
}

bool sign_key_make_rsa(struct secret *der)
{
    return key_write(EVP_RSA_gen(RSA_BITS), der);
}

static EVP_PKEY *key_read(struct str der)
{
    const unsigned char *at = (const unsigned char *)der.p;
    if (der.n > LONG_MAX)
        return NULL;
    PKCS8_PRIV_KEY_INFO *info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &at, (long)der.n);
    EVP_PKEY *key = info ? EVP_PKCS82PKEY(info) : NULL;
    PKCS8_PRIV_KEY_INFO_free(info);
    return key;
}

static void b64url(char out[SIGN_B64_SIZE], const unsigned char *bytes)
{
    struct buf text;
    buf_init(&text, 2 * SIGN_B64_SIZE);
    text_b64url(&text, bytes, COORDINATE_SIZE);
    (void)snprintf(out, SIGN_B64_SIZE, "%.*s", STR_FMT(buf_str(&text)));
    buf_end(&text);
}

/* RFC 7638: the required members, in lexical order, without space. */
static void thumbprint(struct sign_public *p)
{
    char jwk[JWK_SIZE];
    (void)snprintf(jwk, sizeof(jwk), "{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"%s\",\"y\":\"%s\"}",
                   p->x, p->y);
    struct sha256 digest = hash_sha256(str_c(jwk));
    b64url(p->kid, digest.b);
}

bool sign_key_public(struct str der, struct sign_public *out)
{
    unsigned char point[POINT_SIZE];
    char group[32];
    size_t n = 0;
    EVP_PKEY *key = key_read(der);
    bool is_good = key && EVP_PKEY_get_group_name(key, group, sizeof(group), &n) == 1 &&
                   str_eq(str_c(group), STR("prime256v1")) &&
                   EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, point,
                                                   sizeof(point), &n) == 1 &&
                   n == POINT_SIZE && point[0] == 4;
    EVP_PKEY_free(key);
    ERR_clear_error();
    if (!is_good)
        return false;
    b64url(out->x, point + 1);
    b64url(out->y, point + 1 + COORDINATE_SIZE);
    thumbprint(out);
    return true;
}

/* ---- as JWKs ---- */

static bool number_add(EVP_PKEY *key, const char *name, struct buf *out)
{
    unsigned char bytes[JWK_SIZE];
    BIGNUM *n = NULL;
    bool is_good = EVP_PKEY_get_bn_param(key, name, &n) == 1 && BN_num_bytes(n) <= JWK_SIZE;
    if (is_good)
        text_b64url(out, bytes, (size_t)BN_bn2bin(n, bytes));
    BN_free(n);
    return is_good;
}

static bool rsa_jwk(EVP_PKEY *key, char kid[SIGN_B64_SIZE], struct buf *out)
{
    struct buf e, n, core;
    buf_init(&e, JWK_SIZE);
    buf_init(&n, JWK_SIZE);
    buf_init(&core, 2 * JWK_SIZE);
    bool is_good = number_add(key, OSSL_PKEY_PARAM_RSA_E, &e) &&
                   number_add(key, OSSL_PKEY_PARAM_RSA_N, &n) && buf_ok(&e) && buf_ok(&n);
    if (is_good) {
        buf_addf(&core, "{\"e\":\"%.*s\",\"kty\":\"RSA\",\"n\":\"%.*s\"}", STR_FMT(buf_str(&e)),
                 STR_FMT(buf_str(&n)));
        struct sha256 digest = hash_sha256(buf_str(&core));
        b64url(kid, digest.b);
        buf_addf(out,
                 "{\"kty\":\"RSA\",\"n\":\"%.*s\",\"e\":\"%.*s\",\"kid\":\"%s\",\"use\":\"sig\","
                 "\"alg\":\"RS256\"}",
                 STR_FMT(buf_str(&n)), STR_FMT(buf_str(&e)), kid);
    }
    buf_end(&e);
    buf_end(&n);
    buf_end(&core);
    return is_good && buf_ok(out);
}

bool sign_key_jwk(struct str der, char kid[SIGN_B64_SIZE], struct buf *out)
{
    struct sign_public ec;
    EVP_PKEY *key = key_read(der);
    bool is_rsa = key && EVP_PKEY_is_a(key, "RSA") == 1;
    bool is_good = is_rsa && rsa_jwk(key, kid, out);
    EVP_PKEY_free(key);
    ERR_clear_error();
    if (is_rsa)
        return is_good;
    if (!sign_key_public(der, &ec))
        return false;
    (void)snprintf(kid, SIGN_B64_SIZE, "%s", ec.kid);
    buf_addf(out,
             "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"%s\",\"y\":\"%s\",\"kid\":\"%s\",\"use\":"
             "\"sig\",\"alg\":\"ES256\"}",
             ec.x, ec.y, ec.kid);
    return buf_ok(out);
}
