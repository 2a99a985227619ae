/* Rules for principals. */
#include "core/principal_rules.h"

#include <stdio.h>

#include "base/ids.h"
#include "base/limits.h"
#include "base/rand.h"
#include "base/secret.h"
#include "base/text.h"
#include "crypto/hash.h"

bool principal_email_check(struct str email, struct err *e)
{
    size_t at = str_find_char(email, '@');
    struct str domain = str_slice(email, at == SIZE_MAX ? email.n : at + 1, SIZE_MAX);
    bool is_good = email.n <= LIMIT_EMAIL && at != SIZE_MAX && at > 0 && domain.n > 0 &&
                   str_find_char(domain, '@') == SIZE_MAX && !text_has_control(email) &&
                   text_is_utf8(email) && str_find_char(email, ' ') == SIZE_MAX;
    return is_good || err_set(e, ERR_INVALID,
                              "\"%.*s\" is no e-mail address, expected for example ada@example.com",
                              STR_FMT(str_slice(email, 0, 100)));
}

bool principal_name_check(struct str name, const char *where, struct err *e)
{
    if (str_trim(name).n > 0 && name.n <= LIMIT_NAME && text_is_utf8(name) &&
        !text_has_control(name))
        return true;
    return err_set(e, ERR_INVALID,
                   "%s has %zu bytes, expected 1 to %d bytes of text without control characters",
                   where, name.n, LIMIT_NAME);
}

static bool slug_is_reserved(struct str slug)
{
    static const struct str reserved[] = {STR("hub"),   STR("self"),    STR("vs"),   STR("mcp"),
                                          STR("api"),   STR("oauth"),   STR("auth"), STR("login"),
                                          STR("setup"), STR("account"), STR("orgs"), STR("assets"),
                                          STR("tools"), STR("servers")};
    for (size_t i = 0; i < ARRAY_LEN(reserved); i++)
        if (str_eq(slug, reserved[i]))
            return true;
    return false;
}

bool principal_slug_check(struct str slug, const char *where, struct err *e)
{
    if (!text_is_slug(slug))
        return err_set(e, ERR_INVALID,
                       "%s is \"%.*s\", expected 2 to 50 characters of a-z, 0-9 and single '-'",
                       where, STR_FMT(str_slice(slug, 0, 60)));
    if (slug_is_reserved(slug))
        return err_set(e, ERR_INVALID, "%s is \"%.*s\", which is reserved; choose another", where,
                       STR_FMT(slug));
    return true;
}

void key_text_make(struct key_text *k)
{
    unsigned char fresh[32];
    struct buf text;
    rand_bytes(fresh, sizeof(fresh));
    buf_init(&text, KEY_TEXT_SIZE);
    buf_add(&text, STR("tulle_key_"));
    text_b64url(&text, fresh, sizeof(fresh));
    (void)snprintf(k->key, sizeof(k->key), "%.*s", STR_FMT(buf_str(&text)));
    (void)snprintf(k->prefix, sizeof(k->prefix), "%.16s", k->key);
    struct sha256 digest = hash_sha256(str_c(k->key));
    hash_hex(&digest, k->hash_hex);
    secret_wipe(fresh, sizeof(fresh));
    secret_wipe(text.p, text.n);
    buf_end(&text);
}

void key_text_end(struct key_text *k)
{
    secret_wipe(k, sizeof(*k));
}
