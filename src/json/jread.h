/*
 * JSON trees for everything that is not the proxy's fast path: arguments of management tools,
 * configuration, metadata. The only file pair (with jschema) that includes <jansson.h>. Duplicate
 * members, depth beyond LIMIT_JSON_DEPTH and U+0000 are refused.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

struct jdoc;   /* owns a tree */
struct jvalue; /* a borrowed node of one */

/* Parses one text. NULL with ERR_PARSE (position and reason) otherwise. */
struct jdoc *jdoc_parse(struct str text, struct err *e) must_use;
void jdoc_free(struct jdoc *d);
void jdoc_freep(struct jdoc **d); /* for auto_free */
const struct jvalue *jdoc_root(const struct jdoc *d);

bool jv_is_object(const struct jvalue *v); /* all accept NULL: false */
bool jv_is_array(const struct jvalue *v);
bool jv_is_string(const struct jvalue *v);
bool jv_is_integer(const struct jvalue *v);
bool jv_is_number(const struct jvalue *v);
bool jv_is_bool(const struct jvalue *v);
bool jv_is_null(const struct jvalue *v);
/* Member of an object, or NULL. */
const struct jvalue *jv_get(const struct jvalue *object, const char *name);
size_t jv_count(const struct jvalue *v); /* items of an array or members of an object, else 0 */
const struct jvalue *jv_at(const struct jvalue *array, size_t i);
/* Members in order: start with *iter = NULL; false at the end. */
bool jv_member(const struct jvalue *object, void **iter, struct str *name,
               const struct jvalue **value);
struct str
jv_str(const struct jvalue *v); /* STR_NONE when no string; lives as long as the document */
int64_t jv_i64(const struct jvalue *v, int64_t otherwise);
double jv_double(const struct jvalue *v, double otherwise);
bool jv_bool(const struct jvalue *v, bool otherwise);
/* Shorthands: the member of an object. */
struct str jv_get_str(const struct jvalue *object, const char *name);
int64_t jv_get_i64(const struct jvalue *object, const char *name, int64_t otherwise);
bool jv_get_bool(const struct jvalue *object, const char *name, bool otherwise);
/* Appends compact JSON text. */
void jv_write(const struct jvalue *v, struct buf *out);
