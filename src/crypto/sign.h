/* ES256 signing keys (ECDSA on P-256 with SHA-256; RFC 7518 section 3.4), through OpenSSL EVP. */
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
