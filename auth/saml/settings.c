/* Reading what a provider is. */
#include "auth/saml/settings.h"

#include "auth/saml/own_keys.h"
#include "base/ids.h"
#include "base/limits.h"
#include "base/text.h"
#include "crypto/certificate.h"
#include "store/saml_metadata.h"

enum { CERTIFICATE_MAX = 16 * 1024, SKEW_S = 60 };

static bool no_memory(struct err *e)
{
    return err_set(e, ERR_UNAVAILABLE, "out of memory");
}

struct str saml_url(const struct services *sv, struct arena *a, struct str provider_id,
                    const char *suffix)
{
    return arena_printf(a, "%s/auth/saml/%.*s%s", sv->config->origin, STR_FMT(provider_id), suffix);
}

/* ---- the config ---- */

static struct str decoded(struct arena *a, struct str base64)
{
    struct buf bytes;
    buf_init(&bytes, CERTIFICATE_MAX);
    struct str copy = !str_is_absent(base64) && text_b64_decode(base64, &bytes)
                          ? arena_dup(a, buf_str(&bytes))
                          : STR_NONE;
    buf_end(&bytes);
    return copy;
}

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
    out->idp_metadata_url = copied(a, config, "idp_metadata_url");
    out->refresh_metadata = jv_get_bool(config, "refresh_metadata", false);
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
    return config_open(sv, a, p, out, e) && saml_keys_open(sv, a, p, out, e);
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

/* use: of ours; NULL: of theirs. */
static bool certificate_describe(struct arena *a, struct str der, const char *use, struct jout *j,
                                 struct err *e)
{
    struct certificate c;
    if (!certificate_read_der(a, der, &c, e))
        return false;
    jout_object(j);
    jout_kstr(j, "sha256", c.sha256);
    jout_kstr(j, "subject", c.subject);
    jout_ktime(j, "not_before", c.not_before);
    jout_ktime(j, "not_after", c.not_after);
    if (use)
        jout_kstr(j, "use", str_c(use));
    jout_object_end(j);
    return true;
}

/* Where their metadata is, and when it was read by itself. */
static bool metadata_describe(struct services *sv, struct arena *a, const struct sso_provider *p,
                              const struct saml_settings *s, struct jout *j, struct err *e)
{
    struct saml_metadata_state state = {0};
    struct err own;
    if (!saml_metadata_get(sv->db, a, p->id, &state, &own) && own.code != ERR_NOT_FOUND) {
        *e = own;
        return false;
    }
    jout_kstr(j, "idp_metadata_url", s->idp_metadata_url);
    jout_kbool(j, "refresh_metadata", s->refresh_metadata);
    jout_ktime(j, "metadata_read_at", state.read_at);
    jout_kstr(j, "metadata_problem", state.problem);
    return true;
}

bool saml_settings_describe(struct services *sv, struct arena *a, const struct sso_provider *p,
                            struct jout *j, struct err *e)
{
    struct saml_settings s;
    if (!saml_settings_open(sv, a, p, &s, e))
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
        if (!certificate_describe(a, s.certificates[i], NULL, j, e))
            return false;
    jout_array_end(j);
    jout_key(j, STR("own_keys"));
    jout_array(j);
    for (size_t i = 0; i < s.n_keys; i++)
        if (!certificate_describe(a, s.keys[i].certificate, i == 0 ? "signs" : "published", j, e))
            return false;
    jout_array_end(j);
    return metadata_describe(sv, a, p, &s, j, e);
}
