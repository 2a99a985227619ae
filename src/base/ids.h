/* Ids: a prefix and 32 lower-case hex digits, e.g. "conn_5f...". */
#pragma once

#include "base/str.h"

enum { ID_SIZE = 48 }; /* longest prefix, 32 digits, NUL */
struct id {
    char s[ID_SIZE]; /* NUL-ended */
};

/* A new random id; prefix without the underscore, at most 14 bytes ("org", "conn", "key"). */
struct id id_new(const char *prefix);
/* True when s is `prefix` + '_' + 32 lower-case hex digits. */
bool id_is(struct str s, const char *prefix);
static inline struct str id_str(const struct id *id)
{
    return str_c(id->s);
}
