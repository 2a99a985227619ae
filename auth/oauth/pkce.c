#include "auth/oauth/pkce.h"

#include "base/text.h"
#include "crypto/hash.h"

enum { CHALLENGE_SIZE = 43, VERIFIER_MIN = 43, VERIFIER_MAX = 128 };

bool pkce_challenge_is_good(struct str challenge)
{
    struct buf digest;
    buf_init(&digest, 2 * SHA256_SIZE);
    bool is_good = challenge.n == CHALLENGE_SIZE && text_b64url_decode(challenge, &digest) &&
                   digest.n == SHA256_SIZE;
    buf_end(&digest);
    return is_good;
}

static bool is_unreserved(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

bool pkce_verify(struct str challenge, struct str verifier)
{
    if (verifier.n < VERIFIER_MIN || verifier.n > VERIFIER_MAX)
        return false;
    for (size_t i = 0; i < verifier.n; i++)
        if (!is_unreserved(verifier.p[i]))
            return false;
    struct sha256 digest = hash_sha256(verifier);
    struct buf text;
    buf_init(&text, 2 * CHALLENGE_SIZE);
    text_b64url(&text, digest.b, sizeof(digest.b));
    bool is_good = text_eq_ct(buf_str(&text), challenge);
    buf_end(&text);
    return is_good;
}
