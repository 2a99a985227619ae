#include "crypto/hash.h"

#include <pthread.h>
#include <stdlib.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include "base/err.h"
#include "base/text.h"

/* Algorithms are looked up once, contexts made once per thread: a look-up costs more than a short
 * digest. */
static EVP_MD *sha256_md;
static EVP_MAC *hmac_mac;
static EVP_KDF *hkdf_kdf;
static pthread_key_t contexts_key;
static pthread_once_t once = PTHREAD_ONCE_INIT;

struct contexts {
    EVP_MD_CTX *sha256;
    EVP_MAC_CTX *hmac;
};
static _Thread_local struct contexts *contexts;

/* EVP takes no absent input. */
static const unsigned char *bytes_of(struct str s)
{
    return (const unsigned char *)(s.p ? s.p : "");
}

/* OpenSSL wants pointers to what it does not change without const. */
static OSSL_PARAM octets(const char *name, struct str s)
{
    union {
        const unsigned char *in;
        unsigned char *out;
    } p = {.in = bytes_of(s)};
    return OSSL_PARAM_construct_octet_string(name, p.out, s.n);
}

static OSSL_PARAM digest_is_sha256(void)
{
    static char name[] = "SHA256";
    return OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0);
}

static void contexts_free(void *p)
{
    struct contexts *c = p;
    EVP_MD_CTX_free(c->sha256);
    EVP_MAC_CTX_free(c->hmac);
    free(c);
    contexts = NULL;
}

static void fetch_once(void)
{
    sha256_md = EVP_MD_fetch(NULL, "SHA256", NULL);
    hmac_mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    hkdf_kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    ensure(sha256_md && hmac_mac && hkdf_kdf);
    ensure(pthread_key_create(&contexts_key, contexts_free) == 0);
}

static struct contexts *contexts_of_thread(void)
{
    if (contexts)
        return contexts;
    pthread_once(&once, fetch_once);
    struct contexts *c = calloc(1, sizeof(*c));
    ensure(c);
    c->sha256 = EVP_MD_CTX_new();
    c->hmac = EVP_MAC_CTX_new(hmac_mac);
    ensure(c->sha256 && c->hmac);
    const OSSL_PARAM params[] = {digest_is_sha256(), OSSL_PARAM_construct_end()};
    ensure(EVP_MAC_CTX_set_params(c->hmac, params));
    ensure(pthread_setspecific(contexts_key, c) == 0);
    contexts = c;
    return c;
}

struct sha256 hash_sha256(struct str s)
{
    return hash_sha256_of(&s, 1);
}

struct sha256 hash_sha256_of(const struct str *parts, size_t n)
{
    struct sha256 h;
    unsigned size = 0;
    EVP_MD_CTX *ctx = contexts_of_thread()->sha256;
    ensure(EVP_DigestInit_ex2(ctx, sha256_md, NULL));
    for (size_t i = 0; i < n; i++)
        ensure(EVP_DigestUpdate(ctx, bytes_of(parts[i]), parts[i].n));
    ensure(EVP_DigestFinal_ex(ctx, h.b, &size) && size == SHA256_SIZE);
    return h;
}

struct sha256 hash_hmac_sha256(struct str key, struct str s)
{
    struct sha256 h;
    size_t size = 0;
    EVP_MAC_CTX *ctx = contexts_of_thread()->hmac;
    ensure(EVP_MAC_init(ctx, bytes_of(key), key.n, NULL));
    ensure(EVP_MAC_update(ctx, bytes_of(s), s.n));
    ensure(EVP_MAC_final(ctx, h.b, &size, sizeof(h.b)) && size == SHA256_SIZE);
    return h;
}

void hash_hkdf(struct str key, struct str purpose, uint8_t *out, size_t n)
{
    ensure(n <= 2 * (size_t)SHA256_SIZE);
    pthread_once(&once, fetch_once);
    EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(hkdf_kdf);
    ensure(ctx);
    const OSSL_PARAM params[] = {
        digest_is_sha256(),
        octets(OSSL_KDF_PARAM_KEY, key),
        octets(OSSL_KDF_PARAM_INFO, purpose),
        OSSL_PARAM_construct_end(),
    };
    ensure(EVP_KDF_derive(ctx, out, n, params) > 0);
    EVP_KDF_CTX_free(ctx);
}

void hash_hex(const struct sha256 *h, char out[65])
{
    text_hex(out, h->b, sizeof(h->b));
}
