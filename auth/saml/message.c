#include "auth/saml/message.h"

#include "auth/saml/work.h"
#include "auth/saml/xml.h"
#include "base/clock.h"
#include "base/deflate.h"
#include "base/limits.h"
#include "base/rand.h"
#include "base/text.h"
#include "crypto/certificate.h"

#define RSA_SHA256 "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"

enum { MESSAGE_MAX = 32 * 1024 };

struct str saml_message_id(struct arena *a)
{
    uint8_t bytes[20];
    char hex[41];
    rand_bytes(bytes, sizeof(bytes));
    text_hex(hex, bytes, sizeof(bytes));
    return arena_printf(a, "_%s", hex);
}

/* ---- the XML ---- */

static void attribute(struct buf *out, const char *name, struct str value)
{
    if (str_is_absent(value))
        return;
    buf_addf(out, " %s=\"", name);
    xml_escape(out, value);
    buf_add_char(out, '"');
}

static void head_write(struct buf *out, const char *name, const struct saml_settings *s,
                       const struct saml_outgoing *m)
{
    char now[CLOCK_RFC3339_SIZE];
    clock_rfc3339(clock_wall_ms(), now);
    buf_addf(out,
             "<samlp:%s xmlns:samlp=\"" XML_NS_PROTOCOL "\" xmlns:saml=\"" XML_NS_ASSERTION
             "\" Version=\"2.0\" IssueInstant=\"%.19sZ\"",
             name, now);
    attribute(out, "ID", m->id);
    attribute(out, "Destination", m->destination);
    attribute(out, "InResponseTo", m->in_response_to);
    if (m->kind == SAML_AUTHN_REQUEST) {
        attribute(out, "AssertionConsumerServiceURL", s->acs_url);
        attribute(out, "ProtocolBinding", STR("urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"));
        if (m->is_forced)
            attribute(out, "ForceAuthn", STR("true"));
    }
    buf_add(out, STR("><saml:Issuer>"));
    xml_escape(out, s->entity_id);
    buf_add(out, STR("</saml:Issuer>"));
}

static void subject_write(struct buf *out, const struct saml_outgoing *m)
{
    buf_add(out, STR("<saml:NameID"));
    attribute(out, "Format", m->name_id_format);
    attribute(out, "NameQualifier", m->name_id_qualifier);
    buf_add_char(out, '>');
    xml_escape(out, m->name_id);
    buf_add(out, STR("</saml:NameID>"));
    if (str_is_absent(m->session_index))
        return;
    buf_add(out, STR("<samlp:SessionIndex>"));
    xml_escape(out, m->session_index);
    buf_add(out, STR("</samlp:SessionIndex>"));
}

static void message_write(struct buf *out, const struct saml_settings *s,
                          const struct saml_outgoing *m)
{
    static const char *const names[] = {"AuthnRequest", "LogoutRequest", "LogoutResponse"};
    const char *name = names[m->kind];
    head_write(out, name, s, m);
    if (m->kind == SAML_AUTHN_REQUEST) {
        buf_add(out, STR("<samlp:NameIDPolicy AllowCreate=\"true\""));
        attribute(out, "Format", s->name_id_format);
        buf_add(out, STR("/>"));
    } else if (m->kind == SAML_LOGOUT_REQUEST) {
        subject_write(out, m);
    } else {
        buf_addf(out,
                 "<samlp:Status><samlp:StatusCode "
                 "Value=\"urn:oasis:names:tc:SAML:2.0:status:%s\"/></samlp:Status>",
                 m->is_success ? "Success" : "Requester");
    }
    buf_addf(out, "</samlp:%s>", name);
}

/* ---- bindings ---- */

static void pair(struct buf *out, const char *name, struct str value)
{
    buf_addf(out, "%s%s=", out->n > 0 ? "&" : "", name);
    text_percent_encode(out, value);
}

static bool base64(struct buf *out, struct str s)
{
    text_b64(out, s.p, s.n);
    return buf_ok(out);
}

struct leaving {
    struct saml_settings settings;
    struct saml_outgoing message;
    struct saml_departure out;
};

