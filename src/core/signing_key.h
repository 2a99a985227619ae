/* The installation's ES256 key: made on first use, kept sealed among the installation's facts. */
#pragma once

#include "crypto/keyring.h"
#include "crypto/sign.h"
#include "store/db.h"

/* The public part. Waits (store). ERR_INTERNAL: the stored key does not open. */
bool signing_key_public(const struct keyring *keys, struct db *db, struct arena *a,
                        struct sign_public *out, struct err *e) must_use;
/* Seals it under the newest master key, if there is one and it is not; counts. */
bool signing_key_rotate(const struct keyring *keys, struct db *db, struct arena *a,
                        int64_t *n_changed, struct err *e) must_use;
