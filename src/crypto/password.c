#include "crypto/password.h"

#include <argon2.h>

#include "base/limits.h"
#include "base/rand.h"
#include "base/text.h"

enum { MEMORY_KIB = 19 * 1024, PASSES = 2, LANES = 1, SALT_BYTES = 16, HASH_BYTES = 32 };

bool password_check(struct str password, struct err *e)
{
    if (password.n < LIMIT_PASSWORD_MIN)
        return err_set(e, ERR_INVALID, "a password has at least %d characters", LIMIT_PASSWORD_MIN);
    if (password.n > LIMIT_PASSWORD_MAX)
        return err_set(e, ERR_INVALID, "a password has at most %d bytes", LIMIT_PASSWORD_MAX);
    if (!text_is_utf8(password) || text_has_control(password))
        return err_set(e, ERR_INVALID, "a password has no control characters");
    return true;
}

bool password_hash(struct str password, char out[PASSWORD_HASH_SIZE], struct err *e)
{
    uint8_t salt[SALT_BYTES];
    rand_bytes(salt, sizeof(salt));
    int rc = argon2id_hash_encoded(PASSES, MEMORY_KIB, LANES, password.p, password.n, salt,
                                   sizeof(salt), HASH_BYTES, out, PASSWORD_HASH_SIZE);
    if (rc == ARGON2_OK)
        return true;
    err_set(e, ERR_UNAVAILABLE, "the password cannot be processed now");
    return err_detail(e, "argon2: %s", argon2_error_message(rc));
}

bool password_verify(struct str password, const char *hash)
{
    if (password.n > LIMIT_PASSWORD_MAX)
        return false;
    return argon2id_verify(hash, password.p, password.n) == ARGON2_OK;
}

const char *password_dummy(void)
{
    /* salt and digest of zeros */
    return "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$"
           "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
}
