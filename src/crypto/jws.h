/*
 * JSON Web Signatures in compact form (RFC 7515) with keys as JWKs (RFC 7517, 7518, 8037), through
 * OpenSSL EVP. The algorithm is the key's, never the token's word alone: P-256 keys verify ES256,
 * RSA keys RS256 and PS256, Ed25519 keys EdDSA; none and HS* do not exist here.
 */
#pragma once

#include "base/arena.h"
#include "json/jread.h"

enum { JWS_MAX = 8 * 1024 }; /* bytes of a token */

struct jws {
    struct jdoc *header, *claims; /* objects; end with jws_end */
    struct str alg, kid, typ;     /* of the header; absent: not there */
    struct str signed_part, signature;
};
/* Takes a token apart without believing it. ERR_PARSE: no JWS, a critical extension, or longer than
 * JWS_MAX. */
bool jws_parse(struct arena *a, struct str token, struct jws *out, struct err *e) must_use;
void jws_end(struct jws *t);
/* Did this public key sign it? False also for keys that are weak, broken, or of another kind. */
bool jws_verify(const struct jws *t, const struct jvalue *jwk);
/*
 * Signs claims (one JSON object) with a PKCS #8 private key: alg "ES256" for P-256, "RS256" for
 * RSA. typ "JWT". Appends the token. False: no such key, or memory.
 */
bool jws_sign(struct str der, const char *alg, struct str kid, struct str claims,
              struct buf *out) must_use;
