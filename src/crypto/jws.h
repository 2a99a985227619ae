/*
 * JSON Web Signatures in compact form (RFC 7515) with keys as JWKs (RFC 7517, 7518, 8037), through
 * OpenSSL EVP. The algorithm is the key's, never the token's word alone: P-256, P-384 and P-521
 * keys verify ES256, ES384 and ES512, RSA keys (2048 to 8192 bits) RS256 to RS512 and PS256 to
 * PS512, Ed25519 keys EdDSA; none and HS* do not exist here.
 */
#pragma once

#include "base/arena.h"
#include "json/jread.h"

enum { JWS_MAX = 16 * 1024 }; /* bytes of a token: 200 groups of Entra are 11 KiB */

struct jws {
    struct jdoc *header, *claims; /* objects; end with jws_end */
    struct str alg, kid, typ;     /* of the header; absent: not there */
    struct str signed_part, signature;
};
/* Takes a token apart without believing it. ERR_PARSE: no JWS, a critical extension, or longer than
 * JWS_MAX. */
bool jws_parse(struct arena *a, struct str token, struct jws *out, struct err *e) must_use;
void jws_end(struct jws *t);
/* Is it the name of an algorithm that jws_verify knows? */
bool jws_is_algorithm(struct str name);
/* Did this public key sign it? False also for keys that are weak, broken, or of another kind. */
bool jws_verify(const struct jws *t, const struct jvalue *jwk);
/* Appends the base64url of the left half of text's digest under the algorithm's hash: at_hash
 * (OpenID Connect Core section 3.1.3.6). False: no such algorithm, or memory. */
bool jws_half_hash(struct str alg, struct str text, struct buf *out) must_use;
/*
 * Signs claims (one JSON object) with a PKCS #8 private key: alg "ES256" for P-256, "RS256" for
 * RSA. typ "JWT"; kid absent: none is said. Appends the token. False: no such key, or memory.
 */
bool jws_sign(struct str der, const char *alg, struct str kid, struct str claims,
              struct buf *out) must_use;
/* The same with ES256 and a header (one JSON object) of the caller's own, for other typ. */
bool jws_sign_es256(struct str der, struct str header, struct str claims, struct buf *out) must_use;
