/*
 * Envelope encryption of what must be read back: each organization has a data key, wrapped by the
 * newest master key; every secret is sealed under the data key with "table|column|row|org" as
 * associated data. Opened data keys are cached per worker and dropped with db_epoch.
 */
#pragma once

#include "crypto/keyring.h"
#include "store/db.h"

struct vault; /* one worker's */

struct vault *vault_new(const struct keyring *keys, struct db *db, struct err *e) must_use;
void vault_free(struct vault *v);
/* A fresh wrapped data key for an organization that is being made. */
bool vault_make_data_key(const struct keyring *keys, struct str org_id, struct arena *a,
                         struct str *wrapped, struct err *e) must_use;
/* Where a secret is kept: it opens nowhere else. */
struct vault_place {
    struct str org_id, table, column, row;
};
/* Waits (store) on a cache miss. ERR_INTERNAL when the data key does not open. */
bool vault_seal(struct vault *v, struct arena *a, const struct vault_place *place, struct str plain,
                struct str *sealed, struct err *e) must_use;
/* out is wiped by secret_end. A copy stays open for half a second at most, or until authorization
 * data changes: on a busy connection one opening serves many calls. */
bool vault_open(struct vault *v, struct arena *a, const struct vault_place *place,
                struct str sealed, struct secret *out, struct err *e) must_use;
/* Re-wraps every organization's data key under the newest master key, and the check row. Counts
 * those changed. */
bool vault_rotate(struct vault *v, struct arena *a, int64_t *n_changed, struct err *e) must_use;
/*
 * Proves that the master keys are this installation's: makes the check row on first start;
 * otherwise ERR_INVALID "ENCRYPTION_KEY is not the key of this database: it was sealed with key
 * <id>, given <ids>".
 */
bool vault_check(const struct keyring *keys, struct db *db, struct arena *a,
                 struct err *e) must_use;
