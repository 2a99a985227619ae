#include "auth/saml/logout_read.h"

#include "base/deflate.h"
#include "base/limits.h"
#include "base/text.h"
#include "crypto/certificate.h"

#define MORE "http://www.w3.org/2001/04/xmldsig-more#"

enum { PAST_MS = 5 * 60 * 1000, SESSIONS_MAX = 64, SIGNATURE_MAX = 2048 };

struct str saml_subject(struct arena *a, struct str format, struct str qualifier,
                        struct str name_id)
{
    return arena_printf(a, "%.*s|%.*s|%.*s", STR_FMT(format), STR_FMT(qualifier), STR_FMT(name_id));
}

/* ---- the signature of a query ---- */

static struct str unescaped(struct arena *a, struct str raw)
{
    struct buf out;
    buf_init(&out, SIGNATURE_MAX * 4);
    struct str text = text_percent_decode(raw, &out) ? arena_dup(a, buf_str(&out)) : STR_NONE;
    buf_end(&out);
    return text;
}

static bool algorithm_read(struct str name, bool *is_ecdsa, enum signature_digest *digest)
{
    static const struct {
        const char *name;
        bool is_ecdsa;
        enum signature_digest digest;
    } known[] = {{MORE "rsa-sha256", false, SIGNATURE_SHA256},
                 {MORE "rsa-sha384", false, SIGNATURE_SHA384},
                 {MORE "rsa-sha512", false, SIGNATURE_SHA512},
                 {MORE "ecdsa-sha256", true, SIGNATURE_SHA256},
                 {MORE "ecdsa-sha384", true, SIGNATURE_SHA384},
                 {MORE "ecdsa-sha512", true, SIGNATURE_SHA512}};
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (str_eq(name, str_c(known[i].name))) {
            *is_ecdsa = known[i].is_ecdsa;
            *digest = known[i].digest;
            return true;
        }
    return false;
}

/* SAMLRequest, RelayState (if any), SigAlg, Signature, in this order and nothing else: what is
 * signed is the query's own bytes (bindings 3.4.4.1), however they are escaped. */
static bool query_verify(struct arena *a, const struct saml_settings *s, struct str query)
{
    struct str rest = query, piece, algorithm = STR_NONE;
    size_t at = str_find(query, STR("&Signature="));
    if (at == SIZE_MAX || !str_starts(query, STR("SAMLRequest=")))
        return false;
    struct str signed_text = str_slice(query, 0, at);
    struct str given = str_slice(query, at + sizeof("&Signature=") - 1, SIZE_MAX);
    rest = signed_text;
    for (int i = 0; str_next(&rest, '&', &piece); i++) {
        bool is_last = str_is_absent(rest);
        bool is_relay = i == 1 && !is_last && str_starts(piece, STR("RelayState="));
        if (i > 0 && !is_relay && !(is_last && str_starts(piece, STR("SigAlg="))))
            return false;
        if (is_last && i > 0)
            algorithm = str_slice(piece, sizeof("SigAlg=") - 1, SIZE_MAX);
    }
    bool is_ecdsa;
    enum signature_digest digest;
    struct buf signature;
    buf_init(&signature, SIGNATURE_MAX);
    bool is_good = false;
    if (str_find_char(given, '&') == SIZE_MAX && !str_is_absent(algorithm) &&
        algorithm_read(unescaped(a, algorithm), &is_ecdsa, &digest) &&
        text_b64_decode(unescaped(a, given), &signature))
        for (size_t i = 0; i < s->n_certificates && !is_good; i++)
            is_good = certificate_verify(s->certificates[i], is_ecdsa, digest, signed_text,
                                         buf_str(&signature));
    buf_end(&signature);
    return is_good;
}

/* ---- the request ---- */

