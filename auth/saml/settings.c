/* Reading what a provider is. */
#include "auth/saml/settings.h"

#include "auth/saml/work.h"
#include "auth/sso/provider_secret.h"
#include "base/ids.h"
#include "base/limits.h"
#include "base/text.h"
#include "crypto/certificate.h"
#include "crypto/sign.h"

enum { SECRET_MAX = 12 * 1024, SKEW_S = 60 };

static bool no_memory(struct err *e)
{
    return err_set(e, ERR_UNAVAILABLE, "out of memory");
}

struct str saml_url(const struct services *sv, struct arena *a, struct str provider_id,
                    const char *suffix)
{
    return arena_printf(a, "%s/auth/saml/%.*s%s", sv->config->origin, STR_FMT(provider_id), suffix);
}

/* ---- keys ---- */

struct wiped {
    struct str bytes;
};

static void wipe(void *arg)
{
    const struct wiped *w = arg;
    secret_wipe((void *)(uintptr_t)w->bytes.p, w->bytes.n);
}

bool saml_key_wipe_later(struct arena *a, struct str key)
{
    struct wiped *w = arena_alloc(a, sizeof(*w));
    if (!w)
        return false;
    w->bytes = key;
    return arena_on_end(a, wipe, w);
}

static struct str decoded(struct arena *a, struct str base64)
{
    struct buf bytes;
    buf_init(&bytes, SECRET_MAX);
    struct str copy = !str_is_absent(base64) && text_b64_decode(base64, &bytes)
                          ? arena_dup(a, buf_str(&bytes))
                          : STR_NONE;
    if (bytes.p)
        secret_wipe(bytes.p, bytes.cap);
    buf_end(&bytes);
    return copy;
}

static bool keys_read(struct arena *a, const struct jvalue *root, struct saml_settings *out)
{
    const struct jvalue *list = jv_get(root, "keys");
    out->n_keys = 0;
    for (size_t i = 0; i < jv_count(list) && i < SAML_KEYS; i++) {
        struct saml_key *k = &out->keys[out->n_keys++];
        k->key = decoded(a, jv_get_str(jv_at(list, i), "key"));
        k->certificate = decoded(a, jv_get_str(jv_at(list, i), "certificate"));
        if (str_is_absent(k->key) || str_is_absent(k->certificate) ||
            !saml_key_wipe_later(a, k->key))
            return false;
    }
    return out->n_keys > 0;
}

static bool keys_open(struct services *sv, struct arena *a, const struct sso_provider *p,
                      struct saml_settings *out, struct err *e)
{
    struct secret plain = {NULL, 0};
    if (!provider_secret_open(sv, a, p->org_id, p->id, p->sealed_secret, &plain, e))
        return false;
    struct jdoc *doc = jdoc_parse(secret_reveal(&plain), e);
    bool is_good = doc && (keys_read(a, jdoc_root(doc), out) ||
                           err_set(e, ERR_INTERNAL, "a provider's keys cannot be read"));
    jdoc_free(doc);
    secret_end(&plain);
    return is_good;
}

/* ---- the config ---- */

static struct str copied(struct arena *a, const struct jvalue *object, const char *name)
{
    struct str s = jv_get_str(object, name);
    return s.n > 0 ? arena_dup(a, s) : STR_NONE;
}

static bool certificates_read(struct arena *a, const struct jvalue *list, struct saml_settings *out)
{
    size_t n = jv_count(list);
    out->certificates = arena_alloc(a, (n + 1) * sizeof(struct str));
    if (!out->certificates)
        return false;
    for (out->n_certificates = 0; out->n_certificates < n; out->n_certificates++) {
        out->certificates[out->n_certificates] =
            decoded(a, jv_str(jv_at(list, out->n_certificates)));
        if (str_is_absent(out->certificates[out->n_certificates]))
            return false;
    }
    return true;
}

static bool config_read(struct arena *a, const struct jvalue *config, struct saml_settings *out)
{
    const struct jvalue *attributes = jv_get(config, "attributes");
    out->idp_entity_id = copied(a, config, "idp_entity_id");
    out->idp_sso_url = copied(a, config, "sso_url");
    out->idp_slo_url = copied(a, config, "slo_url");
    out->idp_sso_is_post = jv_get_bool(config, "sso_is_post", false);
    out->idp_slo_is_post = jv_get_bool(config, "slo_is_post", false);
    out->sign_requests = jv_get_bool(config, "sign_requests", true);
    out->allow_idp_initiated = jv_get_bool(config, "allow_idp_initiated", false);
    out->name_id_format = copied(a, config, "name_id_format");
    out->email_name = copied(a, attributes, "email");
    out->name_name = copied(a, attributes, "name");
    out->groups_name = copied(a, attributes, "groups");
    out->skew_ms = jv_get_i64(config, "clock_skew_s", SKEW_S) * 1000;
    return !str_is_absent(out->idp_entity_id) && !str_is_absent(out->idp_sso_url) &&
           certificates_read(a, jv_get(config, "certificates"), out);
}

