#include "auth/sso/provider_secret.h"

#include "base/limits.h"
#include "core/vault.h"

#define PURPOSE STR("sso-provider")

static struct vault_place place_of(struct str org_id, struct str provider_id)
{
    return (struct vault_place){.org_id = org_id,
                                .table = STR("sso_providers"),
                                .column = STR("sealed_secret"),
                                .row = provider_id};
}

static struct str installation_place(struct arena *a, struct str provider_id)
{
    return arena_printf(a, "installation|sso_providers|%.*s", STR_FMT(provider_id));
}

bool provider_secret_seal(struct services *sv, struct arena *a, struct str org_id,
                          struct str provider_id, struct str plain, struct str *sealed,
                          struct err *e)
{
    if (!str_is_absent(org_id)) {
        const struct vault_place place = place_of(org_id, provider_id);
        return vault_seal(sv->vault, a, &place, plain, sealed, e);
    }
    struct buf text;
    buf_init(&text, LIMIT_CREDENTIAL * 2);
    bool is_good =
        keyring_seal(sv->keys, PURPOSE, installation_place(a, provider_id), plain, &text);
    *sealed = is_good ? arena_dup(a, buf_str(&text)) : STR_NONE;
    buf_end(&text);
    return !str_is_absent(*sealed) || err_set(e, ERR_INTERNAL, "a secret cannot be sealed");
}

bool provider_secret_open(struct services *sv, struct arena *a, struct str org_id,
                          struct str provider_id, struct str sealed, struct secret *out,
                          struct err *e)
{
    if (!str_is_absent(org_id)) {
        const struct vault_place place = place_of(org_id, provider_id);
        return vault_open(sv->vault, a, &place, sealed, out, e);
    }
    struct buf plain;
    buf_init(&plain, LIMIT_CREDENTIAL);
    bool is_good =
        keyring_open(sv->keys, PURPOSE, installation_place(a, provider_id), sealed, &plain) &&
        secret_set(out, plain.p ? plain.p : "", plain.n);
    if (plain.p)
        secret_wipe(plain.p, plain.cap);
    buf_end(&plain);
    return is_good || err_set(e, ERR_INTERNAL, "a provider's secret does not open");
}
