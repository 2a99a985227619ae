#include "auth/login/mailed_proof.h"

#include "base/secret.h"
#include "base/text.h"
#include "crypto/hash.h"
#include "crypto/keyring.h"

static struct str proof_under(const struct services *sv, struct arena *a, struct str key_id,
                              struct str token)
{
    uint8_t key[32];
    char hex[65];
    if (!keyring_derive(sv->keys, key_id, STR("mailed-link"), key))
        return STR_NONE;
    struct sha256 mac = hash_hmac_sha256((struct str){(const char *)key, sizeof(key)}, token);
    secret_wipe(key, sizeof(key));
    hash_hex(&mac, hex);
    return arena_dup(a, str_c(hex));
}

struct str mailed_proof_of(const struct services *sv, struct arena *a, struct str token)
{
    return proof_under(sv, a, STR_NONE, token);
}

bool mailed_proof_check(const struct services *sv, struct arena *a, struct str token,
                        struct str given)
{
    bool is_good = false;
    for (size_t i = 0; i < sv->keys->n; i++) {
        struct str expected = proof_under(sv, a, str_c(sv->keys->keys[i].id), token);
        is_good = is_good || (!str_is_absent(expected) && text_eq_ct(given, expected));
    }
    return is_good;
}
