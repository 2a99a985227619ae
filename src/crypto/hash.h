/* Digests and key derivation, through OpenSSL EVP. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

enum { SHA256_SIZE = 32 };

struct sha256 {
    uint8_t b[SHA256_SIZE];
};

struct sha256 hash_sha256(struct str s);
/* Over several pieces, in order. */
struct sha256 hash_sha256_of(const struct str *parts, size_t n);
struct sha256 hash_hmac_sha256(struct str key, struct str s);
/* HKDF-SHA256 (RFC 5869) with empty salt: n <= 64 bytes of key for one purpose. Aborts only on
 * OpenSSL failure. */
void hash_hkdf(struct str key, struct str purpose, uint8_t *out, size_t n);
/* Lower-case hex of a digest; out: 65 bytes. */
void hash_hex(const struct sha256 *h, char out[65]);
