#include <stdlib.h>

#include "json/jschema_node.h"

enum { SCHEMA_BYTES_MAX = 4 * 1024 * 1024 };

struct compile {
    struct arena *arena;
    struct err *e;
    struct jschema_node *root;
    struct jschema_member *defs;
    size_t n_defs;
};

typedef bool keyword_fn(struct compile *c, struct jschema_node *node, const struct jvalue *v);

static bool node_fill(struct compile *c, struct jschema_node *node, const struct jvalue *v);

static bool memory(struct compile *c)
{
    return err_set(c->e, ERR_UNAVAILABLE, "out of memory");
}

static bool wrong(struct compile *c, const char *keyword)
{
    return err_set(c->e, ERR_INTERNAL, "schema: the value of \"%s\" is not supported", keyword);
}

static struct jschema_node *node_new(struct compile *c)
{
    struct jschema_node *node = arena_alloc(c->arena, sizeof *node);
    if (!node) {
        memory(c);
        return NULL;
    }
    node->max_length = node->max_items = -1;
    return node;
}

static struct jschema_node *node_compile(struct compile *c, const struct jvalue *v)
{
    struct jschema_node *node = node_new(c);
    return node && node_fill(c, node, v) ? node : NULL;
}

static unsigned type_of_name(struct str name)
{
    static const char *const names[] = {"null",   "boolean", "integer", "number",
                                        "string", "array",   "object"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_eq(str_c(names[i]), name))
            return 1u << i;
    return 0;
}

static bool compile_type(struct compile *c, struct jschema_node *node, const struct jvalue *v)
{
    if (jv_is_string(v))
        node->types = type_of_name(jv_str(v));
    for (size_t i = 0; jv_is_array(v) && i < jv_count(v); i++) {
        unsigned bit = type_of_name(jv_str(jv_at(v, i)));
        if (!bit)
            return wrong(c, "type");
        node->types |= bit;
    }
    return node->types || wrong(c, "type");
}

/* An object of schemas. All nodes stand in *out before the first is filled: definitions may refer
 * to one another. */
static bool compile_named(struct compile *c, const struct jvalue *v, struct jschema_member **out,
                          size_t *n)
{
    *out = arena_alloc(c->arena, (jv_count(v) + 1) * sizeof **out);
    if (!*out)
        return memory(c);
    void *iter = NULL;
    struct str name;
    const struct jvalue *schema;
    while (jv_member(v, &iter, &name, &schema)) {
        struct jschema_node *node = node_new(c);
        if (!node)
            return false;
        (*out)[(*n)++] = (struct jschema_member){name, node};
    }
    iter = NULL;
    for (size_t i = 0; jv_member(v, &iter, &name, &schema); i++)
        if (!node_fill(c, (*out)[i].node, schema))
            return false;
    return true;
}

static bool compile_properties(struct compile *c, struct jschema_node *node, const struct jvalue *v)
{
    if (!jv_is_object(v))
        return wrong(c, "properties");
    return compile_named(c, v, &node->members, &node->n_members);
}

static bool compile_defs(struct compile *c, struct jschema_node *node, const struct jvalue *v)
{
    if (!jv_is_object(v) || node != c->root)
        return wrong(c, "$defs");
    return c->defs || compile_named(c, v, &c->defs, &c->n_defs);
}

static bool compile_required(struct compile *c, struct jschema_node *node, const struct jvalue *v)
{
    node->required = arena_alloc(c->arena, (jv_count(v) + 1) * sizeof *node->required);
    if (!node->required)
        return memory(c);
    for (size_t i = 0; jv_is_array(v) && i < jv_count(v); i++) {
        if (!jv_is_string(jv_at(v, i)))
            return wrong(c, "required");
        node->required[node->n_required++] = jv_str(jv_at(v, i));
    }
    return jv_is_array(v) || wrong(c, "required");
}

static bool compile_additional(struct compile *c, struct jschema_node *node, const struct jvalue *v)
{
    if (jv_is_bool(v)) {
        node->is_closed = !jv_bool(v, true);
        return true;
    }
    node->additional = node_compile(c, v);
    return node->additional != NULL;
}

static bool compile_items(struct compile *c, struct jschema_node *node, const struct jvalue *v)
{
    node->items = node_compile(c, v);
    return node->items != NULL;
}

static bool compile_enum(struct compile *c, struct jschema_node *node, const struct jvalue *v)
{
    node->enumeration = v;
    return (jv_is_array(v) && jv_count(v) > 0) || wrong(c, "enum");
}

static bool compile_const(struct compile *c unused_arg, struct jschema_node *node,
                          const struct jvalue *v)
{
    node->constant = v;
    return true;
}

static bool compile_minimum(struct compile *c, struct jschema_node *node, const struct jvalue *v)
{
    node->has_minimum = true;
    node->minimum = jv_double(v, 0);
    return jv_is_number(v) || wrong(c, "minimum");
}

static bool compile_maximum(struct compile *c, struct jschema_node *node, const struct jvalue *v)
{
    node->has_maximum = true;
    node->maximum = jv_double(v, 0);
    return jv_is_number(v) || wrong(c, "maximum");
}

static bool compile_count(struct compile *c, const struct jvalue *v, const char *keyword,
                          int64_t *out)
{
    *out = jv_i64(v, -1);
    return *out >= 0 || wrong(c, keyword);
}

static bool compile_min_length(struct compile *c, struct jschema_node *node, const struct jvalue *v)
{
    return compile_count(c, v, "minLength", &node->min_length);
}

static bool compile_max_length(struct compile *c, struct jschema_node *node, const struct jvalue *v)
{
    return compile_count(c, v, "maxLength", &node->max_length);
}

