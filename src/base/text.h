/* Encodings and checks of text. */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"

/* base64url without padding (RFC 4648 section 5). Decode refuses padding, foreign characters and
 * non-canonical tails. */
void text_b64url(struct buf *out, const void *bytes, size_t n);
bool text_b64url_decode(struct str s, struct buf *out) must_use;
/* Standard base64 with padding (RFC 4648 section 4); decode is strict and canonical. */
void text_b64(struct buf *out, const void *bytes, size_t n);
bool text_b64_decode(struct str s, struct buf *out) must_use;
/* Lower-case hex; `out` needs 2n+1 bytes. */
void text_hex(char *out, const void *bytes, size_t n);
bool text_hex_decode(struct str s, uint8_t *out, size_t n) must_use;
/* Valid UTF-8 without surrogates and over-long forms (RFC 3629). */
bool text_is_utf8(struct str s) must_use;
/* True when s holds a byte below 0x20 or 0x7F. */
bool text_has_control(struct str s);
/* Percent coding (RFC 3986 section 2.1): encodes all but unreserved characters; decode refuses bad
 * escapes. '+' is literal. */
void text_percent_encode(struct buf *out, struct str s);
bool text_percent_decode(struct str s, struct buf *out) must_use;
/* Equality whose time depends on the lengths only. */
bool text_eq_ct(struct str a, struct str b) must_use;
/* "PREFIX_*" and "*" match at the end; '*' inside matches any run. For tool names and resource URIs
 * in policy. */
bool text_glob(struct str pattern, struct str s);
/* Lower-cases ASCII in place. */
void text_lower(char *p, size_t n);
/* A slug from a name: [a-z0-9-], 2 to 50 long, no "--", no '-' at the ends. "" when nothing usable
 * is left. out: 51 bytes. */
void text_slug(struct str name, char out[51]);
bool text_is_slug(struct str s);
