/* One-time passwords of authenticator apps: TOTP (RFC 6238) with SHA-1, 6 digits, 30 seconds. */
#pragma once

#include "base/buf.h"

enum { OTP_SEED_SIZE = 20, OTP_STEP_MS = 30 * 1000, OTP_DIGITS = 6 };

/* The time step of a moment (ms since 1970). */
static inline int64_t otp_step(int64_t now_ms)
{
    return now_ms / OTP_STEP_MS;
}
/* The code of one step, NUL-ended. */
void otp_code(struct str seed, int64_t step, char out[OTP_DIGITS + 1]);
/*
 * Is `code` (six digits) that of the step of `now_ms`, the one before or the one after? *step:
 * which it is. The time taken does not depend on the code.
 */
bool otp_check(struct str seed, struct str code, int64_t now_ms, int64_t *step) must_use;
/* Base32 without padding (RFC 4648 section 6), upper case: how apps take a seed. */
void otp_base32(struct buf *out, const void *bytes, size_t n);
