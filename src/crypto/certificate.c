#include "crypto/certificate.h"

#include <limits.h>
#include <stdio.h>

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "base/text.h"
#include "crypto/hash.h"

enum { MAX_TEXT = 64 * 1024, RSA_BITS_MIN = 2048, EC_BITS_MIN = 256, YEARS = 10, NAME_SIZE = 256 };

/* ---- reading ---- */

static X509 *x509_read(struct str der)
{
    const unsigned char *at = (const unsigned char *)der.p;
    return der.n > 0 && der.n < LONG_MAX ? d2i_X509(NULL, &at, (long)der.n) : NULL;
}

static bool key_is_strong(X509 *x)
{
    EVP_PKEY *key = X509_get0_pubkey(x);
    int kind = key ? EVP_PKEY_get_base_id(key) : 0;
    return (kind == EVP_PKEY_RSA && EVP_PKEY_get_bits(key) >= RSA_BITS_MIN) ||
           (kind == EVP_PKEY_EC && EVP_PKEY_get_bits(key) >= EC_BITS_MIN);
}

static int64_t time_ms(const ASN1_TIME *t)
{
    int days = 0, seconds = 0;
    ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
    bool is_good = epoch && ASN1_TIME_diff(&days, &seconds, epoch, t) == 1;
    ASN1_TIME_free(epoch);
    return is_good ? ((int64_t)days * 24 * 60 * 60 + seconds) * 1000 : 0;
}

static struct str subject_of(struct arena *a, X509 *x)
{
    char name[NAME_SIZE];
    if (!X509_NAME_oneline(X509_get_subject_name(x), name, sizeof(name)))
        return STR("");
    return arena_dup(a, str_c(name)); /* printable: other bytes are written as \xNN */
}

bool certificate_read_der(struct arena *a, struct str der, struct certificate *out, struct err *e)
{
    char hex[65];
    X509 *x = x509_read(der);
    bool is_strong = x && key_is_strong(x);
    if (is_strong) {
        struct sha256 digest = hash_sha256(der);
        hash_hex(&digest, hex);
        *out = (struct certificate){.der = arena_dup(a, der),
                                    .sha256 = arena_dup(a, str_c(hex)),
                                    .subject = subject_of(a, x),
                                    .not_before = time_ms(X509_get0_notBefore(x)),
                                    .not_after = time_ms(X509_get0_notAfter(x))};
    }
    bool is_certificate = x != NULL;
    X509_free(x);
    ERR_clear_error();
    if (!is_certificate)
        return err_set(e, ERR_INVALID, "this is no X.509 certificate in PEM or base64");
    return is_strong || err_set(e, ERR_INVALID,
                                "the certificate's key is too weak, or neither RSA nor of an "
                                "elliptic curve: RSA needs 2048 bits");
}

/* The base64 of a PEM block, or the text itself. */
static struct str base64_of(struct str text)
{
    const struct str begin = STR("-----BEGIN CERTIFICATE-----");
    size_t at = str_find(text, begin);
    if (at == SIZE_MAX)
        return text;
    struct str rest = str_slice(text, at + begin.n, SIZE_MAX);
    size_t end = str_find(rest, STR("-----END CERTIFICATE-----"));
    return end == SIZE_MAX ? STR_NONE : str_slice(rest, 0, end);
}

bool certificate_read(struct arena *a, struct str text, struct certificate *out, struct err *e)
{
    struct buf packed, der;
    buf_init(&packed, MAX_TEXT);
    buf_init(&der, MAX_TEXT);
    struct str body = base64_of(text);
    for (size_t i = 0; i < body.n; i++)
        if (!strchr(" \t\r\n", body.p[i]))
            buf_add_char(&packed, body.p[i]);
    bool is_good = buf_ok(&packed) && text_b64_decode(buf_str(&packed), &der)
                       ? certificate_read_der(a, buf_str(&der), out, e)
                       : err_set(e, ERR_INVALID, "this is no X.509 certificate in PEM or base64");
    buf_end(&packed);
    buf_end(&der);
    return is_good;
}

/* ---- making ---- */

static EVP_PKEY *private_key(struct str der)
{
    const unsigned char *at = (const unsigned char *)der.p;
    PKCS8_PRIV_KEY_INFO *info =
        der.n < LONG_MAX ? d2i_PKCS8_PRIV_KEY_INFO(NULL, &at, (long)der.n) : NULL;
    EVP_PKEY *key = info ? EVP_PKCS82PKEY(info) : NULL;
    PKCS8_PRIV_KEY_INFO_free(info);
    return key;
}

