/* Documents within bounds. */
#include "auth/saml/xml_parts.h"

#include <pthread.h>

#include <libxml/parser.h>
#include <libxml/tree.h>
#include <libxml/xmlerror.h>

#include "base/limits.h"
#include "base/text.h"

const struct xml_bounds xml_message_bounds = {LIMIT_SAML_BYTES, LIMIT_SAML_NODES};
const struct xml_bounds xml_metadata_bounds = {LIMIT_SAML_METADATA, LIMIT_SAML_METADATA_NODES};

struct xml {
    xmlDocPtr doc;
};

xmlDocPtr xml_doc(const struct xml *x)
{
    return x->doc;
}

xmlNodePtr xml_node_of(const struct xml_node *node)
{
    return (xmlNodePtr)(uintptr_t)node;
}

struct xml_node *xml_wrap(xmlNodePtr node)
{
    return (struct xml_node *)(void *)node;
}

/* ---- bytes, before the parser sees them ---- */

static bool refuse(struct err *e, const char *why)
{
    return err_set(e, ERR_PARSE, "this is not XML as SAML has it: %s", why);
}

/* Is the declaration's encoding, if there is one, UTF-8? */
static bool declaration_is_good(struct str s)
{
    if (!str_starts(s, STR("<?xml")))
        return true;
    size_t end = str_find(s, STR("?>"));
    if (end == SIZE_MAX || end > 200)
        return false;
    struct str head = str_slice(s, 0, end);
    size_t at = str_find(head, STR("encoding"));
    if (at == SIZE_MAX)
        return true;
    struct str value = str_trim(str_slice(head, at + 8, SIZE_MAX));
    if (value.n < 1 || value.p[0] != '=')
        return false;
    value = str_trim(str_slice(value, 1, SIZE_MAX));
    return value.n >= 7 && str_ieq(str_slice(value, 1, 5), STR("UTF-8")) &&
           value.p[0] == value.p[6];
}

/* Tags and their attributes are counted before the parser compares each attribute of a tag with
 * every other. */
static bool tags_are_few(struct str s, size_t max_tags)
{
    size_t tags = 0, attributes = 0;
    char quote = '\0';
    bool is_inside = false;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (quote) {
            if (c == quote)
                quote = '\0';
        } else if (c == '<') {
            attributes = 0;
            is_inside = true;
            if (++tags > max_tags)
                return false;
        } else if (c == '>') {
            is_inside = false;
        } else if (is_inside && (c == '"' || c == '\'')) {
            quote = c;
            if (++attributes > LIMIT_SAML_ATTRIBUTES)
                return false;
        }
    }
    return true;
}

static bool bytes_check(struct str s, const struct xml_bounds *bounds, struct err *e)
{
    if (s.n == 0 || s.n > bounds->bytes)
        return refuse(e, "it is empty or too long");
    if (memchr(s.p, 0, s.n) || !text_is_utf8(s) || !declaration_is_good(s))
        return refuse(e, "it is not UTF-8");
    /* Every declaration, comment and CDATA section begins so; text has &lt; for it. */
    if (str_find(s, STR("<!")) != SIZE_MAX)
        return refuse(e, "it declares something, or has a comment or CDATA");
    if (!tags_are_few(s, bounds->nodes * 2))
        return refuse(e, "it has too many tags or attributes");
    return true;
}

/* ---- the tree ---- */

struct survey {
    size_t nodes, depth, max_nodes;
    struct xml_id *ids;
    size_t n_ids;
};
struct xml_id {
    xmlChar *value;
};
enum { MAX_IDS = 2048 };

/* Ids under any spelling: a document in which one occurs twice has two readings. */
static bool id_note(struct survey *s, xmlAttrPtr attr)
{
    if (xmlStrcasecmp(attr->name, xml_chars("id")) != 0)
        return true;
    xmlChar *value = xmlNodeListGetString(attr->doc, attr->children, 1);
    if (!value || s->n_ids == MAX_IDS) {
        xmlFree(value);
        return value == NULL;
    }
    s->ids[s->n_ids++].value = value;
    return true;
}

