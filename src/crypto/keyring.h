/*
 * The installation's master keys (ENCRYPTION_KEY): several, newest first. The newest seals, any
 * opens. Every purpose has a key of its own, derived by HKDF from one master key; a key is named by
 * its id, the first 8 hex digits of a digest of it.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "base/secret.h"

enum { KEYRING_MAX = 8, KEY_ID_SIZE = 9 };

struct keyring {
    struct {
        struct secret key; /* 32 bytes */
        char id[KEY_ID_SIZE];
        uint64_t serial; /* unique in the process: names the key in the threads' caches of derived
                            keys */
    } keys[KEYRING_MAX];
    size_t n;
};

/* Reads "KEY[,KEY...]", each 32 bytes as base64, base64url or hex. ERR_INVALID says which is
 * ill-formed, never its bytes. */
bool keyring_parse(struct keyring *k, struct str setting, struct err *e) must_use;
/* Reads the file, or makes it (0600, O_EXCL, one random key in base64) when it is not there. */
bool keyring_load_or_make(struct keyring *k, const char *path, struct err *e) must_use;
void keyring_end(struct keyring *k);
/* The key with this id, or NULL. */
const struct secret *keyring_find(const struct keyring *k, struct str id);
/* Derives the newest (or a named) master key's key for one purpose, e.g. "session-handle". False:
 * no such key id. */
bool keyring_derive(const struct keyring *k, struct str id_or_none, struct str purpose,
                    uint8_t out[32]) must_use;
/* Seals text for one purpose under the newest master key: "v1.<key id>.<base64url>". For handles,
 * cursors, CSRF. */
bool keyring_seal(const struct keyring *k, struct str purpose, struct str aad, struct str plain,
                  struct buf *out) must_use;
bool keyring_open(const struct keyring *k, struct str purpose, struct str aad, struct str sealed,
                  struct buf *out) must_use;
