#include "auth/downstream/dpop.h"

#include <pthread.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/rand.h"
#include "base/secret.h"
#include "base/text.h"
#include "base/uri.h"
#include "crypto/hash.h"
#include "crypto/jws.h"
#include "crypto/sign.h"
#include "json/jout.h"

enum { SLOTS = 512, JTI_SIZE = 16, KEY_MAX = 512, HEADER_MAX = 512, PROOF_MAX = 8 * 1024 };

/* ---- keys ---- */

struct str dpop_key_make(struct arena *a)
{
    auto_free(secret_end) struct secret der = {0};
    struct str kept = STR_NONE;
    struct buf text;
    buf_init(&text, KEY_MAX);
    if (sign_key_make(&der)) {
        text_b64url(&text, der.bytes, der.n);
        kept = buf_ok(&text) ? arena_dup(a, buf_str(&text)) : STR_NONE;
    }
    if (text.p)
        secret_wipe(text.p, text.cap);
    buf_end(&text);
    return kept;
}

static bool key_open(struct str key, struct secret *der)
{
    struct buf bytes;
    buf_init(&bytes, KEY_MAX);
    bool is_good = text_b64url_decode(key, &bytes) && secret_set(der, bytes.p, bytes.n);
    if (bytes.p)
        secret_wipe(bytes.p, bytes.cap);
    buf_end(&bytes);
    return is_good;
}

struct str dpop_key_thumbprint(struct arena *a, struct str key)
{
    auto_free(secret_end) struct secret der = {0};
    struct sign_public public;
    return key_open(key, &der) && sign_key_public(secret_reveal(&der), &public)
               ? arena_dup(a, str_c(public.kid))
               : STR_NONE;
}

/* ---- nonces ---- */

/* A lost one costs one request: two origins may take each other's place. */
static struct slot {
    struct sha256 owner;
    char nonce[DPOP_NONCE_MAX + 1]; /* "": none */
} slots[SLOTS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct slot *slot_of(const struct sha256 *owner)
{
    return &slots[(owner->b[0] | owner->b[1] << 8) % SLOTS];
}

/* Whose nonce belongs into a request. False: no address, or no memory. */
static bool owner_of(struct arena *a, const struct dpop_request *rq, struct sha256 *out)
{
    struct uri u;
    struct str origin = uri_parse(rq->url, &u) ? uri_origin(a, &u) : STR_NONE;
    if (str_is_absent(origin))
        return false;
    struct str name =
        ARENA_JOIN(a, str_is_absent(rq->token) ? STR("issuer ") : STR("resource "), origin);
    *out = hash_sha256(name);
    return !str_is_absent(name);
}

/* 1*NQCHAR (RFC 9449 section 8.1): it needs no escapes in JSON. */
static bool is_nonce(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < 0x21 || s.p[i] > 0x7E || s.p[i] == '"' || s.p[i] == '\\')
            return false;
    return !str_is_absent(s) && s.n > 0 && s.n <= DPOP_NONCE_MAX;
}

void dpop_nonce_keep(struct arena *a, const struct dpop_request *rq, struct str nonce)
{
    struct sha256 owner;
    if (!is_nonce(nonce) || !owner_of(a, rq, &owner))
        return;
    pthread_mutex_lock(&lock);
    struct slot *s = slot_of(&owner);
    s->owner = owner;
    memcpy(s->nonce, nonce.p, nonce.n);
    s->nonce[nonce.n] = '\0';
    pthread_mutex_unlock(&lock);
}

/* False: none is known. */
static bool nonce_find(struct arena *a, const struct dpop_request *rq, char out[DPOP_NONCE_MAX + 1])
{
    struct sha256 owner;
    bool is_known = false;
    if (!owner_of(a, rq, &owner))
        return false;
    pthread_mutex_lock(&lock);
    const struct slot *s = slot_of(&owner);
    if (s->nonce[0] && memcmp(&s->owner, &owner, sizeof(owner)) == 0) {
        memcpy(out, s->nonce, sizeof(s->nonce));
        is_known = true;
    }
    pthread_mutex_unlock(&lock);
    return is_known;
}

/* ---- proofs ---- */

static void text_put(struct jout *j, const char *name, const void *bytes, size_t n)
{
    struct buf text;
    buf_init(&text, 2 * sizeof(struct sha256));
    text_b64url(&text, bytes, n);
    jout_kstr(j, name, buf_str(&text));
    buf_end(&text);
}

/* RFC 9449 section 4.2. */
static void claims_write(struct arena *a, const struct dpop_request *rq, struct jout *j)
{
    unsigned char jti[JTI_SIZE];
    char nonce[DPOP_NONCE_MAX + 1];
    size_t end = 0;
    while (end < rq->url.n && rq->url.p[end] != '?' && rq->url.p[end] != '#')
        end++;
    rand_bytes(jti, sizeof(jti));
    jout_object(j);
    text_put(j, "jti", jti, sizeof(jti));
    jout_kstr(j, "htm", rq->method);
    jout_kstr(j, "htu", str_slice(rq->url, 0, end));
    jout_ki64(j, "iat", clock_wall_ms() / 1000);
    if (!str_is_absent(rq->token)) {
        struct sha256 digest = hash_sha256(rq->token);
        text_put(j, "ath", digest.b, sizeof(digest.b));
    }
    if (nonce_find(a, rq, nonce))
        jout_kstr(j, "nonce", str_c(nonce));
    jout_object_end(j);
}

static void header_write(const struct sign_public *public, struct jout *j)
{
    jout_object(j);
    jout_kstr(j, "typ", STR("dpop+jwt"));
    jout_kstr(j, "alg", STR("ES256"));
    jout_key(j, STR("jwk"));
    jout_object(j);
    jout_kstr(j, "kty", STR("EC"));
    jout_kstr(j, "crv", STR("P-256"));
    jout_kstr(j, "x", str_c(public->x));
    jout_kstr(j, "y", str_c(public->y));
    jout_object_end(j);
    jout_object_end(j);
}

struct str dpop_proof_make(struct arena *a, struct str key, const struct dpop_request *rq)
{
    auto_free(secret_end) struct secret der = {0};
    struct sign_public public;
    struct buf header, claims, proof;
    struct jout j;
    if (!key_open(key, &der) || !sign_key_public(secret_reveal(&der), &public))
        return STR_NONE;
    buf_init(&header, HEADER_MAX);
    buf_init(&claims, LIMIT_URL + HEADER_MAX + DPOP_NONCE_MAX);
    buf_init(&proof, PROOF_MAX);
    jout_init(&j, &header);
    header_write(&public, &j);
    jout_init(&j, &claims);
    claims_write(a, rq, &j);
    struct str made = STR_NONE;
    if (buf_ok(&header) && buf_ok(&claims) &&
        jws_sign_es256(secret_reveal(&der), buf_str(&header), buf_str(&claims), &proof))
        made = arena_dup(a, buf_str(&proof));
    buf_end(&header);
    buf_end(&claims);
    buf_end(&proof);
    return made;
}
