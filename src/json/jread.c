#include "json/jread.h"

#include <jansson.h>
#include <stdlib.h>

#include "json/jout.h"
#include "json/jscan.h"

/* A jvalue is a json_t seen through a name of our own. */
static const json_t *tree(const struct jvalue *v)
{
    return (const json_t *)v;
}

static const struct jvalue *value(const json_t *t)
{
    return (const struct jvalue *)t;
}

/* The library's iterators ask for a mutable object though they only read. */
static json_t *mutable(const struct jvalue *v)
{
    union {
        const void *from;
        json_t *to;
    } u = {.from = v};
    return u.to;
}

struct jdoc {
    json_t *root;
};

struct jdoc *jdoc_parse(struct str text, struct err *e)
{
    if (!jscan_valid(text, e)) /* first: the library's parser recurses, and stacks are small */
        return NULL;
    json_error_t why;
    struct jdoc *d = malloc(sizeof *d);
    if (!d) {
        err_set(e, ERR_UNAVAILABLE, "out of memory");
        return NULL;
    }
    d->root = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &why);
    if (!d->root) {
        err_set(e, ERR_PARSE, "JSON: byte %d: %s", why.position, why.text);
        free(d);
        return NULL;
    }
    return d;
}

void jdoc_free(struct jdoc *d)
{
    if (d)
        json_decref(d->root);
    free(d);
}

void jdoc_freep(struct jdoc **d)
{
    jdoc_free(*d);
    *d = NULL;
}

const struct jvalue *jdoc_root(const struct jdoc *d)
{
    return d ? value(d->root) : NULL;
}

bool jv_is_object(const struct jvalue *v)
{
    return json_is_object(tree(v));
}

bool jv_is_array(const struct jvalue *v)
{
    return json_is_array(tree(v));
}

bool jv_is_string(const struct jvalue *v)
{
    return json_is_string(tree(v));
}

bool jv_is_integer(const struct jvalue *v)
{
    return json_is_integer(tree(v));
}

bool jv_is_number(const struct jvalue *v)
{
    return json_is_number(tree(v));
}

bool jv_is_bool(const struct jvalue *v)
{
    return json_is_boolean(tree(v));
}

bool jv_is_null(const struct jvalue *v)
{
    return json_is_null(tree(v));
}

const struct jvalue *jv_get(const struct jvalue *object, const char *name)
{
    return value(json_object_get(tree(object), name));
}

size_t jv_count(const struct jvalue *v)
{
    return jv_is_array(v) ? json_array_size(tree(v)) : json_object_size(tree(v));
}

const struct jvalue *jv_at(const struct jvalue *array, size_t i)
{
    return value(json_array_get(tree(array), i));
}

bool jv_member(const struct jvalue *object, void **iter, struct str *name, const struct jvalue **v)
{
    json_t *o = mutable(object);
    *iter = *iter ? json_object_iter_next(o, *iter) : json_object_iter(o);
    if (!*iter)
        return false;
    *name = (struct str){json_object_iter_key(*iter), json_object_iter_key_len(*iter)};
    *v = value(json_object_iter_value(*iter));
    return true;
}

struct str jv_str(const struct jvalue *v)
{
    if (!jv_is_string(v))
        return STR_NONE;
    return (struct str){json_string_value(tree(v)), json_string_length(tree(v))};
}

int64_t jv_i64(const struct jvalue *v, int64_t otherwise)
{
    return jv_is_integer(v) ? json_integer_value(tree(v)) : otherwise;
}

double jv_double(const struct jvalue *v, double otherwise)
{
    return jv_is_number(v) ? json_number_value(tree(v)) : otherwise;
}

bool jv_bool(const struct jvalue *v, bool otherwise)
{
    return jv_is_bool(v) ? json_is_true(tree(v)) : otherwise;
}

struct str jv_get_str(const struct jvalue *object, const char *name)
{
    return jv_str(jv_get(object, name));
}

int64_t jv_get_i64(const struct jvalue *object, const char *name, int64_t otherwise)
{
    return jv_i64(jv_get(object, name), otherwise);
}

bool jv_get_bool(const struct jvalue *object, const char *name, bool otherwise)
{
    return jv_bool(jv_get(object, name), otherwise);
}

static void write_value(struct jout *j, const struct jvalue *v);

static void write_members(struct jout *j, const struct jvalue *object)
{
    jout_object(j);
    void *iter = NULL;
    struct str name;
    const struct jvalue *member;
    while (jv_member(object, &iter, &name, &member)) {
        jout_key(j, name);
        write_value(j, member);
    }
    jout_object_end(j);
}

/* Recurses: the parser let nothing deeper than LIMIT_JSON_DEPTH in. */
static void write_value(struct jout *j, const struct jvalue *v)
{
    switch (v ? json_typeof(tree(v)) : JSON_NULL) {
    case JSON_OBJECT:
        write_members(j, v);
        break;
    case JSON_ARRAY:
        jout_array(j);
        for (size_t i = 0; i < jv_count(v); i++)
            write_value(j, jv_at(v, i));
        jout_array_end(j);
        break;
    case JSON_STRING:
        jout_str(j, jv_str(v));
        break;
    case JSON_INTEGER:
        jout_i64(j, jv_i64(v, 0));
        break;
    case JSON_REAL:
        jout_double(j, jv_double(v, 0));
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        jout_bool(j, jv_bool(v, false));
        break;
    default:
        jout_null(j);
    }
}

void jv_write(const struct jvalue *v, struct buf *out)
{
    struct jout j;
    jout_init(&j, out);
    write_value(&j, v);
}