static int id_compare(const void *a, const void *b)
{
    return xmlStrcmp(((const struct xml_id *)a)->value, ((const struct xml_id *)b)->value);
}

static bool ids_differ(struct survey *s)
{
    if (s->n_ids > 1)
        qsort(s->ids, s->n_ids, sizeof(*s->ids), id_compare);
    for (size_t i = 1; i < s->n_ids; i++)
        if (xmlStrEqual(s->ids[i].value, s->ids[i - 1].value))
            return false;
    return true;
}

static bool attributes_check(struct survey *s, xmlNodePtr node, struct err *e)
{
    size_t n = 0;
    for (xmlAttrPtr attr = node->properties; attr; attr = attr->next) {
        for (xmlNodePtr part = attr->children; part; part = part->next)
            if (part->type != XML_TEXT_NODE)
                return refuse(e, "an attribute has more than text");
        if (++n > LIMIT_SAML_ATTRIBUTES || !id_note(s, attr))
            return refuse(e, "it has too many attributes");
    }
    return true;
}

static bool node_check(struct survey *s, xmlNodePtr node, struct err *e)
{
    if (node->type != XML_ELEMENT_NODE && node->type != XML_TEXT_NODE)
        return refuse(e, "it has more than elements and text");
    if (++s->nodes > s->max_nodes)
        return refuse(e, "it has too many nodes");
    return node->type == XML_TEXT_NODE || attributes_check(s, node, e);
}

/* In document order, without recursion. */
static bool tree_walk(struct survey *s, xmlNodePtr root, struct err *e)
{
    for (xmlNodePtr node = root; node;) {
        if (!node_check(s, node, e))
            return false;
        if (node->type == XML_ELEMENT_NODE && node->children) {
            node = node->children;
            if (++s->depth > LIMIT_SAML_DEPTH)
                return refuse(e, "it is nested too deeply");
            continue;
        }
        while (node && node != root && !node->next) {
            node = node->parent;
            s->depth--;
        }
        node = node && node != root ? node->next : NULL;
    }
    return ids_differ(s) || refuse(e, "an id occurs twice");
}

static bool tree_check(xmlDocPtr doc, size_t max_nodes, struct err *e)
{
    struct survey s = {.max_nodes = max_nodes};
    xmlNodePtr root = doc ? xmlDocGetRootElement(doc) : NULL;
    if (!doc || !root || doc->intSubset || doc->extSubset || doc->children != root || root->next)
        return refuse(e, "it has more than one root element");
    s.ids = calloc(MAX_IDS, sizeof(*s.ids));
    bool is_good = s.ids ? tree_walk(&s, root, e) : err_set(e, ERR_UNAVAILABLE, "out of memory");
    for (size_t i = 0; i < s.n_ids; i++)
        xmlFree(s.ids[i].value);
    free(s.ids);
    return is_good;
}

