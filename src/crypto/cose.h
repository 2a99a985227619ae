/*
 * Public keys of authenticators as COSE keys (RFC 9053), and their signatures: ES256 (P-256, DER),
 * RS256 (2048 bits and more), EdDSA (Ed25519). The algorithm is the key's own. Source: WebAuthn
 * level 2, section 6.5.
 */
#pragma once

#include "base/str.h"

enum { COSE_ES256 = -7, COSE_EDDSA = -8, COSE_RS256 = -257 };
enum { COSE_KEY_MAX = 1200 }; /* bytes: RSA of 8192 bits */

struct cose_key {
    struct str text;   /* the bytes that it was read from */
    int64_t type, alg; /* RFC 9053: kty 1 OKP, 2 EC2, 3 RSA */
    int64_t curve;     /* of types 1 and 2 */
    struct str a, b;   /* x and y; RSA: n and e */
};
/* Reads one key and moves *rest behind it. False: ill-formed, a member twice, or no key of these
 * kinds. */
bool cose_key_read(struct str *rest, struct cose_key *out) must_use;
/* Did this key sign? False also for points that are not on the curve and for weak moduli. */
bool cose_verify(const struct cose_key *key, struct str data, struct str signature) must_use;
/* Can this key verify at all? */
bool cose_key_is_good(const struct cose_key *key) must_use;
