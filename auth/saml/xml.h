/*
 * XML as SAML needs it: a document is elements, attributes and text within bounds, and nothing
 * else. No document types, entities, comments, processing instructions or CDATA (they are refused,
 * not skipped), UTF-8 only, every namespace well-formed, no id twice. Nothing is ever fetched.
 * Parsing, signatures and decryption run on offload threads only: libxml2's and xmlsec's stacks are
 * deep. Source: reference XML 1.0, Namespaces in XML 1.0, SAML V2.0 core 5.4.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

#define XML_NS_PROTOCOL  "urn:oasis:names:tc:SAML:2.0:protocol"
#define XML_NS_ASSERTION "urn:oasis:names:tc:SAML:2.0:assertion"
#define XML_NS_METADATA  "urn:oasis:names:tc:SAML:2.0:metadata"
#define XML_NS_DSIG      "http://www.w3.org/2000/09/xmldsig#"
#define XML_NS_ENC       "http://www.w3.org/2001/04/xmlenc#"
#define XML_NS_XSI       "http://www.w3.org/2001/XMLSchema-instance"

struct xml;      /* owns a document */
struct xml_node; /* a borrowed element of one */

/* How much a document may hold. */
struct xml_bounds {
    size_t bytes, nodes;
};
/* A message (LIMIT_SAML_BYTES, LIMIT_SAML_NODES). */
extern const struct xml_bounds xml_message_bounds;
/* Metadata of an identity provider, or of a federation of them. */
extern const struct xml_bounds xml_metadata_bounds;

/* Parses one document. NULL with ERR_PARSE: it is not one within the rules above. */
struct xml *xml_parse(struct str bytes, const struct xml_bounds *bounds, struct err *e) must_use;
void xml_free(struct xml *x);   /* NULL is fine */
void xml_freep(struct xml **x); /* for auto_free */
struct xml_node *xml_root(const struct xml *x);

/* Is this element {ns}name? NULL: no. */
bool xml_is(const struct xml_node *node, const char *ns, const char *name);
struct xml_node *xml_parent(const struct xml_node *node);
/* Child elements in order; NULL at the end. */
struct xml_node *xml_first(const struct xml_node *node);
struct xml_node *xml_next(const struct xml_node *node);
/* The next element in document order, inside or after `node`; NULL at the end. */
struct xml_node *xml_following(const struct xml_node *node);
/* The first child {ns}name, or NULL; *count (may be NULL) is how many there are. */
struct xml_node *xml_child(const struct xml_node *node, const char *ns, const char *name,
                           size_t *count);
/* The attribute's value, copied; ns NULL: without a namespace. Absent: there is none, or no memory.
 */
struct str xml_attr(struct arena *a, const struct xml_node *node, const char *ns, const char *name);
bool xml_attr_is(const struct xml_node *node, const char *name, const char *value);
/* The text of an element without child elements, copied, white space at its ends removed; absent:
 * it has children, or no memory. */
struct str xml_text(struct arena *a, const struct xml_node *node);
bool xml_is_ncname(struct str s);

/* Appends text with the five characters of markup escaped; for text and double-quoted values. */
void xml_escape(struct buf *out, struct str text);

/* ---- signatures and encryption (xmlsec1) ---- */

/* Public keys that may sign: certificates as DER. Nothing that a message brings is believed. */
struct xml_trust {
    const struct str *certificates;
    size_t n;
};
/*
 * Verifies the enveloped signature whose parent is the element with this id in `document`, and
 * appends to *digested the octets that were digested: the only bytes that anybody may read
 * afterwards. ERR_UNAUTHENTICATED: no such signature, more in it than SAML needs, an algorithm that
 * is not allowed, or none of the keys made it.
 */
bool xml_verify(struct str document, struct str id, const struct xml_trust *trust,
                struct buf *digested, struct err *e) must_use;

/* Whether xenc's CBC modes are read: only what a verified signature covers. */
enum xml_cbc { XML_CBC_REFUSED, XML_CBC_ALLOWED };
/*
 * Decrypts the content of the one EncryptedAssertion of `document` with one of the private keys
 * (PKCS #8 DER) and appends the element in it. ERR_UNAUTHENTICATED for whatever is wrong.
 */
bool xml_decrypt(struct str document, const struct str *keys, size_t n_keys, enum xml_cbc cbc,
                 struct buf *out, struct err *e) must_use;

/*
 * Signs the root of a document of ours that has an ID attribute and a child Issuer (the signature
 * stands behind it, or first where there is none): RSA-SHA256, exclusive canonicalization. Appends
 * the signed document. ERR_INTERNAL.
 */
bool xml_sign(struct str document, struct str key, struct buf *out, struct err *e) must_use;
