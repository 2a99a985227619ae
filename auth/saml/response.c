/* From bytes to the one signed assertion. */
#include "auth/saml/response.h"

#include <stdarg.h>
#include <stdio.h>

#include "auth/saml/assertion.h"
#include "base/clock.h"
#include "base/limits.h"

enum { PAST_MS = 5 * 60 * 1000 }; /* a response is delivered at once */

bool saml_refuse(struct saml_reject *why, const char *code, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    why->code = code;
    (void)vsnprintf(why->why, sizeof(why->why), fmt, args);
    va_end(args);
    for (char *p = why->why; *p; p++)
        if ((unsigned char)*p < 0x20 || (unsigned char)*p >= 0x7F)
            *p = '?';
    return false;
}

bool saml_time(struct arena *a, const struct xml_node *node, const char *name, int64_t *ms)
{
    struct str text = xml_attr(a, node, NULL, name);
    return !str_is_absent(text) && clock_parse_rfc3339(str_trim(text), ms);
}

/* ---- structure: one response, one assertion, signatures where they belong ---- */

struct layout {
    struct str response_id, assertion_id; /* the latter absent while it is encrypted */
    bool response_is_signed, assertion_is_signed, is_encrypted;
};

/* Signatures stand directly in the response or in its assertion, one each; nowhere else. */
static bool signatures_check(const struct xml *x, const struct xml_node *assertion,
                             struct layout *out, struct saml_reject *why)
{
    struct xml_node *root = xml_root(x);
    for (struct xml_node *n = root; n; n = xml_following(n)) {
        if (!xml_is(n, XML_NS_DSIG, "Signature"))
            continue;
        struct xml_node *parent = xml_parent(n);
        bool *seen = parent == root        ? &out->response_is_signed
                     : parent == assertion ? &out->assertion_is_signed
                                           : NULL;
        if (!seen || *seen)
            return saml_refuse(why, "saml_signature_place",
                               "a signature stands where none belongs");
        *seen = true;
    }
    return true;
}

static bool layout_read(struct arena *a, const struct xml *x, struct layout *out,
                        struct saml_reject *why)
{
    struct xml_node *root = xml_root(x), *assertion = NULL;
    size_t n_responses = 0, n_assertions = 0;
    *out = (struct layout){.is_encrypted = false};
    for (struct xml_node *n = root; n; n = xml_following(n)) {
        bool is_encrypted = xml_is(n, XML_NS_ASSERTION, "EncryptedAssertion");
        n_responses += xml_is(n, XML_NS_PROTOCOL, "Response");
        if (!is_encrypted && !xml_is(n, XML_NS_ASSERTION, "Assertion"))
            continue;
        n_assertions++;
        assertion = n;
        out->is_encrypted = is_encrypted;
    }
    if (!xml_is(root, XML_NS_PROTOCOL, "Response") || n_responses != 1)
        return saml_refuse(why, "saml_structure", "it is not one Response");
    if (n_assertions > 1 || (assertion && xml_parent(assertion) != root))
        return saml_refuse(why, "saml_structure",
                           "there is not exactly one assertion directly in the response");
    out->response_id = xml_attr(a, root, NULL, "ID");
    if (assertion && !out->is_encrypted)
        out->assertion_id = xml_attr(a, assertion, NULL, "ID");
    return signatures_check(x, out->is_encrypted ? NULL : assertion, out, why);
}

/* ---- the response's own words ---- */

static bool status_check(struct arena *a, const struct xml_node *root, struct saml_reject *why)
{
    struct xml_node *status = xml_child(root, XML_NS_PROTOCOL, "Status", NULL);
    struct xml_node *code = xml_child(status, XML_NS_PROTOCOL, "StatusCode", NULL);
    struct xml_node *nested = xml_child(code, XML_NS_PROTOCOL, "StatusCode", NULL);
    if (xml_attr_is(code, "Value", "urn:oasis:names:tc:SAML:2.0:status:Success"))
        return true;
    struct str value = xml_attr(a, nested ? nested : code, NULL, "Value");
    struct str message = xml_text(a, xml_child(status, XML_NS_PROTOCOL, "StatusMessage", NULL));
    return saml_refuse(why, "saml_status", "the identity provider refused: %.*s %.*s",
                       STR_FMT(str_slice(value, 0, 90)), STR_FMT(str_slice(message, 0, 80)));
}