static bool config_open(struct services *sv, struct arena *a, const struct sso_provider *p,
                        struct saml_settings *out, struct err *e)
{
    *out = (struct saml_settings){.provider_id = p->id, .org_id = p->org_id, .name = p->name};
    out->metadata_url = saml_url(sv, a, p->id, "/metadata");
    out->entity_id = out->metadata_url;
    out->acs_url = saml_url(sv, a, p->id, "/acs");
    out->slo_url = saml_url(sv, a, p->id, "/slo");
    out->start_url = saml_url(sv, a, p->id, "/start");
    if (str_is_absent(out->start_url))
        return no_memory(e);
    struct jdoc *doc = jdoc_parse(p->config, e);
    bool is_good = doc && (config_read(a, jdoc_root(doc), out) ||
                           err_set(e, ERR_INTERNAL, "a provider's configuration cannot be read"));
    jdoc_free(doc);
    return is_good;
}

bool saml_settings_open(struct services *sv, struct arena *a, const struct sso_provider *p,
                        struct saml_settings *out, struct err *e)
{
    return config_open(sv, a, p, out, e) && keys_open(sv, a, p, out, e);
}

bool saml_settings_load(struct services *sv, struct arena *a, struct str provider_id,
                        struct saml_settings *out, struct err *e)
{
    struct sso_provider p;
    bool is_found = id_is(provider_id, "idp") && sso_providers_get(sv->db, a, provider_id, &p, e);
    if (!is_found && id_is(provider_id, "idp") && e->code != ERR_NOT_FOUND)
        return false;
    if (!is_found || !p.is_enabled || !str_eq(p.kind, STR("saml")) || str_is_absent(p.org_id))
        return err_set(e, ERR_NOT_FOUND, "There is no such sign-in provider.");
    return saml_settings_open(sv, a, &p, out, e);
}

/* ---- describing ---- */

static bool certificate_describe(struct arena *a, struct str der, struct jout *j, struct err *e)
{
    struct certificate c;
    if (!certificate_read_der(a, der, &c, e))
        return false;
    jout_object(j);
    jout_kstr(j, "sha256", c.sha256);
    jout_kstr(j, "subject", c.subject);
    jout_ktime(j, "not_before", c.not_before);
    jout_ktime(j, "not_after", c.not_after);
    jout_object_end(j);
    return true;
}

bool saml_settings_describe(struct services *sv, struct arena *a, const struct sso_provider *p,
                            struct jout *j, struct err *e)
{
    struct saml_settings s;
    if (!config_open(sv, a, p, &s, e))
        return false;
    jout_kstr(j, "entity_id", s.entity_id);
    jout_kstr(j, "acs_url", s.acs_url);
    jout_kstr(j, "slo_url", s.slo_url);
    jout_kstr(j, "metadata_url", s.metadata_url);
    jout_kstr(j, "idp_entity_id", s.idp_entity_id);
    jout_kstr(j, "idp_sso_url", s.idp_sso_url);
    jout_kstr(j, "idp_slo_url", s.idp_slo_url);
    jout_kbool(j, "sign_requests", s.sign_requests);
    jout_kbool(j, "allow_idp_initiated", s.allow_idp_initiated);
    jout_kstr(j, "name_id_format", s.name_id_format);
    jout_ki64(j, "clock_skew_s", s.skew_ms / 1000);
    jout_key(j, STR("attributes"));
    jout_object(j);
    jout_kstr(j, "email", s.email_name);
    jout_kstr(j, "name", s.name_name);
    jout_kstr(j, "groups", s.groups_name);
    jout_object_end(j);
    jout_key(j, STR("certificates"));
    jout_array(j);
    for (size_t i = 0; i < s.n_certificates; i++)
        if (!certificate_describe(a, s.certificates[i], j, e))
            return false;
    jout_array_end(j);
    return true;
}

/* ---- a pair of our own ---- */

struct pair {
    struct str name;
    struct str json; /* out */
};

static bool pair_make(struct arena *a, void *arg, struct err *e)
{
    struct pair *p = arg;
    struct secret key = {NULL, 0};
    struct buf out;
    buf_init(&out, SECRET_MAX);
    bool is_good = sign_key_make_rsa(&key);
    struct str certificate = is_good ? certificate_make(a, secret_reveal(&key), p->name) : STR_NONE;
    if (!str_is_absent(certificate)) {
        buf_add(&out, STR("{\"keys\":[{\"key\":\""));
        text_b64(&out, key.bytes, key.n);
        buf_add(&out, STR("\",\"certificate\":\""));
        text_b64(&out, certificate.p, certificate.n);
        buf_add(&out, STR("\"}]}"));
        p->json = buf_ok(&out) ? arena_dup(a, buf_str(&out)) : STR_NONE;
    }
    secret_end(&key);
    if (out.p)
        secret_wipe(out.p, out.cap);
    buf_end(&out);
    is_good = !str_is_absent(p->json) && saml_key_wipe_later(a, p->json);
    return is_good || err_set(e, ERR_INTERNAL, "a key could not be made");
}

bool saml_secret_make(struct services *sv, struct arena *a, struct str org_id,
                      struct str provider_id, struct str *sealed, struct err *e)
{
    struct arena *own;
    struct saml_work *w = saml_work_new(&own, e);
    if (!w)
        return false;
    struct pair *p = arena_alloc(own, sizeof(*p));
    if (!p) {
        saml_work_free(w);
        return no_memory(e);
    }
    p->name = arena_dup(own, provider_id);
    if (!saml_work_run(sv, a, w, pair_make, p, e))
        return false;
    return provider_secret_seal(sv, a, org_id, provider_id, p->json, sealed, e);
}