/* The query, signed over its own bytes: message, RelayState, SigAlg, in this order. */
static bool query_write(struct arena *a, const struct leaving *l, struct str xml, struct buf *query)
{
    struct buf packed, text;
    buf_init(&packed, MESSAGE_MAX);
    buf_init(&text, (size_t)2 * MESSAGE_MAX);
    bool is_good = deflate_write(xml, &packed) && base64(&text, buf_str(&packed));
    pair(query, l->message.kind == SAML_LOGOUT_RESPONSE ? "SAMLResponse" : "SAMLRequest",
         buf_str(&text));
    if (!str_is_absent(l->message.relay_state))
        pair(query, "RelayState", l->message.relay_state);
    if (l->message.is_signed) {
        pair(query, "SigAlg", STR(RSA_SHA256));
        struct str signature = certificate_sign(a, l->settings.keys[0].key, buf_str(query));
        buf_reset(&text);
        is_good = is_good && !str_is_absent(signature) && base64(&text, signature);
        pair(query, "Signature", buf_str(&text));
    }
    buf_end(&packed);
    buf_end(&text);
    return is_good && buf_ok(query);
}

static bool by_redirect(struct arena *a, struct leaving *l, struct str xml)
{
    struct buf query;
    buf_init(&query, (size_t)4 * MESSAGE_MAX);
    struct str to = l->message.destination;
    const char *joint = str_find_char(to, '?') == SIZE_MAX ? "?" : "&";
    if (query_write(a, l, xml, &query))
        l->out.url = arena_printf(a, "%.*s%s%.*s", STR_FMT(to), joint, STR_FMT(buf_str(&query)));
    buf_end(&query);
    return !str_is_absent(l->out.url);
}

static bool by_post(struct arena *a, struct leaving *l, struct str xml, struct err *e)
{
    struct buf text, final;
    buf_init(&text, (size_t)2 * MESSAGE_MAX);
    buf_init(&final, MESSAGE_MAX);
    bool is_good = true;
    if (l->message.is_signed)
        is_good = xml_sign(xml, l->settings.keys[0].key, &final, e);
    else
        buf_add(&final, xml);
    if (is_good && buf_ok(&final) && base64(&text, buf_str(&final)))
        l->out.message = arena_dup(a, buf_str(&text));
    l->out.is_post = true;
    l->out.url = l->message.destination;
    l->out.field =
        l->message.kind == SAML_LOGOUT_RESPONSE ? STR("SAMLResponse") : STR("SAMLRequest");
    l->out.relay_state = l->message.relay_state;
    buf_end(&text);
    buf_end(&final);
    return !str_is_absent(l->out.message);
}

static bool leave(struct arena *a, void *arg, struct err *e)
{
    struct leaving *l = arg;
    struct buf xml;
    buf_init(&xml, MESSAGE_MAX);
    message_write(&xml, &l->settings, &l->message);
    bool is_good = buf_ok(&xml) && (l->message.is_post ? by_post(a, l, buf_str(&xml), e)
                                                       : by_redirect(a, l, buf_str(&xml)));
    buf_end(&xml);
    return is_good || err_set(e, ERR_INTERNAL, "a SAML message could not be made");
}

static bool message_copy(struct arena *a, const struct saml_outgoing *from,
                         struct saml_outgoing *to)
{
    *to = *from;
    struct str *const texts[] = {
        &to->id,      &to->destination,    &to->relay_state,       &to->in_response_to,
        &to->name_id, &to->name_id_format, &to->name_id_qualifier, &to->session_index};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        bool is_absent = str_is_absent(*texts[i]);
        *texts[i] = arena_dup(a, *texts[i]);
        if (!is_absent && str_is_absent(*texts[i]))
            return false;
    }
    return true;
}

bool saml_depart(struct services *sv, struct arena *a, const struct saml_settings *s,
                 const struct saml_outgoing *m, struct saml_departure *out, struct err *e)
{
    struct arena *own;
    struct saml_work *w = saml_work_new(&own, e);
    if (!w)
        return false;
    struct leaving *l = arena_alloc(own, sizeof(*l));
    if (!l || !saml_settings_copy(own, s, &l->settings) || !message_copy(own, m, &l->message)) {
        saml_work_free(w);
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    }
    if (!saml_work_run(sv, a, w, leave, l, e))
        return false;
    *out = l->out;
    return true;
}