static bool envelope_check(struct arena *a, const struct saml_settings *s,
                           const struct xml_node *root, bool is_signed, int64_t now,
                           struct saml_reject *why)
{
    struct xml_node *issuer = xml_child(root, XML_NS_ASSERTION, "Issuer", NULL);
    struct str destination = xml_attr(a, root, NULL, "Destination");
    int64_t issued;
    if (!xml_attr_is(root, "Version", "2.0"))
        return saml_refuse(why, "saml_version", "the response's version is not 2.0");
    if (issuer && !str_eq(xml_text(a, issuer), s->idp_entity_id))
        return saml_refuse(why, "saml_issuer", "the response is of another issuer: %.*s",
                           STR_FMT(str_slice(xml_text(a, issuer), 0, 120)));
    if (str_is_absent(destination) ? is_signed : !str_eq(destination, s->acs_url))
        return saml_refuse(why, "saml_destination", "the response is meant for %.*s",
                           STR_FMT(str_slice(destination, 0, 140)));
    if (!saml_time(a, root, "IssueInstant", &issued) || issued < now - PAST_MS - s->skew_ms ||
        issued > now + s->skew_ms)
        return saml_refuse(why, "saml_issue_instant",
                           "the response was not made just now (are the clocks right?)");
    return status_check(a, root, why);
}

/* ---- the signed bytes ---- */

/* The element with this name and id, parsed from the octets that were digested. */
static struct xml *signed_part(struct str document, const struct saml_settings *s, struct str id,
                               const char *ns, const char *name, struct buf *octets,
                               struct saml_reject *why)
{
    const struct xml_trust trust = {s->certificates, s->n_certificates};
    struct err e;
    if (!xml_verify(document, id, &trust, octets, &e)) {
        saml_refuse(why, "saml_signature", "%s", e.msg);
        return NULL;
    }
    struct xml *x = xml_parse(buf_str(octets), &xml_message_bounds, &e);
    struct arena *a = arena_new(LIMIT_SAML_BYTES);
    bool is_it =
        x && a && xml_is(xml_root(x), ns, name) && str_eq(xml_attr(a, xml_root(x), NULL, "ID"), id);
    arena_end(a);
    if (is_it)
        return x;
    saml_refuse(why, "saml_signature", "what is signed is not the element that carries it");
    xml_free(x);
    return NULL;
}

/* One judgement: the bytes at each stage, freed together. */
struct reading {
    struct arena *arena;
    const struct saml_settings *settings;
    int64_t now;
    struct layout layout;
    struct buf response;  /* signed octets of the response, when it is signed */
    struct buf plain;     /* the decrypted assertion */
    struct buf assertion; /* signed octets of the assertion, when it is signed */
    struct xml *doc;      /* what is read: only ever of signed octets */
};

static void reading_end(struct reading *r)
{
    buf_end(&r->response);
    buf_end(&r->plain);
    buf_end(&r->assertion);
    xml_free(r->doc);
}

static bool judge(struct reading *r, const struct xml_node *assertion, struct saml_assertion *out,
                  struct saml_reject *why)
{
    return saml_assertion_read(r->arena, r->settings, assertion, r->now, out, why);
}

/* The assertion of a signed response: of its octets alone, and the same that was received. */
static bool read_within(struct reading *r, struct saml_assertion *out, struct saml_reject *why)
{
    struct layout inside;
    if (!layout_read(r->arena, r->doc, &inside, why))
        return false;
    struct xml_node *assertion = xml_child(xml_root(r->doc), XML_NS_ASSERTION, "Assertion", NULL);
    if (!assertion || !str_eq(inside.assertion_id, r->layout.assertion_id))
        return saml_refuse(why, "saml_structure", "the signed response has no assertion");
    return judge(r, assertion, out, why);
}

/* The assertion's own signature, over `document`: everything is read from its octets. */
static bool read_signed(struct reading *r, struct str document, struct str id,
                        struct saml_assertion *out, struct saml_reject *why)
{
    xml_free(r->doc);
    r->doc =
        signed_part(document, r->settings, id, XML_NS_ASSERTION, "Assertion", &r->assertion, why);
    return r->doc && judge(r, xml_root(r->doc), out, why);
}

static bool decrypt(struct reading *r, struct str document, struct saml_reject *why)
{
    struct str keys[SAML_KEYS];
    struct err e;
    for (size_t i = 0; i < r->settings->n_keys; i++)
        keys[i] = r->settings->keys[i].key;
    /* CBC tells who alters it about the padding: only what a signature covers is decrypted so. */
    return xml_decrypt(document, keys, r->settings->n_keys,
                       r->layout.response_is_signed ? XML_CBC_ALLOWED : XML_CBC_REFUSED, &r->plain,
                       &e) ||
           saml_refuse(why, "saml_encryption", "the assertion could not be read");
}