static bool head_check(struct arena *a, const struct saml_settings *s, const struct xml_node *root,
                       int64_t now, struct saml_logout_request *out, struct saml_reject *why)
{
    int64_t issued, until = now + PAST_MS;
    struct xml_node *issuer = xml_child(root, XML_NS_ASSERTION, "Issuer", NULL);
    if (!xml_is(root, XML_NS_PROTOCOL, "LogoutRequest") || !xml_attr_is(root, "Version", "2.0"))
        return saml_refuse(why, "saml_structure", "it is no LogoutRequest");
    if (!str_eq(xml_text(a, issuer), s->idp_entity_id))
        return saml_refuse(why, "saml_issuer", "the request is of another issuer");
    if (!str_eq(xml_attr(a, root, NULL, "Destination"), s->slo_url))
        return saml_refuse(why, "saml_destination", "the request is meant for another");
    if (!saml_time(a, root, "IssueInstant", &issued) || issued < now - PAST_MS - s->skew_ms ||
        issued > now + s->skew_ms)
        return saml_refuse(why, "saml_issue_instant", "the request was not made just now");
    if (!str_is_absent(xml_attr(a, root, NULL, "NotOnOrAfter")) &&
        (!saml_time(a, root, "NotOnOrAfter", &until) || now >= until + s->skew_ms))
        return saml_refuse(why, "saml_expired", "the request is not valid any more");
    out->id = xml_attr(a, root, NULL, "ID");
    out->good_until = issued + 2 * (PAST_MS + s->skew_ms);
    return xml_is_ncname(out->id) || saml_refuse(why, "saml_structure", "it has no usable id");
}

static bool whose(struct arena *a, const struct xml_node *root, struct saml_logout_request *out,
                  struct saml_reject *why)
{
    size_t n;
    struct xml_node *name_id = xml_child(root, XML_NS_ASSERTION, "NameID", &n);
    struct str value = xml_text(a, name_id);
    if (n != 1 || value.n == 0 || value.n > LIMIT_SAML_ID)
        return saml_refuse(why, "saml_name_id", "there is not exactly one usable NameID");
    out->subject = saml_subject(a, xml_attr(a, name_id, NULL, "Format"),
                                xml_attr(a, name_id, NULL, "NameQualifier"), value);
    out->sessions = arena_alloc(a, SESSIONS_MAX * sizeof(struct str));
    out->n_sessions = 0;
    for (struct xml_node *c = xml_first(root); c && out->sessions; c = xml_next(c)) {
        if (!xml_is(c, XML_NS_PROTOCOL, "SessionIndex"))
            continue;
        if (out->n_sessions == SESSIONS_MAX)
            return saml_refuse(why, "saml_structure", "there are too many sessions");
        out->sessions[out->n_sessions++] = xml_text(a, c);
    }
    return (out->sessions && !str_is_absent(out->subject)) ||
           saml_refuse(why, "saml_memory", "out of memory");
}

static bool request_read(struct arena *a, const struct saml_settings *s, struct str text,
                         int64_t now, struct saml_logout_request *out, struct saml_reject *why)
{
    struct err e;
    struct xml *x auto_free(xml_freep) = xml_parse(text, &xml_message_bounds, &e);
    if (!x)
        return saml_refuse(why, "saml_xml", "%s", e.msg);
    return head_check(a, s, xml_root(x), now, out, why) && whose(a, xml_root(x), out, why);
}

/* By POST: the octets that its own signature covers. */
static bool signed_text(struct arena *a, const struct saml_settings *s, struct str message,
                        struct buf *octets, struct saml_reject *why)
{
    const struct xml_trust trust = {s->certificates, s->n_certificates};
    struct err e;
    struct xml *x auto_free(xml_freep) = xml_parse(message, &xml_message_bounds, &e);
    if (!x)
        return saml_refuse(why, "saml_xml", "%s", e.msg);
    struct str id = xml_attr(a, xml_root(x), NULL, "ID");
    return xml_verify(message, id, &trust, octets, &e) ||
           saml_refuse(why, "saml_signature", "%s", e.msg);
}

bool saml_logout_read(struct arena *a, const struct saml_settings *s, struct str message,
                      struct str query, int64_t now_ms, struct saml_logout_request *out,
                      struct saml_reject *why)
{
    struct buf text;
    bool is_good;
    *out = (struct saml_logout_request){.n_sessions = 0};
    *why = (struct saml_reject){.code = NULL};
    buf_init(&text, LIMIT_SAML_BYTES);
    if (str_is_absent(query))
        is_good = signed_text(a, s, message, &text, why);
    else if (!query_verify(a, s, query))
        is_good = saml_refuse(why, "saml_signature", "the query is not signed by the provider");
    else
        is_good = deflate_read(message, &text) ||
                  saml_refuse(why, "saml_xml", "the message cannot be inflated");
    is_good = is_good && request_read(a, s, buf_str(&text), now_ms, out, why);
    buf_end(&text);
    return is_good;
}
