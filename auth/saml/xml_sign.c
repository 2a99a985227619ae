/* Signing what we say, and the start of both libraries. */
#include "auth/saml/xml_parts.h"

#include <pthread.h>

#include <libxml/parser.h>
#include <libxml/tree.h>
#include <libxml/xmlerror.h>
#include <xmlsec/xmlsec.h>

#include <xmlsec/errors.h>
#include <xmlsec/openssl/app.h>
#include <xmlsec/openssl/crypto.h>
#include <xmlsec/templates.h>
#include <xmlsec/transforms.h>
#include <xmlsec/xmldsig.h>

#include "base/limits.h"

/* ---- both libraries ---- */

static xmlParserInputPtr load_nothing(unused_arg const char *url, unused_arg const char *id,
                                      unused_arg xmlParserCtxtPtr context)
{
    return NULL;
}

static void quiet_xmlsec(unused_arg const char *file, unused_arg int line,
                         unused_arg const char *function, unused_arg const char *object,
                         unused_arg const char *subject, unused_arg int reason,
                         unused_arg const char *message)
{
}

static void quiet_xml(unused_arg void *context, unused_arg xmlErrorPtr error)
{
}

static void start_once(void)
{
    xmlInitParser();
    xmlSetExternalEntityLoader(load_nothing);
    ensure(xmlSecInit() == 0);
    ensure(xmlSecOpenSSLInit() == 0);
    xmlSecErrorsSetCallback(quiet_xmlsec); /* after it: it sets one of its own, which prints */
}

void xml_start(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, start_once);
    xmlSetStructuredErrorFunc(NULL, quiet_xml); /* of this thread */
}

/* ---- signing ---- */

/* The signature's place: behind the Issuer (SAML core 3.2.1), or first. */
static void place(xmlNodePtr root, xmlNodePtr signature)
{
    struct xml_node *issuer = xml_child(xml_wrap(root), XML_NS_ASSERTION, "Issuer", NULL);
    if (issuer)
        (void)xmlAddNextSibling(xml_node_of(issuer), signature);
    else if (root->children)
        (void)xmlAddPrevSibling(root->children, signature);
    else
        (void)xmlAddChild(root, signature);
}

static xmlNodePtr template_add(xmlDocPtr doc, xmlNodePtr root)
{
    xmlAttrPtr id = xmlHasProp(root, xml_chars("ID"));
    xmlChar *value = id ? xmlNodeListGetString(doc, id->children, 1) : NULL;
    xmlNodePtr signature = xmlSecTmplSignatureCreateNsPref(
        doc, xmlSecTransformExclC14NGetKlass(), xmlSecOpenSSLTransformRsaSha256GetKlass(), NULL,
        xml_chars("ds"));
    if (!value || !signature) {
        xmlFree(value);
        xmlFreeNode(signature);
        return NULL;
    }
    (void)xmlAddID(NULL, doc, value, id);
    char uri[LIMIT_SAML_ID + 2];
    (void)snprintf(uri, sizeof(uri), "#%s", (const char *)value);
    xmlFree(value);
    place(root, signature);
    xmlNodePtr reference = xmlSecTmplSignatureAddReference(
        signature, xmlSecOpenSSLTransformSha256GetKlass(), NULL, xml_chars(uri), NULL);
    bool is_good = reference &&
                   xmlSecTmplReferenceAddTransform(reference, xmlSecTransformEnvelopedGetKlass()) &&
                   xmlSecTmplReferenceAddTransform(reference, xmlSecTransformExclC14NGetKlass());
    return is_good ? signature : NULL;
}

bool xml_sign(struct str document, struct str key, struct buf *out, struct err *e)
{
    struct xml *x auto_free(xml_freep) = xml_parse(document, &xml_message_bounds, e);
    if (!x)
        return false;
    xmlDocPtr doc = xml_doc(x);
    xmlSecDSigCtxPtr ctx = xmlSecDSigCtxCreate(NULL);
    xmlNodePtr signature = template_add(doc, xmlDocGetRootElement(doc));
    if (ctx)
        ctx->signKey = xmlSecOpenSSLAppKeyLoadMemory((const xmlSecByte *)key.p, (xmlSecSize)key.n,
                                                     xmlSecKeyDataFormatDer, NULL, NULL, NULL);
    bool is_good = ctx && signature && ctx->signKey && xmlSecDSigCtxSign(ctx, signature) == 0;
    xmlChar *text = NULL;
    int n = 0;
    if (is_good)
        xmlDocDumpMemoryEnc(doc, &text, &n, "UTF-8");
    if (text && n > 0)
        buf_add(out, (struct str){(const char *)text, (size_t)n});
    is_good = is_good && text && buf_ok(out);
    xmlFree(text);
    if (ctx)
        xmlSecDSigCtxDestroy(ctx);
    return is_good || err_set(e, ERR_INTERNAL, "the message could not be signed");
}