/* Decrypted bytes are a document of their own, with the same rules. */
static bool read_encrypted(struct reading *r, struct str document, struct saml_assertion *out,
                           struct saml_reject *why)
{
    struct err e;
    size_t n_signatures;
    if (!decrypt(r, document, why))
        return false;
    struct xml *plain = xml_parse(buf_str(&r->plain), &xml_message_bounds, &e);
    struct xml_node *root = plain ? xml_root(plain) : NULL;
    struct str id = xml_attr(r->arena, root, NULL, "ID");
    bool is_signed = xml_child(root, XML_NS_DSIG, "Signature", &n_signatures) != NULL;
    bool is_assertion = xml_is(root, XML_NS_ASSERTION, "Assertion");
    for (struct xml_node *n = root; n; n = xml_following(n)) {
        bool is_stray = xml_is(n, XML_NS_DSIG, "Signature") && xml_parent(n) != root;
        bool is_more = n != root && (xml_is(n, XML_NS_ASSERTION, "Assertion") ||
                                     xml_is(n, XML_NS_ASSERTION, "EncryptedAssertion"));
        is_assertion = is_assertion && !is_stray && !is_more;
    }
    if (!is_assertion || n_signatures > 1) {
        xml_free(plain);
        return saml_refuse(why, "saml_encryption", "the assertion could not be read");
    }
    if (is_signed) {
        xml_free(plain);
        return read_signed(r, buf_str(&r->plain), id, out, why);
    }
    if (!r->layout.response_is_signed) {
        xml_free(plain);
        return saml_refuse(why, "saml_unsigned", "neither response nor assertion is signed");
    }
    xml_free(r->doc);
    r->doc = plain; /* the response's signature covers what it was decrypted from */
    return judge(r, xml_root(r->doc), out, why);
}

static bool response_judge(struct reading *r, struct str message, struct saml_assertion *out,
                           struct saml_reject *why)
{
    struct err e;
    struct str id;
    bool is_signed;
    { /* of what was received only this is read: where signatures stand, and reasons to refuse */
        struct xml *received auto_free(xml_freep) = xml_parse(message, &xml_message_bounds, &e);
        if (!received)
            return saml_refuse(why, "saml_xml", "%s", e.msg);
        if (!layout_read(r->arena, received, &r->layout, why))
            return false;
        is_signed = r->layout.response_is_signed;
        if (!is_signed &&
            !envelope_check(r->arena, r->settings, xml_root(received), false, r->now, why))
            return false;
        id = xml_attr(r->arena, xml_root(received), NULL, "InResponseTo");
    }
    struct str document = message;
    if (is_signed) {
        r->doc = signed_part(message, r->settings, r->layout.response_id, XML_NS_PROTOCOL,
                             "Response", &r->response, why);
        if (!r->doc || !envelope_check(r->arena, r->settings, xml_root(r->doc), true, r->now, why))
            return false;
        id = xml_attr(r->arena, xml_root(r->doc), NULL, "InResponseTo");
        document = buf_str(&r->response);
    }
    bool is_good;
    if (r->layout.is_encrypted)
        is_good = read_encrypted(r, document, out, why);
    else if (r->layout.assertion_is_signed)
        is_good = read_signed(r, document, r->layout.assertion_id, out, why);
    else if (is_signed)
        is_good = read_within(r, out, why);
    else
        is_good = saml_refuse(why, "saml_unsigned", "neither response nor assertion is signed");
    if (!is_good)
        return false;
    /* Both say the same of what they answer. */
    if (!str_eq(id, out->in_response_to) || str_is_absent(id) != str_is_absent(out->in_response_to))
        return saml_refuse(why, "saml_in_response_to",
                           "response and assertion answer different requests");
    out->response_id = r->layout.response_id;
    out->is_encrypted = r->layout.is_encrypted;
    return true;
}

bool saml_response_read(struct arena *a, const struct saml_settings *s, struct str message,
                        int64_t now_ms, struct saml_assertion *out, struct saml_reject *why)
{
    struct reading r = {.arena = a, .settings = s, .now = now_ms};
    buf_init(&r.response, LIMIT_SAML_BYTES);
    buf_init(&r.plain, LIMIT_SAML_BYTES);
    buf_init(&r.assertion, LIMIT_SAML_BYTES);
    *out = (struct saml_assertion){.n_groups = 0};
    *why = (struct saml_reject){.code = NULL};
    bool is_good = response_judge(&r, message, out, why);
    reading_end(&r);
    return is_good;
}
