/* Whatever comes in: an item ends within its bytes, and what an authenticator might say about a key
 * is read or refused without a step beyond them. */
#include "auth/factors/webauthn.h"
#include "base/cbor.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static bool is_within(struct str outer, struct str s)
{
    return str_is_absent(s) || (s.p >= outer.p && s.p + s.n <= outer.p + outer.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static const struct webauthn_party site = {STR("example.test"), STR("https://example.test")};
    struct str text = {(const char *)bytes, n}, rest = text;
    struct webauthn_data data;
    struct cose_key key;
    struct err e;
    bool is_item = cbor_skip(&rest);
    ensure(!is_item || rest.n < n);
    rest = text;
    if (cose_key_read(&rest, &key)) {
        ensure(is_item && key.text.n + rest.n == n && is_within(text, key.a));
        ensure(is_within(text, key.b));
        (void)!cose_verify(&key, STR("data"), str_slice(text, 0, 64));
    }
    if (webauthn_register(&site, text, &data, &e))
        ensure(is_within(text, data.credential_id) && is_within(text, data.key.text));
    else
        ensure(e.code == ERR_BAD_REQUEST || e.code == ERR_UNAUTHENTICATED);
    if (webauthn_data_read(&site, text, &data, &e))
        ensure(is_within(text, data.credential_id));
    return 0;
}
