#include "auth/factors/webauthn.h"

#include "base/cbor.h"
#include "base/limits.h"
#include "base/text.h"
#include "crypto/hash.h"
#include "json/jread.h"

enum { FLAG_UP = 0x01, FLAG_UV = 0x04, FLAG_BE = 0x08, FLAG_BS = 0x10, FLAG_AT = 0x40 };
enum { FLAG_ED = 0x80, HEAD = 37, AAGUID = 16 };

static bool ill_formed(struct err *e, const char *what)
{
    return err_set(e, ERR_BAD_REQUEST, "the answer of the passkey is ill-formed: %s", what);
}

static bool refused(struct err *e, const char *why)
{
    err_set(e, ERR_UNAUTHENTICATED, "That passkey did not work.");
    return err_detail(e, "passkey: %s", why);
}

/* ---- client data ---- */

bool webauthn_client_read(struct arena *a, const struct webauthn_party *party, struct str json,
                          const char *type, struct str *challenge, struct err *e)
{
    struct err ignored;
    auto_free(jdoc_freep) struct jdoc *doc = jdoc_parse(json, &ignored);
    const struct jvalue *v = doc ? jdoc_root(doc) : NULL;
    const struct jvalue *cross = jv_get(v, "crossOrigin");
    if (!jv_is_object(v))
        return ill_formed(e, "client data");
    if (!str_eq(jv_get_str(v, "type"), str_c(type)))
        return refused(e, "its type is another");
    if (!str_eq(jv_get_str(v, "origin"), party->origin))
        return refused(e, "it is for another origin");
    if ((cross && (!jv_is_bool(cross) || jv_bool(cross, true))) || jv_get(v, "topOrigin"))
        return refused(e, "it comes from a frame");
    *challenge = arena_dup(a, jv_get_str(v, "challenge"));
    return challenge->n > 0 || ill_formed(e, "no challenge");
}

/* ---- authenticator data ---- */

static unsigned byte_at(struct str s, size_t i)
{
    return (uint8_t)s.p[i];
}

/* The attested credential: aaguid, length, id, key. */
static bool credential_read(struct str *rest, struct webauthn_data *out)
{
    if (rest->n < AAGUID + 2)
        return false;
    size_t n = byte_at(*rest, AAGUID) << 8 | byte_at(*rest, AAGUID + 1);
    out->aaguid = str_slice(*rest, 0, AAGUID);
    *rest = str_slice(*rest, AAGUID + 2, SIZE_MAX);
    if (n == 0 || n > LIMIT_CREDENTIAL_ID || n > rest->n)
        return false;
    out->credential_id = str_slice(*rest, 0, n);
    *rest = str_slice(*rest, n, SIZE_MAX);
    return cose_key_read(rest, &out->key);
}

bool webauthn_data_read(const struct webauthn_party *party, struct str bytes,
                        struct webauthn_data *out, struct err *e)
{
    *out = (struct webauthn_data){0};
    if (bytes.n < HEAD)
        return ill_formed(e, "authenticator data");
    unsigned flags = byte_at(bytes, SHA256_SIZE);
    struct str rest = str_slice(bytes, HEAD, SIZE_MAX);
    struct sha256 rp = hash_sha256(party->rp_id);
    for (size_t i = SHA256_SIZE + 1; i < HEAD; i++)
        out->sign_count = out->sign_count << 8 | byte_at(bytes, i);
    out->is_present = flags & FLAG_UP;
    out->is_verified = flags & FLAG_UV;
    out->is_backup_eligible = flags & FLAG_BE;
    out->is_backed_up = flags & FLAG_BS;
    if ((flags & FLAG_AT) && !credential_read(&rest, out))
        return ill_formed(e, "the credential");
    if ((flags & FLAG_ED) && !cbor_skip(&rest))
        return ill_formed(e, "extensions");
    if (rest.n > 0)
        return ill_formed(e, "more bytes than expected");
    if (!text_eq_ct(str_slice(bytes, 0, SHA256_SIZE), (struct str){(char *)rp.b, SHA256_SIZE}))
        return refused(e, "it is for another site");
    if (!out->is_present)
        return refused(e, "nobody was there");
    if (out->is_backed_up && !out->is_backup_eligible)
        return refused(e, "backed up without being eligible");
    return true;
}

/* ---- registration ---- */

bool webauthn_attestation_read(struct str object, struct str *data, struct err *e)
{
    struct str rest = object, name;
    struct cbor_item map;
    *data = STR_NONE;
    if (!cbor_next(&rest, &map) || map.kind != CBOR_MAP)
        return ill_formed(e, "attestation");
    for (size_t i = 0; i < map.n; i++) {
        if (!cbor_string(&rest, CBOR_TEXT, &name))
            return ill_formed(e, "attestation");
        bool is_data = str_eq(name, STR("authData"));
        if (is_data && !str_is_absent(*data))
            return ill_formed(e, "authData twice");
        if (is_data ? !cbor_string(&rest, CBOR_BYTES, data) : !cbor_skip(&rest))
            return ill_formed(e, "attestation");
    }
    if (rest.n > 0)
        return ill_formed(e, "more bytes than expected");
    return !str_is_absent(*data) || ill_formed(e, "no authData");
}

bool webauthn_register(const struct webauthn_party *party, struct str object,
                       struct webauthn_data *out, struct err *e)
{
    struct str data;
    if (!webauthn_attestation_read(object, &data, e) || !webauthn_data_read(party, data, out, e))
        return false;
    if (str_is_absent(out->credential_id))
        return ill_formed(e, "no credential");
    return cose_key_is_good(&out->key) || ill_formed(e, "its key is no good key");
}

/* ---- assertion ---- */

bool webauthn_verify(struct arena *a, const struct webauthn_party *party,
                     const struct webauthn_assertion *given, struct webauthn_data *out,
                     struct err *e)
{
    struct cose_key key;
    struct str rest = given->public_key;
    struct sha256 digest = hash_sha256(given->client_json);
    if (!webauthn_data_read(party, given->data, out, e))
        return false;
    if (!cose_key_read(&rest, &key) || rest.n > 0)
        return err_set(e, ERR_INTERNAL, "a stored passkey cannot be read");
    char *is_signed = arena_alloc(a, given->data.n + SHA256_SIZE);
    if (!is_signed)
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    memcpy(is_signed, given->data.p, given->data.n);
    memcpy(is_signed + given->data.n, digest.b, SHA256_SIZE);
    struct str text = {is_signed, given->data.n + SHA256_SIZE};
    return cose_verify(&key, text, given->signature) || refused(e, "its signature is wrong");
}
