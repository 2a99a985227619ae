/* AES-256-GCM with random 96-bit nonces (NIST SP 800-38D). */
#pragma once

#include "base/buf.h"
#include "base/err.h"

enum { AEAD_KEY_SIZE = 32, AEAD_NONCE_SIZE = 12, AEAD_TAG_SIZE = 16, AEAD_OVERHEAD = 28 };

/* Appends nonce || ciphertext || tag. */
bool aead_seal(const uint8_t key[AEAD_KEY_SIZE], struct str aad, struct str plain,
               struct buf *out) must_use;
/* Appends the plaintext. False when the key, the associated data or a single bit is wrong; nothing
 * is appended then. */
bool aead_open(const uint8_t key[AEAD_KEY_SIZE], struct str aad, struct str sealed,
               struct buf *out) must_use;
