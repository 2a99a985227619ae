/*
 * Password hashes: argon2id with 19 MiB, 2 passes, 1 lane (OWASP's parameters), in PHC form. One
 * takes tens of milliseconds of a core: run them on offload threads only
 * (auth/session/password_work.h).
 */
#pragma once

#include "base/err.h"
#include "base/str.h"

enum { PASSWORD_HASH_SIZE = 128 }; /* of the PHC form, NUL included */

/* LIMIT_PASSWORD_MIN to LIMIT_PASSWORD_MAX bytes of UTF-8 without controls. ERR_INVALID, never
 * quoting the password. */
bool password_check(struct str password, struct err *e) must_use;
/* ERR_UNAVAILABLE: memory. */
bool password_hash(struct str password, char out[PASSWORD_HASH_SIZE], struct err *e) must_use;
/* Does the password belong to the hash? False also when the hash is ill-formed. */
bool password_verify(struct str password, const char *hash) must_use;
/* A hash that no password belongs to: so that unknown accounts cost the same work. */
const char *password_dummy(void);