struct xml *xml_parse(struct str bytes, const struct xml_bounds *bounds, struct err *e)
{
    xml_start();
    if (!bytes_check(bytes, bounds, e))
        return NULL;
    xmlParserCtxtPtr ctx = xmlNewParserCtxt();
    struct xml *x = calloc(1, sizeof(*x));
    bool is_good = ctx && x;
    if (is_good) {
        x->doc = xmlCtxtReadMemory(ctx, bytes.p, (int)bytes.n, NULL, "UTF-8",
                                   XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
        /* Namespaces that are not well-formed leave wellFormed as it is. */
        is_good =
            (x->doc && ctx->wellFormed && ctx->nsWellFormed) || refuse(e, "it is not well-formed");
    } else {
        err_set(e, ERR_UNAVAILABLE, "out of memory");
    }
    xmlFreeParserCtxt(ctx);
    if (!is_good || !tree_check(x->doc, bounds->nodes, e)) {
        xml_free(x);
        return NULL;
    }
    return x;
}

void xml_free(struct xml *x)
{
    if (x)
        xmlFreeDoc(x->doc);
    free(x);
}

void xml_freep(struct xml **x)
{
    xml_free(*x);
    *x = NULL;
}

/* ---- reading ---- */

struct xml_node *xml_root(const struct xml *x)
{
    return xml_wrap(xmlDocGetRootElement(x->doc));
}

bool xml_is(const struct xml_node *node, const char *ns, const char *name)
{
    xmlNodePtr n = xml_node_of(node);
    return n && n->type == XML_ELEMENT_NODE && n->ns && xmlStrEqual(n->ns->href, xml_chars(ns)) &&
           xmlStrEqual(n->name, xml_chars(name));
}

struct xml_node *xml_parent(const struct xml_node *node)
{
    xmlNodePtr parent = xml_node_of(node)->parent;
    return parent && parent->type == XML_ELEMENT_NODE ? xml_wrap(parent) : NULL;
}

static xmlNodePtr element_from(xmlNodePtr n)
{
    while (n && n->type != XML_ELEMENT_NODE)
        n = n->next;
    return n;
}

struct xml_node *xml_first(const struct xml_node *node)
{
    return xml_wrap(element_from(xml_node_of(node)->children));
}

struct xml_node *xml_next(const struct xml_node *node)
{
    return xml_wrap(element_from(xml_node_of(node)->next));
}

struct xml_node *xml_following(const struct xml_node *node)
{
    struct xml_node *next = xml_first(node);
    while (!next && node) {
        next = xml_next(node);
        node = xml_parent(node);
    }
    return next;
}

struct xml_node *xml_child(const struct xml_node *node, const char *ns, const char *name,
                           size_t *count)
{
    struct xml_node *found = NULL;
    size_t n = 0;
    for (struct xml_node *c = node ? xml_first(node) : NULL; c; c = xml_next(c)) {
        if (!xml_is(c, ns, name))
            continue;
        n++;
        found = found ? found : c;
    }
    if (count)
        *count = n;
    return found;
}

static struct str copy_free(struct arena *a, xmlChar *text)
{
    struct str copy = text ? arena_dup(a, str_c((const char *)text)) : STR_NONE;
    xmlFree(text);
    return copy;
}

struct str xml_attr(struct arena *a, const struct xml_node *node, const char *ns, const char *name)
{
    xmlNodePtr n = xml_node_of(node);
    if (!n)
        return STR_NONE;
    return copy_free(a, ns ? xmlGetNsProp(n, xml_chars(name), xml_chars(ns))
                           : xmlGetNoNsProp(n, xml_chars(name)));
}

bool xml_attr_is(const struct xml_node *node, const char *name, const char *value)
{
    xmlNodePtr n = xml_node_of(node);
    xmlChar *given = n ? xmlGetNoNsProp(n, xml_chars(name)) : NULL;
    bool is_equal = given && xmlStrEqual(given, xml_chars(value));
    xmlFree(given);
    return is_equal;
}

struct str xml_text(struct arena *a, const struct xml_node *node)
{
    xmlNodePtr n = xml_node_of(node);
    if (!n || xml_first(node))
        return STR_NONE;
    return str_trim(copy_free(a, xmlNodeGetContent(n)));
}

bool xml_is_ncname(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        bool is_later = (c >= '0' && c <= '9') || c == '-' || c == '.';
        if (!is_letter && !(is_later && i > 0))
            return false;
    }
    return s.n > 0 && s.n <= LIMIT_SAML_ID;
}

void xml_escape(struct buf *out, struct str text)
{
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c == '&')
            buf_add(out, STR("&amp;"));
        else if (c == '<')
            buf_add(out, STR("&lt;"));
        else if (c == '>')
            buf_add(out, STR("&gt;"));
        else if (c == '"')
            buf_add(out, STR("&quot;"));
        else if (c == '\'')
            buf_add(out, STR("&#39;"));
        else
            buf_add_char(out, c);
    }
}
