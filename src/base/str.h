/* Borrowed runs of bytes: how text travels inside the program. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/attrs.h"

/* Never owns, need not end in NUL, may hold NUL. {NULL, 0} is "absent"; {"", 0} is "empty". */
struct str {
    const char *p;
    size_t n;
};

#define STR(lit)   ((struct str){"" lit "", sizeof(lit) - 1}) /* literals only */
#define STR_NONE   ((struct str){NULL, 0})
#define STR_FMT(s) (int)(s).n, (s).p ? (s).p : "" /* for "%.*s" */

static inline bool str_eq(struct str a, struct str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* Wraps a NUL-ended string; NULL becomes STR_NONE. */
static inline struct str str_c(const char *c)
{
    return c ? (struct str){c, strlen(c)} : STR_NONE;
}

static inline bool str_is_absent(struct str s)
{
    return s.p == NULL;
}

/* str_ieq for what is of one length. */
bool str_ieq_bytes(const char *a, const char *b, size_t n);
/* ASCII case-insensitive equality (header names, schemes, hosts). Most of what is compared differs
 * in length or, by more than a letter's case, in its first byte: that is seen without a call. */
static inline bool str_ieq(struct str a, struct str b)
{
    return a.n == b.n &&
           (a.n == 0 || (((a.p[0] ^ b.p[0]) & ~0x20) == 0 && str_ieq_bytes(a.p, b.p, a.n)));
}

/* Bytes [from, from+n) of s, clipped to s. */
struct str str_slice(struct str s, size_t from, size_t n);
bool str_starts(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);
/* <0, 0, >0 by bytes, shorter first; for sorting and searching. */
int str_cmp(struct str a, struct str b);
/* Offset of the first `c` or of `needle`, or SIZE_MAX. */
size_t str_find_char(struct str s, char c);
size_t str_find(struct str s, struct str needle);
/* Without leading and trailing space, tab, CR, LF. */
struct str str_trim(struct str s);
/*
 * Cuts the next piece before `sep` off *rest. Returns false when *rest is absent (after the last
 * piece). "a,,b" gives "a", "", "b"; "" gives one empty piece.
 */
bool str_next(struct str *rest, char sep, struct str *piece);
/* Whole string as a decimal integer within [min, max]; false otherwise (no sign but '-', no
 * spaces). */
bool str_to_i64(struct str s, int64_t min, int64_t max, int64_t *out) must_use;
enum { STR_I64_SIZE = 20 }; /* "-9223372036854775808" */
/* The number in decimal digits, at the end of `digits`. */
struct str str_i64(char digits[STR_I64_SIZE], int64_t v);
/* True when `word` is one of the pieces of `list` separated by single spaces (OAuth scope lists).
 */
bool str_list_has(struct str list, struct str word);
