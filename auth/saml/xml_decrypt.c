/* Encrypted assertions: one EncryptedData, one EncryptedKey, algorithms by list. */
#include "auth/saml/xml_parts.h"

#include <libxml/parser.h>
#include <libxml/tree.h>
#include <xmlsec/buffer.h>
#include <xmlsec/keys.h>
#include <xmlsec/keysmngr.h>
#include <xmlsec/openssl/app.h>
#include <xmlsec/openssl/crypto.h>
#include <xmlsec/xmlenc.h>
#include <xmlsec/xmlsec.h>

#define ENC11 "http://www.w3.org/2009/xmlenc11#"

static bool refuse(struct err *e)
{
    /* The same for whatever is wrong: padding, key and structure are nobody's to tell apart. */
    return err_set(e, ERR_UNAUTHENTICATED, "the assertion could not be read");
}

static bool method_is(const struct xml_node *encrypted, const char *const *list, size_t n)
{
    size_t count;
    struct xml_node *method = xml_child(encrypted, XML_NS_ENC, "EncryptionMethod", &count);
    for (size_t i = 0; i < n && count == 1; i++)
        if (xml_attr_is(method, "Algorithm", list[i]))
            return true;
    return false;
}

/* SHA-1 within OAEP is no weakness; other digests xmlsec 1.2.37 does not read. */
static bool key_method_check(const struct xml_node *key)
{
    static const char *const oaep[] = {XML_NS_ENC "rsa-oaep-mgf1p"};
    struct xml_node *method = xml_child(key, XML_NS_ENC, "EncryptionMethod", NULL);
    struct xml_node *digest = method ? xml_first(method) : NULL;
    return method_is(key, oaep, ARRAY_LEN(oaep)) &&
           (!digest || (xml_is(digest, XML_NS_DSIG, "DigestMethod") && !xml_next(digest) &&
                        xml_attr_is(digest, "Algorithm", XML_NS_DSIG "sha1")));
}

static bool cipher_check(const struct xml_node *encrypted)
{
    size_t n;
    struct xml_node *data = xml_child(encrypted, XML_NS_ENC, "CipherData", &n);
    struct xml_node *value = data ? xml_first(data) : NULL;
    return n == 1 && xml_is(value, XML_NS_ENC, "CipherValue") && !xml_next(value) &&
           !xml_first(value);
}

static bool data_check(const struct xml_node *data, enum xml_cbc cbc)
{
    static const char *const methods[] = {ENC11 "aes128-gcm",      ENC11 "aes192-gcm",
                                          ENC11 "aes256-gcm",      XML_NS_ENC "aes128-cbc",
                                          XML_NS_ENC "aes192-cbc", XML_NS_ENC "aes256-cbc"};
    size_t n = cbc == XML_CBC_ALLOWED ? ARRAY_LEN(methods) : 3;
    return xml_attr_is(data, "Type", XML_NS_ENC "Element") && method_is(data, methods, n) &&
           cipher_check(data);
}

/* The one EncryptedKey: beside the data or in its KeyInfo; nothing points elsewhere. */
static struct xml_node *encrypted_key(const struct xml_node *assertion, const struct xml_node *data)
{
    struct xml_node *found = NULL;
    struct xml_node *end = xml_next(assertion);
    for (struct xml_node *n = xml_following(assertion); n && n != end; n = xml_following(n)) {
        if (xml_is(n, XML_NS_ENC, "CipherReference") ||
            (xml_is(n, XML_NS_ENC, "EncryptedKey") && found))
            return NULL;
        if (xml_is(n, XML_NS_ENC, "EncryptedKey"))
            found = n;
    }
    struct xml_node *parent = found ? xml_parent(found) : NULL;
    bool is_within = xml_is(parent, XML_NS_DSIG, "KeyInfo") && xml_parent(parent) == data;
    return parent == assertion || is_within ? found : NULL;
}

/* Keys that the sender put beside the data come into it, where xmlsec looks; what pointed at them
 * goes. */
