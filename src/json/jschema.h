/*
 * The part of JSON Schema 2020-12 that the management tools' specs use: type (also lists),
 * properties, required, additionalProperties (false or schema), items, enum, const, minimum,
 * maximum, minLength, maxLength, minItems, maxItems, pattern (a small, linear subset), format
 * (email, uri, date-time), oneOf, anyOf, $ref into #/$defs, description, title, default, examples.
 * Any other keyword is an error when the schema is compiled.
 */
#pragma once

#include "json/jread.h"

struct jschema;

/* Compiles a schema. NULL with ERR_INTERNAL naming the keyword that is not supported. */
struct jschema *jschema_compile(struct str schema_text, struct err *e) must_use;
void jschema_free(struct jschema *s);
/*
 * Checks a value. On failure ERR_INVALID says where, what was given and what is expected, e.g.
 * "arguments.limit: given 500, expected an integer from 1 to 100"; unknown members are named.
 * `root` is the name of the value in messages ("arguments").
 */
bool jschema_check(const struct jschema *s, const struct jvalue *v, const char *root,
                   struct err *e) must_use;
