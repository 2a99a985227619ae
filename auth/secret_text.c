#include "auth/secret_text.h"

#include <stdio.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/rand.h"
#include "base/secret.h"
#include "base/text.h"
#include "crypto/hash.h"

void secret_text_make(struct secret_text *t, const char *prefix)
{
    uint8_t fresh[32];
    struct buf text;
    rand_bytes(fresh, sizeof(fresh));
    buf_init(&text, SECRET_TEXT_SIZE);
    text_b64url(&text, fresh, sizeof(fresh));
    int n = snprintf(t->text, sizeof(t->text), "%s%.*s", prefix, STR_FMT(buf_str(&text)));
    ensure(buf_ok(&text) && n > 0 && n < SECRET_TEXT_SIZE);
    struct sha256 digest = hash_sha256(str_c(t->text));
    hash_hex(&digest, t->hash_hex);
    secret_wipe(fresh, sizeof(fresh));
    secret_wipe(text.p, text.n);
    buf_end(&text);
}

struct str secret_text_hash(struct arena *a, struct str given)
{
    char hex[65];
    struct sha256 digest = hash_sha256(given);
    hash_hex(&digest, hex);
    return arena_dup(a, str_c(hex));
}
