#include "core/signing_key.h"

#include "store/installation.h"

#define FACT    STR("signing_key")
#define PURPOSE STR("signing-key")
#define AAD     STR("installation|signing_key")

enum { SEALED_MAX = 1024, DER_MAX = 512 };

static bool seal(const struct keyring *keys, struct str der, struct arena *a, struct str *out,
                 struct err *e)
{
    struct buf text;
    buf_init(&text, SEALED_MAX);
    bool is_good = keyring_seal(keys, PURPOSE, AAD, der, &text);
    *out = is_good ? arena_dup(a, buf_str(&text)) : STR_NONE;
    buf_end(&text);
    return !str_is_absent(*out) || err_set(e, ERR_INTERNAL, "the signing key cannot be sealed");
}

/* der is wiped by der_end. */
static bool unseal(const struct keyring *keys, struct str sealed, struct buf *der, struct err *e)
{
    buf_init(der, DER_MAX);
    if (keyring_open(keys, PURPOSE, AAD, sealed, der))
        return true;
    buf_end(der);
    return err_set(e, ERR_INTERNAL, "the signing key does not open");
}

static void der_end(struct buf *der)
{
    if (der->p)
        secret_wipe(der->p, der->cap);
    buf_end(der);
}

/* Makes one; of two makers one wins, and both get the winner's. */
static bool make(const struct keyring *keys, struct db *db, struct arena *a, struct str *sealed,
                 struct err *e)
{
    struct secret der = {0};
    struct str fresh;
    if (!sign_key_make(&der))
        return err_set(e, ERR_INTERNAL, "a signing key cannot be made");
    bool is_sealed = seal(keys, secret_reveal(&der), a, &fresh, e);
    secret_end(&der);
    return is_sealed && installation_put_once(db, a, FACT, fresh, sealed, e);
}

bool signing_key_public(const struct keyring *keys, struct db *db, struct arena *a,
                        struct sign_public *out, struct err *e)
{
    struct str sealed;
    struct buf der;
    if (!installation_get(db, a, FACT, &sealed, e) &&
        (e->code != ERR_NOT_FOUND || !make(keys, db, a, &sealed, e)))
        return false;
    if (!unseal(keys, sealed, &der, e))
        return false;
    bool is_good = sign_key_public(buf_str(&der), out);
    der_end(&der);
    return is_good || err_set(e, ERR_INTERNAL, "the signing key is damaged");
}

bool signing_key_rotate(const struct keyring *keys, struct db *db, struct arena *a,
                        int64_t *n_changed, struct err *e)
{
    struct str sealed, fresh, version, id, rest;
    struct buf der;
    struct err own = {0};
    if (!installation_get(db, a, FACT, &sealed, &own)) {
        if (e && own.code != ERR_NOT_FOUND)
            *e = own;
        return own.code == ERR_NOT_FOUND; /* nobody has asked for it yet */
    }
    rest = sealed;
    if (str_next(&rest, '.', &version) && str_next(&rest, '.', &id) &&
        str_eq(id, str_c(keys->keys[0].id)))
        return true;
    if (!unseal(keys, sealed, &der, e))
        return false;
    bool is_good =
        seal(keys, buf_str(&der), a, &fresh, e) && installation_put(db, a, FACT, fresh, e);
    der_end(&der);
    *n_changed += is_good;
    return is_good;
}