static bool key_move(struct xml_node *data, struct xml_node *key)
{
    struct xml_node *info = xml_child(data, XML_NS_DSIG, "KeyInfo", NULL);
    xmlNodePtr info_node = info ? xml_node_of(info) : NULL;
    xmlNodePtr key_node = xml_node_of(key);
    if (!info_node) {
        struct xml_node *method = xml_child(data, XML_NS_ENC, "EncryptionMethod", NULL);
        info_node = xmlNewNode(NULL, xml_chars("KeyInfo"));
        if (!info_node)
            return false;
        (void)xmlSetNs(info_node, xmlNewNs(info_node, xml_chars(XML_NS_DSIG), xml_chars("ds")));
        (void)xmlAddNextSibling(xml_node_of(method), info_node);
    }
    xmlUnlinkNode(key_node);
    while (info_node->children) {
        xmlNodePtr other = info_node->children;
        xmlUnlinkNode(other);
        xmlFreeNode(other);
    }
    return xmlAddChild(info_node, key_node) != NULL &&
           xmlReconciliateNs(key_node->doc, key_node) >= 0;
}

/* The key's own KeyInfo (which certificate it was made for) is not consulted: we have the keys. */
static void key_info_drop(struct xml_node *key)
{
    struct xml_node *info = xml_child(key, XML_NS_DSIG, "KeyInfo", NULL);
    if (!info)
        return;
    xmlUnlinkNode(xml_node_of(info));
    xmlFreeNode(xml_node_of(info));
}

static xmlSecKeysMngrPtr manager_with(struct str der)
{
    xmlSecKeysMngrPtr manager = xmlSecKeysMngrCreate();
    xmlSecKeyPtr key = xmlSecOpenSSLAppKeyLoadMemory((const xmlSecByte *)der.p, (xmlSecSize)der.n,
                                                     xmlSecKeyDataFormatDer, NULL, NULL, NULL);
    bool is_good = manager && key && xmlSecOpenSSLAppDefaultKeysMngrInit(manager) == 0;
    if (is_good && xmlSecOpenSSLAppDefaultKeysMngrAdoptKey(manager, key) == 0)
        return manager;
    if (key)
        xmlSecKeyDestroy(key);
    if (manager)
        xmlSecKeysMngrDestroy(manager);
    return NULL;
}

static bool decrypt_node(struct xml_node *data, struct str key, struct buf *out)
{
    xmlSecKeysMngrPtr manager = manager_with(key);
    xmlSecEncCtxPtr ctx = manager ? xmlSecEncCtxCreate(manager) : NULL;
    xmlSecBufferPtr plain = NULL;
    if (ctx) {
        ctx->keyInfoReadCtx.maxEncryptedKeyLevel = 1;
        ctx->keyInfoReadCtx.maxRetrievalMethodLevel = 0;
        (void)xmlSecPtrListAdd(&ctx->keyInfoReadCtx.enabledKeyData,
                               (xmlSecPtr)(uintptr_t)xmlSecKeyDataEncryptedKeyGetKlass());
        plain = xmlSecEncCtxDecryptToBuffer(ctx, xml_node_of(data));
    }
    bool is_good = plain && xmlSecBufferGetSize(plain) > 0;
    if (is_good)
        buf_add(out,
                (struct str){(const char *)xmlSecBufferGetData(plain), xmlSecBufferGetSize(plain)});
    if (ctx)
        xmlSecEncCtxDestroy(ctx);
    if (manager)
        xmlSecKeysMngrDestroy(manager);
    return is_good && buf_ok(out);
}

/* One key manager per key: with two keys xmlsec takes the wrong one. */
static bool try_one(struct str document, struct str key, enum xml_cbc cbc, struct buf *out)
{
    struct err ignored;
    struct xml *x auto_free(xml_freep) = xml_parse(document, &xml_message_bounds, &ignored);
    size_t n_assertions, n_data;
    if (!x)
        return false;
    struct xml_node *assertion =
        xml_child(xml_root(x), XML_NS_ASSERTION, "EncryptedAssertion", &n_assertions);
    struct xml_node *data =
        assertion ? xml_child(assertion, XML_NS_ENC, "EncryptedData", &n_data) : NULL;
    struct xml_node *wrapped = data ? encrypted_key(assertion, data) : NULL;
    if (n_assertions != 1 || !data || n_data != 1 || !data_check(data, cbc) || !wrapped ||
        !key_method_check(wrapped) || !cipher_check(wrapped))
        return false;
    key_info_drop(wrapped);
    return key_move(data, wrapped) && decrypt_node(data, key, out);
}

bool xml_decrypt(struct str document, const struct str *keys, size_t n_keys, enum xml_cbc cbc,
                 struct buf *out, struct err *e)
{
    for (size_t i = 0; i < n_keys; i++)
        if (try_one(document, keys[i], cbc, out))
            return true;
    return refuse(e);
}
