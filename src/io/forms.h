/* application/x-www-form-urlencoded: form bodies and query strings (WHATWG URL, section 5.1), read
 * strictly. */
#pragma once

#include "base/arena.h"
#include "base/err.h"

struct form_pair {
    struct str name;  /* decoded */
    struct str value; /* decoded; empty without '=' */
};

struct form {
    struct form_pair *pairs; /* in the order sent */
    size_t n;
};

enum form_presence { FORM_ABSENT, FORM_ONCE, FORM_REPEATED };

/*
 * Decodes `text` (absent: no pairs) into the arena; '+' is a space, empty pieces between '&' are
 * skipped. ERR_BAD_REQUEST: more than LIMIT_QUERY_PARAMS pairs, a bad percent escape, NUL, or
 * invalid UTF-8. ERR_UNAVAILABLE: memory.
 */
bool form_parse(struct arena *a, struct str text, struct form *out, struct err *e) must_use;
/* Looks a name up. *value is the first one, STR_NONE when absent. OAuth refuses repeated parameters
 * (RFC 6749 section 3.1). */
enum form_presence form_get(const struct form *form, struct str name, struct str *value);
