/* SAML providers whose metadata has an address: when it is read again, and how that went. */
#pragma once

#include "store/db.h"

struct saml_metadata_state {
    int64_t read_at;    /* ms; 0: never by itself */
    struct str problem; /* absent: none */
};
/* Enabled providers whose configuration names an address to read again, and whose time has come (or
 * that were never looked at), the longest waiting first, at most LIMIT_SAML_REFRESH_BATCH. */
bool saml_metadata_due(struct db *db, struct arena *a, int64_t now, struct str **provider_ids,
                       size_t *n, struct err *e) must_use;
/* Takes one that is due, until then: another node finds it not due any more. ERR_NOT_FOUND: another
 * was first, or the provider is gone. */
bool saml_metadata_lease(struct db *db, struct arena *a, struct str provider_id, int64_t now,
                         int64_t until, struct err *e) must_use;
/* How it went: problem absent is a good reading. */
bool saml_metadata_note(struct db *db, struct arena *a, struct str provider_id, int64_t now,
                        int64_t due_at, struct str problem, struct err *e) must_use;
/* ERR_NOT_FOUND: never looked at. */
bool saml_metadata_get(struct db *db, struct arena *a, struct str provider_id,
                       struct saml_metadata_state *out, struct err *e) must_use;
/* After a change of the provider: it is due, and has no problem that is known. */
bool saml_metadata_forget(struct db *db, struct arena *a, struct str provider_id,
                          struct err *e) must_use;
