#include "auth/saml/metadata.h"

#include "auth/saml/xml.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/text.h"
#include "base/uri.h"
#include "crypto/certificate.h"

#define BINDING "urn:oasis:names:tc:SAML:2.0:bindings:"

/* ---- theirs ---- */

/* Digits, then a letter of `units`, in their order; *text goes on behind it. */
static bool duration_part(struct str *text, const char *units, const int64_t *unit_ms,
                          size_t *at_least, int64_t *ms)
{
    int64_t n = 0;
    size_t i = 0;
    for (; i < text->n && text->p[i] >= '0' && text->p[i] <= '9' && i < 6; i++)
        n = n * 10 + (text->p[i] - '0');
    const char *unit = i > 0 && i < text->n ? strchr(units + *at_least, text->p[i]) : NULL;
    if (!unit || !*unit)
        return false;
    *at_least = (size_t)(unit - units) + 1;
    *ms += n * unit_ms[unit - units];
    *text = str_slice(*text, i + 1, SIZE_MAX);
    return true;
}

bool saml_duration(struct str text, int64_t *ms)
{
    static const int64_t day = INT64_C(24) * 60 * 60 * 1000, longest = 3650;
    const int64_t days_ms[] = {365 * day, 30 * day, day},
                  times_ms[] = {3600 * 1000, 60 * 1000, 1000};
    size_t at_day = 0, at_time = 0;
    bool has_time = false, has_any = false;
    *ms = 0;
    if (text.n < 3 || text.p[0] != 'P')
        return false;
    text = str_slice(text, 1, SIZE_MAX);
    while (text.n > 0) {
        if (!has_time && text.p[0] == 'T') {
            has_time = true;
            has_any = false;
            text = str_slice(text, 1, SIZE_MAX);
            continue;
        }
        if (!(has_time ? duration_part(&text, "HMS", times_ms, &at_time, ms)
                       : duration_part(&text, "YMD", days_ms, &at_day, ms)))
            return false;
        has_any = true;
    }
    if (*ms > longest * day)
        *ms = longest * day;
    return has_any;
}

/* What the entity and what is around it say about time: the soonest counts. */
static bool times_read(struct arena *a, const struct xml_node *node, struct saml_idp *out,
                       struct err *e)
{
    for (; node; node = xml_parent(node)) {
        struct str until = xml_attr(a, node, NULL, "validUntil");
        struct str cache = xml_attr(a, node, NULL, "cacheDuration");
        int64_t ms;
        if (!str_is_absent(until)) {
            if (!clock_parse_rfc3339(str_trim(until), &ms))
                return err_set(e, ERR_INVALID, "the metadata's validUntil is no time");
            if (out->valid_until == 0 || ms < out->valid_until)
                out->valid_until = ms;
        }
        if (!str_is_absent(cache) && saml_duration(str_trim(cache), &ms) &&
            (out->cache_ms == 0 || ms < out->cache_ms))
            out->cache_ms = ms;
    }
    return true;
}

static bool is_idp(const struct xml_node *entity)
{
    return xml_child(entity, XML_NS_METADATA, "IDPSSODescriptor", NULL) != NULL;
}

/* The entity that is meant: the one with this id, or the only identity provider. */
static struct xml_node *entity_find(struct arena *a, struct xml_node *root, struct str entity_id,
                                    struct err *e)
{
    struct xml_node *found = NULL;
    for (struct xml_node *n = root; n; n = xml_following(n)) {
        if (!xml_is(n, XML_NS_METADATA, "EntityDescriptor") || !is_idp(n))
            continue;
        if (!str_is_absent(entity_id) && !str_eq(xml_attr(a, n, NULL, "entityID"), entity_id))
            continue;
        if (found) {
            err_set(e, ERR_INVALID,
                    "the metadata has several identity providers: say which by idp_entity_id");
            return NULL;
        }
        found = n;
    }
    if (!found)
        err_set(e, ERR_INVALID, "the metadata has no such identity provider (IDPSSODescriptor)");
    return found;
}

/* The address for a binding that we speak: redirect before POST. */
static struct str endpoint(struct arena *a, const struct xml_node *idp, const char *name,
                           bool *is_post)
{
    struct str post = STR_NONE;
    for (struct xml_node *n = xml_first(idp); n; n = xml_next(n)) {
        if (!xml_is(n, XML_NS_METADATA, name))
            continue;
        *is_post = false;
        if (xml_attr_is(n, "Binding", BINDING "HTTP-Redirect"))
            return xml_attr(a, n, NULL, "Location");
        if (xml_attr_is(n, "Binding", BINDING "HTTP-POST") && str_is_absent(post))
            post = xml_attr(a, n, NULL, "Location");
    }
    *is_post = !str_is_absent(post);
    return post;
}

static bool certificate_add(struct arena *a, const struct xml_node *node, struct saml_idp *out,
                            struct err *e)
{
    struct certificate c;
    if (!certificate_read(a, xml_text(a, node), &c, e))
        return false;
    for (size_t i = 0; i < out->n_certificates; i++)
        if (str_eq(out->certificates[i], c.der))
            return true;
    if (out->n_certificates == LIMIT_SAML_CERTIFICATES)
        return err_set(e, ERR_INVALID, "the metadata has more than %d certificates for signatures",
                       LIMIT_SAML_CERTIFICATES);
    out->certificates[out->n_certificates++] = c.der;
    return true;
}

