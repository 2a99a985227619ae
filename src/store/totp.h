/* Authenticator apps and recovery codes of people. */
#pragma once

#include "store/db.h"

struct totp_row {
    struct str sealed;
    int64_t confirmed_at;  /* 0: not yet */
    struct str session_id; /* the browser session that began; absent: from before it was kept */
};
/* A seed that is not confirmed yet; replaces another such. ERR_CONFLICT: there is a confirmed one.
 */
bool totp_start(struct db *db, struct arena *a, struct str user_id, const struct totp_row *row,
                int64_t now, struct err *e) must_use;
/* ERR_NOT_FOUND. */
bool totp_get(struct db *db, struct arena *a, struct str user_id, struct totp_row *out,
              struct err *e) must_use;
/* The first code of the seed that this session began was right. ERR_NOT_FOUND: there is nothing to
 * confirm, or another session has begun anew since. */
bool totp_confirm(struct db *db, struct arena *a, struct str user_id, struct str session_id,
                  int64_t step, int64_t now, struct err *e) must_use;
/* Takes the code of a step: once, and none of an earlier step after it. ERR_NOT_FOUND: taken. */
bool totp_take(struct db *db, struct arena *a, struct str user_id, int64_t step,
               struct err *e) must_use;
bool totp_delete(struct db *db, struct arena *a, struct str user_id, struct err *e) must_use;

/* Sealed seeds that may have to be sealed anew. */
struct totp_sealed {
    struct str user_id, sealed;
};
bool totp_list_sealed(struct db *db, struct arena *a, struct str after_user_id, int limit,
                      struct totp_sealed **out, size_t *n, struct err *e) must_use;
/* Nothing happens where the seed has changed meanwhile. */
bool totp_reseal(struct db *db, struct arena *a, const struct totp_sealed *old, struct str sealed,
                 struct err *e) must_use;

/* All codes of before are gone. hashes: n of them. */
bool recovery_codes_put(struct db *db, struct arena *a, struct str user_id,
                        const struct str *hashes, size_t n, int64_t now, struct err *e) must_use;
/* Uses one up. ERR_NOT_FOUND: unknown or used. */
bool recovery_codes_take(struct db *db, struct arena *a, struct str user_id, struct str hash,
                         int64_t now, struct err *e) must_use;
bool recovery_codes_delete(struct db *db, struct arena *a, struct str user_id,
                           struct err *e) must_use;

/* What a person has. */
struct factors_row {
    bool has_totp; /* confirmed */
    int64_t n_passkeys, n_recovery_codes;
};
bool factors_get(struct db *db, struct arena *a, struct str user_id, struct factors_row *out,
                 struct err *e) must_use;
/* All of them go at once: the app, recovery codes, passkeys, and sign-ins that wait for one. */
bool factors_delete(struct db *db, struct arena *a, struct str user_id, struct err *e) must_use;
