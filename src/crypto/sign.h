/* Signing keys: ES256 (ECDSA on P-256 with SHA-256; RFC 7518 section 3.4) and RS256 (RSA of 2048
 * bits; section 3.3), through OpenSSL EVP. */
#pragma once

#include "base/buf.h"
#include "base/secret.h"

enum { SIGN_B64_SIZE = 44 }; /* base64url of 32 bytes, NUL included */

/* The public part as a JWK has it. */
struct sign_public {
    char x[SIGN_B64_SIZE], y[SIGN_B64_SIZE];
    char kid[SIGN_B64_SIZE]; /* RFC 7638 thumbprint */
};
/* A fresh private key as PKCS #8 DER. False: OpenSSL failed. */
bool sign_key_make(struct secret *der) must_use;
/* The public part of a private key. False: these bytes are no P-256 key. */
bool sign_key_public(struct str der, struct sign_public *out) must_use;
/* A fresh RSA key of 2048 bits as PKCS #8 DER. Takes a tenth of a second and more. */
bool sign_key_make_rsa(struct secret *der) must_use;
/* Appends the public part as a JWK for signatures (RFC 7517) and gives its thumbprint. False: these
 * bytes are neither kind of key. */
bool sign_key_jwk(struct str der, char kid[SIGN_B64_SIZE], struct buf *out) must_use;
