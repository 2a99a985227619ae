/*
 * The installation's signing keys: ES256 by default, RS256 in reserve for clients that ask for it.
 * Made on first use, kept sealed; a new one is published before it signs, an old one after.
 */
#pragma once

#include "crypto/keyring.h"
#include "io/offload.h"
#include "store/db.h"

struct signing {
    const struct keyring *keys;
    struct db *db;
    struct offload *offload; /* RSA keys take a while to make; NULL: made here */
    struct arena *arena;
};
/* The public keys as a JWK set. Waits (store). ERR_INTERNAL: a stored key does not open. */
bool signing_key_set(const struct signing *s, struct str *jwks, struct err *e) must_use;
/* Claims (one JSON object) as a signed token. alg: "ES256" or "RS256". Waits (store). */
bool signing_key_sign(const struct signing *s, const char *alg, struct str claims, struct str *out,
                      struct err *e) must_use;
/* A new key of each kind: published now, signing in ten minutes; the old ones are published for a
 * day longer. */
bool signing_key_renew(const struct signing *s, struct err *e) must_use;
/* The same for each kind whose youngest is older than max_age_ms, by one of all nodes. Keys that
 * nobody has needed yet are not made. */
bool signing_key_renew_old(const struct signing *s, int64_t max_age_ms, struct err *e) must_use;
/* Seals them under the newest master key where they are not; counts. */
bool signing_key_rotate(const struct keyring *keys, struct db *db, struct arena *a,
                        int64_t *n_changed, struct err *e) must_use;