static bool compile_min_items(struct compile *c, struct jschema_node *node, const struct jvalue *v)
{
    return compile_count(c, v, "minItems", &node->min_items);
}

static bool compile_max_items(struct compile *c, struct jschema_node *node, const struct jvalue *v)
{
    return compile_count(c, v, "maxItems", &node->max_items);
}

static bool compile_pattern(struct compile *c, struct jschema_node *node, const struct jvalue *v)
{
    if (!jv_is_string(v))
        return wrong(c, "pattern");
    node->pattern_text = jv_str(v);
    node->pattern = jpattern_compile(c->arena, node->pattern_text, c->e);
    return node->pattern != NULL;
}

static bool compile_format(struct compile *c, struct jschema_node *node, const struct jvalue *v)
{
    struct str name = jv_str(v);
    node->format = str_eq(name, STR("email"))       ? JSCHEMA_EMAIL
                   : str_eq(name, STR("uri"))       ? JSCHEMA_URI
                   : str_eq(name, STR("date-time")) ? JSCHEMA_DATE_TIME
                                                    : JSCHEMA_ANY_FORMAT;
    return node->format != JSCHEMA_ANY_FORMAT || wrong(c, "format");
}

static bool compile_variants(struct compile *c, const struct jvalue *v, const char *keyword,
                             struct jschema_variants *out)
{
    if (!jv_is_array(v) || jv_count(v) == 0)
        return wrong(c, keyword);
    out->nodes = arena_alloc(c->arena, jv_count(v) * sizeof(struct jschema_node *));
    if (!out->nodes)
        return memory(c);
    for (; out->n < jv_count(v); out->n++) {
        out->nodes[out->n] = node_compile(c, jv_at(v, out->n));
        if (!out->nodes[out->n])
            return false;
    }
    return true;
}

static bool compile_one_of(struct compile *c, struct jschema_node *node, const struct jvalue *v)
{
    return compile_variants(c, v, "oneOf", &node->one_of);
}

static bool compile_any_of(struct compile *c, struct jschema_node *node, const struct jvalue *v)
{
    return compile_variants(c, v, "anyOf", &node->any_of);
}

static bool compile_ref(struct compile *c, struct jschema_node *node, const struct jvalue *v)
{
    struct str prefix = STR("#/$defs/");
    struct str text = jv_str(v);
    for (size_t i = 0; str_starts(text, prefix) && i < c->n_defs; i++)
        if (str_eq(c->defs[i].name, str_slice(text, prefix.n, text.n)))
            node->ref = c->defs[i].node;
    return node->ref ||
           err_set(c->e, ERR_INTERNAL, "schema: \"$ref\" to \"%.*s\" leads nowhere", STR_FMT(text));
}

/* What is for readers only. */
static bool compile_nothing(struct compile *c unused_arg, struct jschema_node *node unused_arg,
                            const struct jvalue *v unused_arg)
{
    return true;
}

static keyword_fn *keyword_find(struct str name)
{
    static const struct {
        const char *name;
        keyword_fn *compile;
    } keywords[] = {
        {"type", compile_type},
        {"properties", compile_properties},
        {"required", compile_required},
        {"additionalProperties", compile_additional},
        {"items", compile_items},
        {"enum", compile_enum},
        {"const", compile_const},
        {"minimum", compile_minimum},
        {"maximum", compile_maximum},
        {"minLength", compile_min_length},
        {"maxLength", compile_max_length},
        {"minItems", compile_min_items},
        {"maxItems", compile_max_items},
        {"pattern", compile_pattern},
        {"format", compile_format},
        {"oneOf", compile_one_of},
        {"anyOf", compile_any_of},
        {"$ref", compile_ref},
        {"$defs", compile_defs},
        {"description", compile_nothing},
        {"title", compile_nothing},
        {"default", compile_nothing},
        {"examples", compile_nothing},
    };
    for (size_t i = 0; i < ARRAY_LEN(keywords); i++)
        if (str_eq(str_c(keywords[i].name), name))
            return keywords[i].compile;
    return NULL;
}

static bool node_fill(struct compile *c, struct jschema_node *node, const struct jvalue *v)
{
    if (!jv_is_object(v))
        return err_set(c->e, ERR_INTERNAL, "schema: a schema must be an object");
    void *iter = NULL;
    struct str name;
    const struct jvalue *operand;
    while (jv_member(v, &iter, &name, &operand)) {
        keyword_fn *compile = keyword_find(name);
        if (!compile)
            return err_set(c->e, ERR_INTERNAL, "schema: keyword \"%.*s\" is not supported",
                           STR_FMT(name));
        if (!compile(c, node, operand))
            return false;
    }
    return true;
}

/* Definitions first: everything may refer to them. */
static bool schema_fill(struct jschema *s, struct err *e)
{
    struct compile c = {.arena = s->arena, .e = e};
    const struct jvalue *text = jdoc_root(s->doc);
    const struct jvalue *defs = jv_get(text, "$defs");
    c.root = node_new(&c);
    s->root = c.root;
    return c.root && (!defs || compile_defs(&c, c.root, defs)) && node_fill(&c, c.root, text);
}

struct jschema *jschema_compile(struct str schema_text, struct err *e)
{
    struct jschema *s = calloc(1, sizeof *s);
    if (s)
        s->arena = arena_new(SCHEMA_BYTES_MAX);
    if (!s || !s->arena) {
        err_set(e, ERR_UNAVAILABLE, "out of memory");
        jschema_free(s);
        return NULL;
    }
    s->doc = jdoc_parse(schema_text, e);
    if (!s->doc || !schema_fill(s, e)) {
        jschema_free(s);
        return NULL;
    }
    return s;
}

void jschema_free(struct jschema *s)
{
    if (!s)
        return;
    arena_end(s->arena);
    jdoc_free(s->doc);
    free(s);
}
