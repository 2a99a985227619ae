/*
 * Signatures: what SAML needs of XML-DSig and nothing else. Where a signature stands, what it
 * covers and how are judged here, on the attributes' text; xmlsec is told the same allow-list and
 * does the arithmetic. The octets that it digested are the result.
 */
#include "auth/saml/xml_parts.h"

#include <libxml/parser.h>
#include <libxml/tree.h>
#include <xmlsec/buffer.h>
#include <xmlsec/keys.h>
#include <xmlsec/openssl/app.h>
#include <xmlsec/openssl/crypto.h>
#include <xmlsec/transforms.h>
#include <xmlsec/xmldsig.h>
#include <xmlsec/xmlsec.h>

#include "base/limits.h"

#define EXC_C14N  "http://www.w3.org/2001/10/xml-exc-c14n#"
#define ENVELOPED "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
#define MORE      "http://www.w3.org/2001/04/xmldsig-more#"

enum { SHORTEST = 64 }; /* bytes of an element that says anything: canonicalization gave up below */

static const char *const signature_methods[] = {MORE "rsa-sha256",   MORE "rsa-sha384",
                                                MORE "rsa-sha512",   MORE "ecdsa-sha256",
                                                MORE "ecdsa-sha384", MORE "ecdsa-sha512"};
static const char *const digest_methods[] = {"http://www.w3.org/2001/04/xmlenc#sha256",
                                             MORE "sha384",
                                             "http://www.w3.org/2001/04/xmlenc#sha512"};

static bool refuse(struct err *e, const char *why)
{
    return err_set(e, ERR_UNAUTHENTICATED, "the signature is not valid: %s", why);
}

/* ---- shape ---- */

static bool is_one_of(const struct xml_node *node, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (xml_attr_is(node, "Algorithm", list[i]))
            return true;
    return false;
}

/* The child after `before` (NULL: the first), if it is {dsig}name. */
static struct xml_node *expect(const struct xml_node *parent, const struct xml_node *before,
                               const char *name)
{
    struct xml_node *found = before ? xml_next(before) : parent ? xml_first(parent) : NULL;
    return xml_is(found, XML_NS_DSIG, name) ? found : NULL;
}

/* Exclusive canonicalization may name prefixes; nothing else stands in a transform. */
static bool is_empty_method(const struct xml_node *node)
{
    struct xml_node *child = xml_first(node);
    return !child || (xml_is(child, EXC_C14N, "InclusiveNamespaces") && !xml_first(child) &&
                      !xml_next(child));
}

static bool transforms_check(const struct xml_node *transforms)
{
    size_t n = 0;
    bool was_canonical = false;
    for (struct xml_node *t = xml_first(transforms); t; t = xml_next(t)) {
        bool is_enveloped = xml_attr_is(t, "Algorithm", ENVELOPED);
        bool is_canonical = xml_attr_is(t, "Algorithm", EXC_C14N);
        if (!xml_is(t, XML_NS_DSIG, "Transform") || ++n > 2 || was_canonical ||
            (is_enveloped ? n != 1 || xml_first(t) != NULL : !is_canonical || !is_empty_method(t)))
            return false;
        was_canonical = is_canonical;
    }
    return was_canonical;
}

static bool reference_check(const struct xml_node *reference, const char *uri)
{
    struct xml_node *transforms = expect(reference, NULL, "Transforms");
    struct xml_node *method = transforms ? expect(reference, transforms, "DigestMethod") : NULL;
    struct xml_node *value = method ? expect(reference, method, "DigestValue") : NULL;
    return value && !xml_next(value) && !xml_first(value) && !xml_first(method) &&
           xml_attr_is(reference, "URI", uri) && transforms_check(transforms) &&
           is_one_of(method, digest_methods, ARRAY_LEN(digest_methods));
}

static bool shape_check(const struct xml_node *signature, const char *uri, struct err *e)
{
    struct xml_node *info = expect(signature, NULL, "SignedInfo");
    struct xml_node *value = info ? expect(signature, info, "SignatureValue") : NULL;
    struct xml_node *key = value ? xml_next(value) : NULL;
    if (!value || xml_first(value) ||
        (key && (!xml_is(key, XML_NS_DSIG, "KeyInfo") || xml_next(key))))
        return refuse(e, "it is not made of SignedInfo, SignatureValue and KeyInfo");
    struct xml_node *canonical = expect(info, NULL, "CanonicalizationMethod");
    struct xml_node *method = canonical ? expect(info, canonical, "SignatureMethod") : NULL;
    struct xml_node *reference = method ? expect(info, method, "Reference") : NULL;
    if (!reference || xml_next(reference))
        return refuse(e, "it has not exactly one reference");
    if (!xml_attr_is(canonical, "Algorithm", EXC_C14N) || !is_empty_method(canonical) ||
        xml_first(method) || !is_one_of(method, signature_methods, ARRAY_LEN(signature_methods)))
        return refuse(e, "its algorithm is not allowed");
    return reference_check(reference, uri) ||
           refuse(e, "its reference is not to the element around it, in a way that is allowed");
}

/* ---- the arithmetic ---- */

