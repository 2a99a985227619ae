#include "base/cbor.h"

enum { MAJOR_UINT, MAJOR_NINT, MAJOR_BYTES, MAJOR_TEXT, MAJOR_ARRAY, MAJOR_MAP, MAJOR_TAG };

/* The number of a head: in its low bits, or in the 1, 2, 4 or 8 bytes after it. */
static bool number_read(struct str *rest, unsigned low, bool is_length, uint64_t *out)
{
    static const uint64_t least[] = {24, 0x100, 0x10000, 0x100000000};
    *out = low;
    if (low < 24)
        return true;
    if (low > 27)
        return false;
    size_t n = (size_t)1 << (low - 24);
    if (rest->n < n)
        return false;
    *out = 0;
    for (size_t i = 0; i < n; i++)
        *out = *out << 8 | (uint8_t)rest->p[i];
    *rest = str_slice(*rest, n, SIZE_MAX);
    return !is_length || *out >= least[low - 24];
}

static bool other_read(struct str *rest, unsigned low, struct cbor_item *out)
{
    uint64_t value;
    out->kind = CBOR_OTHER;
    if (low < 20 || low == 24 || low > 27 || !number_read(rest, low, false, &value))
        return false;
    out->i = low == 21;
    return true;
}

bool cbor_next(struct str *rest, struct cbor_item *out)
{
    uint64_t value;
    *out = (struct cbor_item){0};
    if (rest->n == 0)
        return false;
    unsigned major = (uint8_t)rest->p[0] >> 5, low = (uint8_t)rest->p[0] & 31U;
    *rest = str_slice(*rest, 1, SIZE_MAX);
    if (major > MAJOR_TAG)
        return other_read(rest, low, out);
    if (major == MAJOR_TAG || !number_read(rest, low, true, &value) || value > INT64_MAX)
        return false;
    if (major == MAJOR_UINT || major == MAJOR_NINT) {
        out->kind = CBOR_INT;
        out->i = major == MAJOR_UINT ? (int64_t)value : -1 - (int64_t)value;
        return true;
    }
    /* An item takes a byte at least, a pair two. */
    if (value > (major == MAJOR_MAP ? rest->n / 2 : rest->n))
        return false;
    if (major == MAJOR_ARRAY || major == MAJOR_MAP) {
        out->kind = major == MAJOR_ARRAY ? CBOR_ARRAY : CBOR_MAP;
        out->n = (size_t)value;
        return true;
    }
    out->kind = major == MAJOR_BYTES ? CBOR_BYTES : CBOR_TEXT;
    out->s = str_slice(*rest, 0, (size_t)value);
    *rest = str_slice(*rest, (size_t)value, SIZE_MAX);
    return true;
}

bool cbor_skip(struct str *rest)
{
    struct cbor_item item;
    /* How many items are still to come; what is left of the bytes bounds it. */
    for (size_t due = 1; due > 0; due--) {
        if (due > rest->n || !cbor_next(rest, &item))
            return false;
        due += item.kind == CBOR_MAP ? 2 * item.n : item.n;
    }
    return true;
}

bool cbor_string(struct str *rest, enum cbor_kind kind, struct str *out)
{
    struct cbor_item item;
    if (!cbor_next(rest, &item) || item.kind != kind)
        return false;
    *out = item.s;
    return true;
}
