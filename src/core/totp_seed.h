/* Seeds of authenticator apps, sealed under the installation's keys: a person belongs to no one
 * organization. */
#pragma once

#include "base/arena.h"
#include "crypto/keyring.h"
#include "store/db.h"

bool totp_seed_seal(const struct keyring *keys, struct arena *a, struct str user_id,
                    struct str seed, struct str *sealed, struct err *e) must_use;
/* out: end it with secret_end. ERR_INTERNAL: it does not open. */
bool totp_seed_open(const struct keyring *keys, struct arena *a, struct str user_id,
                    struct str sealed, struct secret *out, struct err *e) must_use;
/* Seals them under the newest master key where they are not; counts. */
bool totp_seed_rotate(const struct keyring *keys, struct db *db, struct arena *a,
                      int64_t *n_changed, struct err *e) must_use;
