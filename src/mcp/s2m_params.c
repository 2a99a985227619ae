/*
 * x-mcp-header: arguments that a tool's schema wants repeated in headers (MCP 2026-07-28,
 * Streamable HTTP, "Mcp-Param-*").
 */
#include "base/limits.h"
#include "base/text.h"
#include "json/jscan.h"
#include "mcp/inbound.h"
#include "mcp/s2m.h"
#include "mcp/upstream_send.h"

#define ANNOTATION "x-mcp-header"
enum { DEPTH_MAX = 16 };
static const int64_t INTEGER_MAX =
    9007199254740991; /* 2^53 - 1: what every client counts exactly */

/* ---- may a client follow this schema? ---- */

struct names {
    struct str v[LIMIT_PARAM_HEADERS];
    size_t n;
};

/* RFC 9110 5.6.2 */
static bool is_token(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool is_alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!is_alnum && (c == '\0' || strchr("!#$%&'*+-.^_`|~", c) == NULL))
            return false;
    }
    return s.n > 0;
}

static bool annotation_is_valid(struct arena *a, struct names *names, struct str schema,
                                struct str annotation)
{
    struct str type = jscan_member(schema, STR("type")), name;
    if (!jscan_string(a, annotation, &name) || !is_token(name) || str_is_absent(type) ||
        !(jscan_string_eq(type, STR("string")) || jscan_string_eq(type, STR("integer")) ||
          jscan_string_eq(type, STR("boolean"))) ||
        names->n == LIMIT_PARAM_HEADERS)
        return false;
    for (size_t i = 0; i < names->n; i++)
        if (str_ieq(names->v[i], name))
            return false;
    names->v[names->n++] = name;
    return true;
}

/* Where a schema's keyword holds data and no schema. */
static bool is_data(struct str key)
{
    static const struct str data[] = {STR("default"), STR("const"), STR("enum"), STR("examples")};
    for (size_t i = 0; i < ARRAY_LEN(data); i++)
        if (jscan_string_eq(key, data[i]))
            return true;
    return false;
}

static bool schema_is_valid(struct arena *a, struct names *names, struct str schema,
                            bool is_property, bool is_reachable, int depth);

/* Anything that holds schemas, but is not reached by properties alone: no annotation may be in it.
 */
static bool rest_is_valid(struct arena *a, struct names *names, struct str value, int depth)
{
    struct jiter it;
    bool is_good = true;
    if (jscan_type(value) == JTYPE_OBJECT)
        return schema_is_valid(a, names, value, false, false, depth);
    if (jscan_type(value) == JTYPE_ARRAY)
        for (jscan_iter(&it, value); is_good && jscan_next(&it);)
            is_good = rest_is_valid(a, names, it.value, depth + 1);
    return is_good;
}

static bool schema_is_valid(struct arena *a, struct names *names, struct str schema,
                            bool is_property, bool is_reachable, int depth)
{
    struct jiter it, inner;
    if (depth > DEPTH_MAX)
        return false;
    if (jscan_type(schema) != JTYPE_OBJECT)
        return true;
    bool is_good = true;
    for (jscan_iter(&it, schema); is_good && jscan_next(&it);) {
        if (jscan_string_eq(it.key, STR(ANNOTATION)))
            is_good =
                is_property && is_reachable && annotation_is_valid(a, names, schema, it.value);
        else if (jscan_string_eq(it.key, STR("properties")) && jscan_type(it.value) == JTYPE_OBJECT)
            for (jscan_iter(&inner, it.value); is_good && jscan_next(&inner);)
                is_good = schema_is_valid(a, names, inner.value, true, is_reachable, depth + 1);
        else if (!is_data(it.key))
            is_good = rest_is_valid(a, names, it.value, depth + 1);
    }
    return is_good;
}

bool s2m_tool_is_valid(struct arena *a, struct str definition)
{
    struct names names = {.n = 0};
    if (str_find(definition, STR(ANNOTATION)) == SIZE_MAX)
        return true;
    struct str schema = jscan_member(definition, STR("inputSchema"));
    return str_is_absent(schema) || schema_is_valid(a, &names, schema, false, true, 0);
}

