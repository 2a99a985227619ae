/* Bytes of JSON text, shared by the whole-text scanner and the incremental filter. Private to
 * src/json. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static inline bool jchars_is_space(unsigned char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static inline bool jchars_is_digit(unsigned char c)
{
    return c >= '0' && c <= '9';
}

/* The value of a hexadecimal digit, or -1. */
static inline int jchars_hex(unsigned char c)
{
    if (jchars_is_digit(c))
        return c - '0';
    c = (unsigned char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The bytes that may follow a backslash, other than 'u'. */
static inline bool jchars_is_simple_escape(unsigned char c)
{
    return c == '"' || c == '\\' || c == '/' || c == 'b' || c == 'f' || c == 'n' || c == 'r' ||
           c == 't';
}

/* Continuation bytes after a UTF-8 lead byte and the range of the first of them (RFC 3629 section
 * 4); -1: no lead byte. */
static inline int jchars_utf8_lead(unsigned char c, unsigned char *low, unsigned char *high)
{
    *low = c == 0xE0 ? 0xA0 : c == 0xF0 ? 0x90 : 0x80;
    *high = c == 0xED ? 0x9F : c == 0xF4 ? 0x8F : 0xBF;
    if (c >= 0xC2 && c <= 0xDF)
        return 1;
    if (c >= 0xE0 && c <= 0xEF)
        return 2;
    if (c >= 0xF0 && c <= 0xF4)
        return 3;
    return -1;
}

/*
 * The first byte in [p, end) that is not plain inside a string: a quote, a backslash, a control
 * character or a byte of 0x80 and above. Eight bytes at a time: a borrow can only mark bytes above
 * a true hit, so the lowest mark is exact (little-endian machines; others take the byte loop).
 */
static inline const unsigned char *jchars_plain(const unsigned char *p, const unsigned char *end)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    const uint64_t ones = 0x0101010101010101u;
    const uint64_t tops = ones * 0x80;
    while ((size_t)(end - p) >= sizeof(uint64_t)) {
        uint64_t w;
        memcpy(&w, p, sizeof w);
        uint64_t quote = (w ^ ones * '"') - ones;
        uint64_t slash = (w ^ ones * '\\') - ones;
        uint64_t mark = (quote | slash | (w - ones * 0x20) | w) & tops;
        if (mark)
            return p + (__builtin_ctzll(mark) >> 3);
        p += sizeof w;
    }
#endif
    while (p < end && *p >= 0x20 && *p < 0x80 && *p != '"' && *p != '\\')
        p++;
    return p;
}
