#include "base/text.h"

static const char URL_ALPHABET[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
static const char STD_ALPHABET[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char HEX[] = "0123456789abcdef";

enum { SLUG_MIN = 2, SLUG_MAX = 50 };

/* --- base64 --- */

static void base64(struct buf *out, const char *alphabet, const uint8_t *in, size_t n)
{
    size_t tail = n % 3;
    char *p = n > SIZE_MAX / 2 ? NULL : buf_reserve(out, n / 3 * 4 + (tail ? tail + 1 : 0));
    if (!p) {
        out->failed = true;
        return;
    }
    const char *start = p;
    size_t i = 0;
    for (; i + 3 <= n; i += 3) {
        uint32_t v = (uint32_t)in[i] << 16 | (uint32_t)in[i + 1] << 8 | in[i + 2];
        *p++ = alphabet[v >> 18];
        *p++ = alphabet[v >> 12 & 63];
        *p++ = alphabet[v >> 6 & 63];
        *p++ = alphabet[v & 63];
    }
    if (tail > 0) {
        uint32_t v = (uint32_t)in[i] << 16 | (tail == 2 ? (uint32_t)in[i + 1] << 8 : 0);
        *p++ = alphabet[v >> 18];
        *p++ = alphabet[v >> 12 & 63];
        if (tail == 2)
            *p++ = alphabet[v >> 6 & 63];
    }
    out->n += (size_t)(p - start);
}

/* The value of one base64 digit, or -1. */
static int base64_digit(char c, char digit_62, char digit_63)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == digit_62)
        return 62;
    return c == digit_63 ? 63 : -1;
}

/* What was written past the end of `out` is forgotten; its NUL is put back. */
static bool undo(struct buf *out)
{
    out->p[out->n] = '\0';
    return false;
}

/* Decodes digits without padding. Bits of the last digit that carry no byte must be zero: one text
 * per value. */
static bool base64_decode(struct str s, const char *alphabet, struct buf *out)
{
    if (s.n % 4 == 1)
        return false;
    char *p = buf_reserve(out, s.n / 4 * 3 + (s.n % 4 ? s.n % 4 - 1 : 0));
    if (!p)
        return false;
    size_t n = 0;
    uint32_t bits = 0;
    unsigned n_bits = 0;
    for (size_t i = 0; i < s.n; i++) {
        int digit = base64_digit(s.p[i], alphabet[62], alphabet[63]);
        if (digit < 0)
            return undo(out);
        bits = (bits << 6 | (uint32_t)digit) & 0xFFFF;
        n_bits += 6;
        if (n_bits >= 8) {
            n_bits -= 8;
            p[n++] = (char)(bits >> n_bits & 0xFF);
        }
    }
    if ((bits & ((1u << n_bits) - 1)) != 0)
        return undo(out);
    out->n += n;
    return true;
}

void text_b64url(struct buf *out, const void *bytes, size_t n)
{
    base64(out, URL_ALPHABET, bytes, n);
}

bool text_b64url_decode(struct str s, struct buf *out)
{
    return base64_decode(s, URL_ALPHABET, out);
}

void text_b64(struct buf *out, const void *bytes, size_t n)
{
    base64(out, STD_ALPHABET, bytes, n);
    if (n % 3 > 0)
        buf_add(out, n % 3 == 1 ? STR("==") : STR("="));
}

bool text_b64_decode(struct str s, struct buf *out)
{
    if (s.n % 4 != 0)
        return false;
    for (int padding = 0; padding < 2 && s.n > 0 && s.p[s.n - 1] == '='; padding++)
        s.n--;
    return base64_decode(s, STD_ALPHABET, out);
}

/* --- hex --- */