static bool context_limit(xmlSecDSigCtxPtr ctx)
{
    const xmlSecTransformId digests[] = {xmlSecOpenSSLTransformSha256GetKlass(),
                                         xmlSecOpenSSLTransformSha384GetKlass(),
                                         xmlSecOpenSSLTransformSha512GetKlass()};
    const xmlSecTransformId signatures[] = {
        xmlSecOpenSSLTransformRsaSha256GetKlass(),   xmlSecOpenSSLTransformRsaSha384GetKlass(),
        xmlSecOpenSSLTransformRsaSha512GetKlass(),   xmlSecOpenSSLTransformEcdsaSha256GetKlass(),
        xmlSecOpenSSLTransformEcdsaSha384GetKlass(), xmlSecOpenSSLTransformEcdsaSha512GetKlass()};
    ctx->enabledReferenceUris = xmlSecTransformUriTypeSameDocument;
    ctx->flags = XMLSEC_DSIG_FLAGS_STORE_SIGNEDINFO_REFERENCES | XMLSEC_DSIG_FLAGS_IGNORE_MANIFESTS;
    bool is_good =
        xmlSecDSigCtxEnableReferenceTransform(ctx, xmlSecTransformEnvelopedGetKlass()) == 0 &&
        xmlSecDSigCtxEnableReferenceTransform(ctx, xmlSecTransformExclC14NGetKlass()) == 0 &&
        xmlSecDSigCtxEnableSignatureTransform(ctx, xmlSecTransformExclC14NGetKlass()) == 0;
    for (size_t i = 0; is_good && i < ARRAY_LEN(digests); i++)
        is_good = xmlSecDSigCtxEnableReferenceTransform(ctx, digests[i]) == 0;
    for (size_t i = 0; is_good && i < ARRAY_LEN(signatures); i++)
        is_good = xmlSecDSigCtxEnableSignatureTransform(ctx, signatures[i]) == 0;
    return is_good;
}

/* The octets behind the one reference, when all of it is well. */
static xmlSecBufferPtr digested_octets(xmlSecDSigCtxPtr ctx)
{
    if (ctx->status != xmlSecDSigStatusSucceeded ||
        xmlSecPtrListGetSize(&ctx->signedInfoReferences) != 1)
        return NULL;
    xmlSecDSigReferenceCtxPtr reference =
        (xmlSecDSigReferenceCtxPtr)xmlSecPtrListGetItem(&ctx->signedInfoReferences, 0);
    return reference && reference->status == xmlSecDSigStatusSucceeded
               ? xmlSecDSigReferenceCtxGetPreDigestBuffer(reference)
               : NULL;
}

/* Only this certificate's key counts: with signKey set, KeyInfo is not consulted. */
static bool certificate_try(struct xml_node *signature, struct str der, struct buf *digested)
{
    xmlSecDSigCtxPtr ctx = xmlSecDSigCtxCreate(NULL);
    if (!ctx)
        return false;
    ctx->signKey = xmlSecOpenSSLAppKeyLoadMemory((const xmlSecByte *)der.p, (xmlSecSize)der.n,
                                                 xmlSecKeyDataFormatCertDer, NULL, NULL, NULL);
    bool is_good =
        ctx->signKey && context_limit(ctx) && xmlSecDSigCtxVerify(ctx, xml_node_of(signature)) >= 0;
    xmlSecBufferPtr octets = is_good ? digested_octets(ctx) : NULL;
    is_good = octets && xmlSecBufferGetSize(octets) >= SHORTEST;
    if (is_good)
        buf_add(digested, (struct str){(const char *)xmlSecBufferGetData(octets),
                                       xmlSecBufferGetSize(octets)});
    xmlSecDSigCtxDestroy(ctx);
    return is_good && buf_ok(digested);
}

/* ---- one document, one signature ---- */

static struct xml_node *element_with_id(const struct xml *x, struct str id)
{
    struct xml_node *node = xml_root(x);
    while (node) {
        xmlChar *value = xmlGetNoNsProp(xml_node_of(node), xml_chars("ID"));
        bool is_it = value && str_eq(str_c((const char *)value), id);
        xmlFree(value);
        if (is_it)
            return node;
        node = xml_following(node);
    }
    return NULL;
}

/* The signed element's id becomes one for xmlsec: no other element of the document has any. */
static bool id_register(const struct xml *x, struct xml_node *element, struct str id)
{
    char value[LIMIT_SAML_ID + 1];
    xmlAttrPtr attr = xmlHasProp(xml_node_of(element), xml_chars("ID"));
    (void)snprintf(value, sizeof(value), "%.*s", STR_FMT(id));
    return attr && xmlAddID(NULL, xml_doc(x), xml_chars(value), attr);
}

/* Each certificate gets a document of its own: xmlsec leaves marks in the tree. */
static bool try_one(struct str document, struct str id, struct str certificate,
                    struct buf *digested, struct err *e)
{
    struct xml *x auto_free(xml_freep) = xml_parse(document, &xml_metadata_bounds, e);
    if (!x)
        return false;
    char uri[LIMIT_SAML_ID + 2];
    struct xml_node *element = element_with_id(x, id);
    size_t n = 0;
    struct xml_node *signature = element ? xml_child(element, XML_NS_DSIG, "Signature", &n) : NULL;
    (void)snprintf(uri, sizeof(uri), "#%.*s", STR_FMT(id));
    if (n != 1)
        return refuse(e, "there is none, or more than one");
    if (!shape_check(signature, uri, e))
        return false;
    return (id_register(x, element, id) && certificate_try(signature, certificate, digested)) ||
           refuse(e, "none of the provider's certificates made it");
}

bool xml_verify(struct str document, struct str id, const struct xml_trust *trust,
                struct buf *digested, struct err *e)
{
    if (!xml_is_ncname(id))
        return refuse(e, "the element around it has no id");
    refuse(e, "the provider has no certificate");
    for (size_t i = 0; i < trust->n; i++)
        if (try_one(document, id, trust->certificates[i], digested, e))
            return true;
    return false;
}
