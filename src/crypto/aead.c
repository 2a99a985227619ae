#include "crypto/aead.h"

#include <limits.h>
#include <pthread.h>

#include <openssl/err.h>
#include <openssl/evp.h>

#include "base/rand.h"
#include "base/secret.h"

/* Fetched once; one context per thread: each message brings its own key and nonce. */
static EVP_CIPHER *aes_256_gcm;
static pthread_key_t context_key;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static _Thread_local EVP_CIPHER_CTX *context;

static void context_free(void *p)
{
    EVP_CIPHER_CTX_free(p);
    context = NULL;
}

static void fetch_once(void)
{
    aes_256_gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
    ensure(aes_256_gcm);
    ensure(pthread_key_create(&context_key, context_free) == 0);
}

static EVP_CIPHER_CTX *context_of_thread(void)
{
    if (context)
        return context;
    pthread_once(&once, fetch_once);
    context = EVP_CIPHER_CTX_new();
    ensure(context && EVP_CipherInit_ex2(context, aes_256_gcm, NULL, NULL, 1, NULL));
    ensure(pthread_setspecific(context_key, context) == 0);
    return context;
}

static bool start(EVP_CIPHER_CTX *ctx, const uint8_t *key, const uint8_t *nonce, struct str aad,
                  int is_seal)
{
    int n = 0;
    if (aad.n > INT_MAX || !EVP_CipherInit_ex2(ctx, NULL, key, nonce, is_seal, NULL))
        return false;
    return aad.n == 0 || EVP_CipherUpdate(ctx, NULL, &n, (const uint8_t *)aad.p, (int)aad.n);
}

static bool seal(const uint8_t *key, struct str aad, struct str plain, uint8_t *to)
{
    EVP_CIPHER_CTX *ctx = context_of_thread();
    uint8_t *text = to + AEAD_NONCE_SIZE;
    int n = 0;
    rand_bytes(to, AEAD_NONCE_SIZE);
    if (!start(ctx, key, to, aad, 1))
        return false;
    if (plain.n > 0 && (!EVP_CipherUpdate(ctx, text, &n, (const uint8_t *)plain.p, (int)plain.n) ||
                        (size_t)n != plain.n))
        return false;
    return EVP_CipherFinal_ex(ctx, text + plain.n, &n) &&
           EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, AEAD_TAG_SIZE, text + plain.n);
}

bool aead_seal(const uint8_t key[AEAD_KEY_SIZE], struct str aad, struct str plain, struct buf *out)
{
    if (plain.n > INT_MAX - AEAD_OVERHEAD)
        return false;
    char *to = buf_reserve(out, plain.n + AEAD_OVERHEAD);
    if (!to)
        return false;
    if (!seal(key, aad, plain, (uint8_t *)to)) {
        ERR_clear_error();
        secret_wipe(to, plain.n + AEAD_OVERHEAD);
        return false;
    }
    out->n += plain.n + AEAD_OVERHEAD;
    return true;
}

static bool open_sealed(const uint8_t *key, struct str aad, struct str sealed, uint8_t *to)
{
    EVP_CIPHER_CTX *ctx = context_of_thread();
    const uint8_t *nonce = (const uint8_t *)sealed.p;
    const uint8_t *text = nonce + AEAD_NONCE_SIZE;
    size_t text_n = sealed.n - AEAD_OVERHEAD;
    uint8_t tag[AEAD_TAG_SIZE];
    int n = 0;
    memcpy(tag, text + text_n, sizeof(tag));
    if (!start(ctx, key, nonce, aad, 0))
        return false;
    if (text_n > 0 && (!EVP_CipherUpdate(ctx, to, &n, text, (int)text_n) || (size_t)n != text_n))
        return false;
    return EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, AEAD_TAG_SIZE, tag) &&
           EVP_CipherFinal_ex(ctx, to + text_n, &n) > 0;
}

bool aead_open(const uint8_t key[AEAD_KEY_SIZE], struct str aad, struct str sealed, struct buf *out)
{
    if (sealed.n < AEAD_OVERHEAD || sealed.n > INT_MAX)
        return false;
    size_t plain_n = sealed.n - AEAD_OVERHEAD;
    char *to = buf_reserve(out, plain_n);
    if (!to)
        return false;
    if (!open_sealed(key, aad, sealed, (uint8_t *)to)) {
        ERR_clear_error();
        secret_wipe(to, plain_n); /* plaintext that was not authentic; the NUL comes back with it */
        return false;
    }
    out->n += plain_n;
    return true;
}