static bool certificates_read(struct arena *a, struct xml_node *idp, struct saml_idp *out,
                              struct err *e)
{
    out->certificates = arena_alloc(a, LIMIT_SAML_CERTIFICATES * sizeof(struct str));
    if (!out->certificates)
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    for (struct xml_node *key = xml_first(idp); key; key = xml_next(key)) {
        if (!xml_is(key, XML_NS_METADATA, "KeyDescriptor") || xml_attr_is(key, "use", "encryption"))
            continue;
        struct xml_node *end = xml_next(key);
        for (struct xml_node *n = xml_first(key); n && n != end; n = xml_following(n)) {
            if (xml_is(n, XML_NS_METADATA, "KeyDescriptor"))
                break;
            if (xml_is(n, XML_NS_DSIG, "X509Certificate") && !certificate_add(a, n, out, e))
                return false;
        }
    }
    return out->n_certificates > 0 ||
           err_set(e, ERR_INVALID, "the metadata has no certificate for signatures");
}

bool saml_metadata_read(struct arena *a, struct str text, struct str entity_id,
                        struct saml_idp *out, struct err *e)
{
    struct xml *x auto_free(xml_freep) = xml_parse(text, &xml_metadata_bounds, e);
    *out = (struct saml_idp){.n_certificates = 0};
    if (!x) {
        if (e->code == ERR_PARSE)
            e->code = ERR_INVALID;
        return false;
    }
    struct xml_node *entity = entity_find(a, xml_root(x), entity_id, e);
    if (!entity)
        return false;
    struct xml_node *idp = xml_child(entity, XML_NS_METADATA, "IDPSSODescriptor", NULL);
    out->entity_id = xml_attr(a, entity, NULL, "entityID");
    out->sso_url = endpoint(a, idp, "SingleSignOnService", &out->sso_is_post);
    out->slo_url = endpoint(a, idp, "SingleLogoutService", &out->slo_is_post);
    if (str_is_absent(out->entity_id) || str_is_absent(out->sso_url))
        return err_set(e, ERR_INVALID,
                       "the metadata has no SingleSignOnService by HTTP-Redirect or HTTP-POST");
    return times_read(a, idp, out, e) && certificates_read(a, idp, out, e);
}

/* ---- ours ---- */

static void key_write(const struct saml_key *k, const char *use, struct buf *out)
{
    buf_addf(out, "<md:KeyDescriptor use=\"%s\"><ds:KeyInfo><ds:X509Data><ds:X509Certificate>",
             use);
    text_b64(out, k->certificate.p, k->certificate.n);
    buf_add(out, STR("</ds:X509Certificate></ds:X509Data></ds:KeyInfo>"));
    if (str_eq(str_c(use), STR("encryption")))
        buf_add(out, STR("<md:EncryptionMethod "
                         "Algorithm=\"http://www.w3.org/2009/xmlenc11#aes256-gcm\"/>"
                         "<md:EncryptionMethod "
                         "Algorithm=\"http://www.w3.org/2009/xmlenc11#aes128-gcm\"/>"
                         "<md:EncryptionMethod "
                         "Algorithm=\"http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p\"/>"));
    buf_add(out, STR("</md:KeyDescriptor>"));
}

static void service_write(const char *name, const char *binding, struct str url, const char *more,
                          struct buf *out)
{
    buf_addf(out, "<md:%s Binding=\"" BINDING "%s\" Location=\"", name, binding);
    xml_escape(out, url);
    buf_addf(out, "\"%s/>", more);
}

void saml_metadata_write(const struct saml_settings *s, struct buf *out)
{
    buf_add(out, STR("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                     "<md:EntityDescriptor xmlns:md=\"" XML_NS_METADATA "\" xmlns:ds=\"" XML_NS_DSIG
                     "\" entityID=\""));
    xml_escape(out, s->entity_id);
    buf_addf(out,
             "\"><md:SPSSODescriptor AuthnRequestsSigned=\"%s\" WantAssertionsSigned=\"true\" "
             "protocolSupportEnumeration=\"" XML_NS_PROTOCOL "\">",
             s->sign_requests ? "true" : "false");
    for (size_t i = 0; i < s->n_keys; i++)
        key_write(&s->keys[i], "signing", out);
    /* Who takes the first one to encrypt with takes the newest. */
    size_t newest = s->n_keys > 1 && s->keys[1].made_at > s->keys[0].made_at;
    for (size_t i = 0; i < s->n_keys; i++)
        key_write(&s->keys[i ^ newest], "encryption", out);
    service_write("SingleLogoutService", "HTTP-Redirect", s->slo_url, "", out);
    service_write("SingleLogoutService", "HTTP-POST", s->slo_url, "", out);
    if (!str_is_absent(s->name_id_format)) {
        buf_add(out, STR("<md:NameIDFormat>"));
        xml_escape(out, s->name_id_format);
        buf_add(out, STR("</md:NameIDFormat>"));
    }
    service_write("AssertionConsumerService", "HTTP-POST", s->acs_url,
                  " index=\"0\" isDefault=\"true\"", out);
    buf_add(out, STR("</md:SPSSODescriptor></md:EntityDescriptor>\n"));
}
