/*
 * CBOR (RFC 8949) as authenticators write it (CTAP2 canonical form): definite lengths, no tags.
 * Items are read one after the other; nothing is copied, nothing recurses.
 */
#pragma once

#include "base/str.h"

enum cbor_kind {
    CBOR_INT,   /* i: positive or negative, within int64_t */
    CBOR_BYTES, /* s */
    CBOR_TEXT,  /* s: bytes, not judged as UTF-8 */
    CBOR_ARRAY, /* n items follow */
    CBOR_MAP,   /* n pairs follow */
    CBOR_OTHER, /* false, true, null, undefined, floats: i is the value of the first three */
};
struct cbor_item {
    enum cbor_kind kind;
    int64_t i;
    struct str s;
    size_t n;
};
/*
 * Reads one head (with the content of a string) and moves *rest behind it. False: the end, a
 * reserved or indefinite length, a tag, a length that is longer than what is left, or not the
 * shortest form.
 */
bool cbor_next(struct str *rest, struct cbor_item *out) must_use;
/* Moves *rest behind one whole item, whatever is in it. */
bool cbor_skip(struct str *rest) must_use;
/* Reads a string of this kind. */
bool cbor_string(struct str *rest, enum cbor_kind kind, struct str *out) must_use;
