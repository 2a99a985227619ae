/*
 * A validating JSON scanner that builds no tree: the whole text is checked against RFC 8259
 * (grammar, UTF-8, no lone surrogate escapes, depth) and the caller receives spans of the values it
 * asked for. Used where a body is judged and then forwarded as the client wrote it. Cost: one pass,
 * no allocation (but a table of names for objects of more than 32 members where duplicates are
 * refused).
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

enum jtype {
    JTYPE_NULL,
    JTYPE_FALSE,
    JTYPE_TRUE,
    JTYPE_NUMBER,
    JTYPE_STRING,
    JTYPE_ARRAY,
    JTYPE_OBJECT
};

/* One member asked for: `name` is given unescaped; `value` receives the raw text of the value or
 * stays absent. */
struct jwant {
    struct str name;
    struct str value; /* a span of the scanned text; strings include their quotes */
};

/* Validates one whole JSON text of any type (space around it allowed; BOM, NUL and trailing text
   refused). ERR_PARSE names the byte offset and what was expected. */
bool jscan_valid(struct str text, struct err *e) must_use;

/*
 * Validates a whole text that must be one object and finds members of its top level.
 * A member name that occurs twice at this level (after unescaping) is refused: ERR_BAD_REQUEST
 * names it. ERR_PARSE: not JSON. ERR_BAD_REQUEST: JSON but not an object, or more than
 * LIMIT_JSON_MEMBERS members. ERR_UNAVAILABLE: out of memory.
 */
bool jscan_object(struct str text, struct jwant *wants, size_t n_wants, struct err *e) must_use;
/* The same; *n_others receives how many members were not asked for. */
bool jscan_object_others(struct str text, struct jwant *wants, size_t n_wants, size_t *n_others,
                         struct err *e) must_use;

/* One member of a valid text that may be absent or no object: absent then, too. */
struct str jscan_member(struct str object, struct str name);

/* The type of a value by its first byte; the text must have been validated. */
enum jtype jscan_type(struct str value);

/* Walks the items of a validated array, or the members of a validated object (key: raw with
 * quotes). */
struct jiter {
    struct str rest;
    struct str key;   /* absent for arrays */
    struct str value; /* raw span */
};
void jscan_iter(struct jiter *it, struct str container);
bool jscan_next(struct jiter *it);

/* Unescapes a validated string value (quotes included in `raw`) into the arena; false when raw is
   no string, holds \u0000, or memory is out. Returns the span itself without copying when nothing
   is escaped. */
bool jscan_string(struct arena *a, struct str raw, struct str *out) must_use;
/* True when the validated string value `raw` means exactly `s` after unescaping. */
bool jscan_string_eq(struct str raw, struct str s);
/* A validated number without fraction or exponent, within int64. */
bool jscan_i64(struct str raw, int64_t *out) must_use;
