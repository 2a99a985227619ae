/*
 * Password hashing on offload threads: at most LIMIT_PASSWORD_RUNNING at a time in the process, so
 * that lists and exports keep a thread, and at most LIMIT_PASSWORD_WAITING at all. Both wait
 * (offload): ERR_UNAVAILABLE beyond the limit (nobody's fault: not counted), ERR_TIMEOUT,
 * ERR_CANCELLED.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "core/services.h"

/* A new hash in the arena. The password has passed password_check. */
bool password_work_hash(struct services *sv, struct arena *a, struct str password, struct str *hash,
                        struct err *e) must_use;
/* hash absent: the same work for an account without one; *is_right is false. */
bool password_work_verify(struct services *sv, struct str password, struct str hash, bool *is_right,
                          struct err *e) must_use;