void text_hex(char *out, const void *bytes, size_t n)
{
    const uint8_t *in = bytes;
    for (size_t i = 0; i < n; i++) {
        *out++ = HEX[in[i] >> 4];
        *out++ = HEX[in[i] & 15];
    }
    *out = '\0';
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool text_hex_decode(struct str s, uint8_t *out, size_t n)
{
    if (s.n / 2 != n || s.n % 2 != 0)
        return false;
    for (size_t i = 0; i < n; i++) {
        int high = hex_digit(s.p[2 * i]);
        int low = hex_digit(s.p[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

/* --- characters --- */

/* Length of the well-formed sequence at s (RFC 3629 section 4), or 0. */
static size_t utf8_sequence(struct str s)
{
    const uint8_t *b = (const uint8_t *)s.p;
    size_t n;
    uint8_t low = 0x80;
    uint8_t high = 0xBF; /* of the second byte */
    if (b[0] >= 0xC2 && b[0] <= 0xDF) {
        n = 2;
    } else if (b[0] >= 0xE0 && b[0] <= 0xEF) {
        n = 3;
        low = b[0] == 0xE0 ? 0xA0 : 0x80;
        high = b[0] == 0xED ? 0x9F : 0xBF;
    } else if (b[0] >= 0xF0 && b[0] <= 0xF4) {
        n = 4;
        low = b[0] == 0xF0 ? 0x90 : 0x80;
        high = b[0] == 0xF4 ? 0x8F : 0xBF;
    } else {
        return 0;
    }
    if (s.n < n || b[1] < low || b[1] > high)
        return 0;
    for (size_t i = 2; i < n; i++)
        if ((b[i] & 0xC0) != 0x80)
            return 0;
    return n;
}

/* How many bytes of ASCII stand from i on. */
static size_t ascii_run(struct str s, size_t i)
{
    const size_t from = i;
    uint64_t w;
    for (; s.n - i >= sizeof w; i += sizeof w) {
        memcpy(&w, s.p + i, sizeof w);
        if (w & 0x8080808080808080u)
            break;
    }
    while (i < s.n && (unsigned char)s.p[i] < 0x80)
        i++;
    return i - from;
}

bool text_is_utf8(struct str s)
{
    for (size_t i = ascii_run(s, 0); i < s.n; i += ascii_run(s, i)) {
        size_t n = utf8_sequence(str_slice(s, i, 4));
        if (n == 0)
            return false;
        i += n;
    }
    return true;
}

/* Of eight bytes at once: a subtraction borrows into the top bit of a byte that is too small. */
static bool eight_have_control(const char *p)
{
    const uint64_t each = UINT64_MAX / 0xFF;
    uint64_t bytes;
    memcpy(&bytes, p, sizeof bytes);
    uint64_t from_del = bytes ^ each * 0x7F;
    uint64_t below_space = (bytes - each * 0x20) & ~bytes;
    uint64_t is_del = (from_del - each) & ~from_del;
    return ((below_space | is_del) & each * 0x80) != 0;
}

bool text_has_control(struct str s)
{
    size_t i = 0;
    for (; s.n - i >= 8; i += 8)
        if (eight_have_control(s.p + i))
            return true;
    for (; i < s.n; i++)
        if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7F)
            return true;
    return false;
}

static bool is_alnum(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* --- percent coding --- */

void text_percent_encode(struct buf *out, struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (is_alnum(c) || c == '-' || c == '.' || c == '_' || c == '~') {
            buf_add_char(out, c);
            continue;
        }
        char escape[3] = {'%', (char)(HEX[(unsigned char)c >> 4]), (char)(HEX[c & 15])};
        for (int k = 1; k < 3; k++) /* RFC 3986 section 2.1 wants upper-case digits */
            if (escape[k] >= 'a')
                escape[k] = (char)(escape[k] - 'a' + 'A');
        buf_add(out, (struct str){escape, sizeof(escape)});
    }
}

bool text_percent_decode(struct str s, struct buf *out)
{
    char *p = buf_reserve(out, s.n);
    if (!p)
        return false;
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        uint8_t byte = (uint8_t)s.p[i];
        if (s.p[i] == '%') {
            if (!text_hex_decode(str_slice(s, i + 1, 2), &byte, 1))
                return undo(out);
            i += 2;
        }
        p[n++] = (char)byte;
    }
    out->n += n;
    out->p[out->n] = '\0';
    return true;
}

/* --- comparing and matching --- */

bool text_eq_ct(struct str a, struct str b)
{
    if (a.n != b.n)
        return false;
    unsigned char differs = 0;
    for (size_t i = 0; i < a.n; i++)
        differs |= (unsigned char)(a.p[i] ^ b.p[i]);
    return differs == 0;
}

/* Goes back to the last '*' only: that one can swallow whatever an earlier one could. At most
 * pattern * s steps. */
bool text_glob(struct str pattern, struct str s)
{
    size_t p = 0;
    size_t i = 0;
    size_t star = SIZE_MAX; /* the last '*' seen */
    size_t retry = 0;       /* where in s the text after it was last tried */
    while (i < s.n) {
        if (p < pattern.n && pattern.p[p] == '*') {
            star = p++;
            retry = i;
        } else if (p < pattern.n && pattern.p[p] == s.p[i]) {
            p++;
            i++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            i = ++retry;
        } else {
            return false;
        }
    }
    while (p < pattern.n && pattern.p[p] == '*')
        p++;
    return p == pattern.n;
}

void text_lower(char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] >= 'A' && p[i] <= 'Z')
            p[i] = (char)(p[i] - 'A' + 'a');
}

/* --- slugs --- */

void text_slug(struct str name, char out[51])
{
    size_t n = 0;
    for (size_t i = 0; i < name.n && n < SLUG_MAX; i++) {
        if (is_alnum(name.p[i]))
            out[n++] = name.p[i];
        else if (n > 0 && out[n - 1] != '-')
            out[n++] = '-';
    }
    while (n > 0 && out[n - 1] == '-')
        n--;
    text_lower(out, n);
    out[n < SLUG_MIN ? 0 : n] = '\0';
}

bool text_is_slug(struct str s)
{
    if (s.n < SLUG_MIN || s.n > SLUG_MAX || s.p[0] == '-' || s.p[s.n - 1] == '-' ||
        str_find(s, STR("--")) != SIZE_MAX)
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] != '-' && (!is_alnum(s.p[i]) || (s.p[i] >= 'A' && s.p[i] <= 'Z')))
            return false;
    return true;
}
