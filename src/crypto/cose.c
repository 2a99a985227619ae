#include "crypto/cose.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

#include "base/cbor.h"

enum { COORDINATE = 32, RSA_BITS_MIN = 2048, RSA_BITS_MAX = 8192, SIGNATURE_MAX = 1024 };
enum { TYPE_OKP = 1, TYPE_EC2 = 2, TYPE_RSA = 3, CURVE_P256 = 1, CURVE_ED25519 = 6 };
enum { NAME_TYPE = 1, NAME_ALG = 3, NAME_1 = -1, NAME_2 = -2, NAME_3 = -3 };

/* ---- reading ---- */

struct members {
    struct cbor_item type, alg, first, second, third; /* kind OTHER: not there */
};

static struct cbor_item *member_of(struct members *m, int64_t name)
{
    return name == NAME_TYPE  ? &m->type
           : name == NAME_ALG ? &m->alg
           : name == NAME_1   ? &m->first
           : name == NAME_2   ? &m->second
           : name == NAME_3   ? &m->third
                              : NULL;
}

static bool members_read(struct str *rest, struct members *m)
{
    const struct cbor_item none = {.kind = CBOR_OTHER};
    struct cbor_item map, name;
    *m = (struct members){none, none, none, none, none};
    if (!cbor_next(rest, &map) || map.kind != CBOR_MAP)
        return false;
    for (size_t i = 0; i < map.n; i++) {
        if (!cbor_next(rest, &name) || name.kind != CBOR_INT)
            return false;
        struct cbor_item *to = member_of(m, name.i);
        if (!to) {
            if (!cbor_skip(rest))
                return false;
        } else if (to->kind != CBOR_OTHER || !cbor_next(rest, to) ||
                   (to->kind != CBOR_INT && to->kind != CBOR_BYTES)) {
            return false;
        }
    }
    return m->type.kind == CBOR_INT && m->alg.kind == CBOR_INT;
}

static bool is_kind(const struct cose_key *k, const struct members *m)
{
    bool has_curve = m->first.kind == CBOR_INT && m->second.kind == CBOR_BYTES;
    if (k->type == TYPE_EC2)
        return k->alg == COSE_ES256 && has_curve && k->curve == CURVE_P256 &&
               k->a.n == COORDINATE && m->third.kind == CBOR_BYTES && k->b.n == COORDINATE;
    if (k->type == TYPE_OKP)
        return k->alg == COSE_EDDSA && has_curve && k->curve == CURVE_ED25519 &&
               k->a.n == COORDINATE;
    return k->type == TYPE_RSA && k->alg == COSE_RS256 && m->first.kind == CBOR_BYTES &&
           m->second.kind == CBOR_BYTES && k->a.n > 0 && k->a.n <= RSA_BITS_MAX / 8 && k->b.n > 0 &&
           k->b.n <= 8;
}

bool cose_key_read(struct str *rest, struct cose_key *out)
{
    struct members m;
    struct str begin = *rest;
    *out = (struct cose_key){0};
    if (!members_read(rest, &m))
        return false;
    bool is_rsa = m.type.i == TYPE_RSA;
    *out = (struct cose_key){.text = str_slice(begin, 0, begin.n - rest->n),
                             .type = m.type.i,
                             .alg = m.alg.i,
                             .curve = is_rsa ? 0 : m.first.i,
                             .a = is_rsa ? m.first.s : m.second.s,
                             .b = is_rsa ? m.second.s : m.third.s};
    return out->text.n <= COSE_KEY_MAX && is_kind(out, &m);
}

/* ---- verifying ---- */

static EVP_PKEY *key_from(const char *type, OSSL_PARAM_BLD *build)
{
    EVP_PKEY *key = NULL;
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    if (!params || !ctx || EVP_PKEY_fromdata_init(ctx) != 1 ||
        EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
        key = NULL;
    EVP_PKEY_CTX_free(ctx);
    OSSL_PARAM_free(params);
    return key;
}

static EVP_PKEY *ec_key(const struct cose_key *k)
{
    unsigned char point[1 + 2 * COORDINATE] = {4};
    EVP_PKEY *key = NULL;
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    memcpy(point + 1, k->a.p, COORDINATE);
    memcpy(point + 1 + COORDINATE, k->b.p, COORDINATE);
    if (build &&
        OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, "P-256", 0) == 1 &&
        OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point)) == 1)
        key = key_from("EC", build);
    OSSL_PARAM_BLD_free(build);
    return key;
}

static EVP_PKEY *rsa_key(const struct cose_key *k)
{
    EVP_PKEY *key = NULL;
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    BIGNUM *n = BN_bin2bn((const unsigned char *)k->a.p, (int)k->a.n, NULL);
    BIGNUM *x = BN_bin2bn((const unsigned char *)k->b.p, (int)k->b.n, NULL);
    if (build && n && x && BN_num_bits(n) >= RSA_BITS_MIN && BN_is_odd(x) && !BN_is_one(x) &&
        OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
        OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, x) == 1)
        key = key_from("RSA", build);
    OSSL_PARAM_BLD_free(build);
    BN_free(n);
    BN_free(x);
    return key;
}

static EVP_PKEY *key_of(const struct cose_key *k)
{
    if (k->type == TYPE_EC2)
        return ec_key(k);
    if (k->type == TYPE_RSA)
        return rsa_key(k);
    return EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, (const unsigned char *)k->a.p,
                                       k->a.n);
}

bool cose_key_is_good(const struct cose_key *key)
{
    EVP_PKEY *pkey = key_of(key);
    EVP_PKEY_free(pkey);
    ERR_clear_error();
    return pkey != NULL;
}

bool cose_verify(const struct cose_key *key, struct str data, struct str signature)
{
    if (signature.n == 0 || signature.n > SIGNATURE_MAX)
        return false;
    EVP_PKEY *pkey = key_of(key);
    EVP_MD_CTX *ctx = pkey ? EVP_MD_CTX_new() : NULL;
    const EVP_MD *digest = key->alg == COSE_EDDSA ? NULL : EVP_sha256();
    bool is_good = ctx && EVP_DigestVerifyInit(ctx, NULL, digest, NULL, pkey) == 1 &&
                   EVP_DigestVerify(ctx, (const unsigned char *)signature.p, signature.n,
                                    (const unsigned char *)data.p, data.n) == 1;
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(pkey);
    ERR_clear_error();
    return is_good;
}