/* ---- the headers of one call ---- */

/* The value as the header says it; absent: none is sent. */
static struct str value_write(struct arena *a, struct str raw)
{
    struct str text;
    int64_t number;
    switch (jscan_type(raw)) {
    case JTYPE_TRUE:
        return STR("true");
    case JTYPE_FALSE:
        return STR("false");
    case JTYPE_STRING:
        return jscan_string(a, raw, &text) ? upstream_header_encode(a, text) : STR_NONE;
    case JTYPE_NUMBER:
        return jscan_i64(raw, &number) && number <= INTEGER_MAX && number >= -INTEGER_MAX
                   ? arena_dup(a, raw)
                   : STR_NONE;
    default:
        return STR_NONE;
    }
}

struct collecting {
    struct arena *arena;
    struct http_header *headers;
    size_t n;
    bool is_over;
};

static void collect(struct collecting *c, struct str schema, struct str arguments, int depth)
{
    struct jiter it;
    struct str properties = jscan_member(schema, STR("properties"));
    if (depth > DEPTH_MAX || str_is_absent(properties) || jscan_type(properties) != JTYPE_OBJECT)
        return;
    for (jscan_iter(&it, properties); jscan_next(&it);) {
        struct str key, name, annotation = jscan_member(it.value, STR(ANNOTATION));
        if (!jscan_string(c->arena, it.key, &key))
            continue;
        struct str value = jscan_member(arguments, key);
        if (str_is_absent(value))
            continue;
        if (jscan_type(value) == JTYPE_OBJECT)
            collect(c, it.value, value, depth + 1);
        if (str_is_absent(annotation) || !jscan_string(c->arena, annotation, &name) ||
            !is_token(name))
            continue;
        struct str text = value_write(c->arena, value);
        if (str_is_absent(text))
            continue;
        if (c->n == LIMIT_PARAM_HEADERS) {
            c->is_over = true;
            return;
        }
        c->headers[c->n++] =
            (struct http_header){arena_printf(c->arena, "Mcp-Param-%.*s", STR_FMT(name)), text};
    }
}

bool s2m_params(struct arena *a, struct str definition, struct str arguments,
                struct http_header *headers, size_t *n, struct err *e)
{
    struct collecting c = {.arena = a, .headers = headers};
    if (!str_is_absent(arguments) && str_find(definition, STR(ANNOTATION)) != SIZE_MAX)
        collect(&c, jscan_member(definition, STR("inputSchema")), arguments, 0);
    *n = c.n;
    return !c.is_over || err_set(e, ERR_INVALID, "the tool wants more than %d Mcp-Param headers",
                                 (int)LIMIT_PARAM_HEADERS);
}

static bool is_repeated(struct arena *a, const struct http_header *wanted,
                        const struct http_request *rq)
{
    struct str given, argument;
    return http_request_header_count(rq, wanted->name) == 1 &&
           inbound_header_decode(a, str_trim(http_request_header(rq, wanted->name)), &given) &&
           inbound_header_decode(a, wanted->value, &argument) && str_eq(given, argument);
}

bool s2m_params_match(struct arena *a, struct str definition, struct str arguments,
                      const struct http_request *rq, struct err *e)
{
    size_t n;
    if (str_is_absent(definition) || str_find(definition, STR(ANNOTATION)) == SIZE_MAX ||
        !s2m_tool_is_valid(a, definition))
        return true;
    struct http_header *wanted = arena_alloc(a, LIMIT_PARAM_HEADERS * sizeof(*wanted));
    if (!wanted)
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    if (!s2m_params(a, definition, arguments, wanted, &n, e))
        return false;
    for (size_t i = 0; i < n; i++)
        if (!is_repeated(a, &wanted[i], rq))
            return err_set(e, ERR_HEADER_MISMATCH,
                           "%.*s does not repeat the argument that the tool wants in it",
                           STR_FMT(str_slice(wanted[i].name, 0, 80)));
    return true;
}