static bool fill(X509 *x, EVP_PKEY *key, struct str common_name)
{
    X509_NAME *name = X509_get_subject_name(x);
    BIGNUM *serial = BN_new();
    bool is_good =
        serial && BN_rand(serial, 127, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 &&
        BN_to_ASN1_INTEGER(serial, X509_get_serialNumber(x)) && X509_set_version(x, 2) == 1 &&
        X509_gmtime_adj(X509_getm_notBefore(x), -60 * 60) &&
        X509_time_adj_ex(X509_getm_notAfter(x), YEARS * 365, 0, NULL) &&
        X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)common_name.p,
                                   (int)common_name.n, -1, 0) == 1 &&
        X509_set_issuer_name(x, name) == 1 && X509_set_pubkey(x, key) == 1;
    BN_free(serial);
    return is_good;
}

struct str certificate_make(struct arena *a, struct str key, struct str common_name)
{
    EVP_PKEY *pair = private_key(key);
    X509 *x = X509_new();
    unsigned char *der = NULL;
    struct str made = STR_NONE;
    if (pair && x && fill(x, pair, str_slice(common_name, 0, 64)) &&
        X509_sign(x, pair, EVP_sha256()) > 0) {
        int n = i2d_X509(x, &der);
        if (n > 0)
            made = arena_dup(a, (struct str){(const char *)der, (size_t)n});
    }
    OPENSSL_free(der);
    X509_free(x);
    EVP_PKEY_free(pair);
    ERR_clear_error();
    return made;
}

/* ---- signatures ---- */

static const EVP_MD *digest_of(enum signature_digest digest)
{
    return digest == SIGNATURE_SHA256   ? EVP_sha256()
           : digest == SIGNATURE_SHA384 ? EVP_sha384()
                                        : EVP_sha512();
}

/* r and s of equal length -> the DER that OpenSSL reads. *der is OpenSSL's. */
static int ecdsa_der(struct str raw, unsigned char **der)
{
    ECDSA_SIG *pair = ECDSA_SIG_new();
    int half = (int)(raw.n / 2), n = -1;
    const unsigned char *p = (const unsigned char *)raw.p;
    BIGNUM *r = BN_bin2bn(p, half, NULL), *s = BN_bin2bn(p + half, half, NULL);
    if (pair && r && s && raw.n > 0 && raw.n % 2 == 0 && raw.n <= 132 &&
        ECDSA_SIG_set0(pair, r, s) == 1)
        n = i2d_ECDSA_SIG(pair, der);
    else {
        BN_free(r);
        BN_free(s);
    }
    ECDSA_SIG_free(pair);
    return n;
}

static bool verify(EVP_PKEY *key, const EVP_MD *md, struct str text, const unsigned char *signature,
                   size_t n)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool is_good = ctx && EVP_DigestVerifyInit(ctx, NULL, md, NULL, key) == 1 &&
                   EVP_DigestVerify(ctx, signature, n, (const unsigned char *)text.p, text.n) == 1;
    EVP_MD_CTX_free(ctx);
    return is_good;
}

bool certificate_verify(struct str der, bool is_ecdsa, enum signature_digest digest,
                        struct str signed_text, struct str signature)
{
    X509 *x = x509_read(der);
    EVP_PKEY *key = x && key_is_strong(x) ? X509_get0_pubkey(x) : NULL;
    bool is_good = false;
    if (key && EVP_PKEY_get_base_id(key) == (is_ecdsa ? EVP_PKEY_EC : EVP_PKEY_RSA)) {
        unsigned char *converted = NULL;
        int n = is_ecdsa ? ecdsa_der(signature, &converted) : 0;
        if (!is_ecdsa)
            is_good = verify(key, digest_of(digest), signed_text,
                             (const unsigned char *)signature.p, signature.n);
        else if (n > 0)
            is_good = verify(key, digest_of(digest), signed_text, converted, (size_t)n);
        OPENSSL_free(converted);
    }
    X509_free(x);
    ERR_clear_error();
    return is_good;
}

struct str certificate_sign(struct arena *a, struct str key, struct str text)
{
    EVP_PKEY *pair = private_key(key);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    struct str made = STR_NONE;
    size_t n = 0;
    const unsigned char *bytes = (const unsigned char *)text.p;
    if (pair && ctx && EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, pair) == 1 &&
        EVP_DigestSign(ctx, NULL, &n, bytes, text.n) == 1) {
        unsigned char *signature = arena_alloc(a, n);
        if (signature && EVP_DigestSign(ctx, signature, &n, bytes, text.n) == 1)
            made = (struct str){(const char *)signature, n};
    }
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(pair);
    ERR_clear_error();
    return made;
}
