/* Private to the files that speak with libxml2 and xmlsec. */
#pragma once

#include "auth/saml/xml.h"

struct _xmlDoc;
struct _xmlNode;

/* Text as libxml2 has it. */
static inline const unsigned char *xml_chars(const char *s)
{
    return (const unsigned char *)(const void *)s;
}
/* Starts both libraries, once, and silences them for this thread. */
void xml_start(void);
struct _xmlDoc *xml_doc(const struct xml *x);
struct _xmlNode *xml_node_of(const struct xml_node *node);
struct xml_node *xml_wrap(struct _xmlNode *node);
