#include "base/str.h"

static char lower(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (char)(c - 'A' + 'a');
    return c;
}

struct str str_slice(struct str s, size_t from, size_t n)
{
    if (s.p == NULL)
        return STR_NONE;
    if (from > s.n)
        from = s.n;
    if (n > s.n - from)
        n = s.n - from;
    return (struct str){s.p + from, n};
}

bool str_ieq_bytes(const char *a, const char *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (a[i] != b[i] && lower(a[i]) != lower(b[i]))
            return false;
    return true;
}

bool str_starts(struct str s, struct str prefix)
{
    return s.n >= prefix.n && str_eq((struct str){s.p, prefix.n}, prefix);
}

bool str_ends(struct str s, struct str suffix)
{
    return s.n >= suffix.n && str_eq(str_slice(s, s.n - suffix.n, suffix.n), suffix);
}

int str_cmp(struct str a, struct str b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int order = n == 0 ? 0 : memcmp(a.p, b.p, n);
    if (order != 0)
        return order;
    return (a.n > b.n) - (a.n < b.n);
}

size_t str_find_char(struct str s, char c)
{
    const char *at = s.n == 0 ? NULL : memchr(s.p, c, s.n);
    return at ? (size_t)(at - s.p) : SIZE_MAX;
}

size_t str_find(struct str s, struct str needle)
{
    if (needle.n == 0)
        return 0;
    if (s.n < needle.n)
        return SIZE_MAX;
    const char *at = memmem(s.p, s.n, needle.p, needle.n);
    return at ? (size_t)(at - s.p) : SIZE_MAX;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct str str_trim(struct str s)
{
    while (s.n > 0 && is_space(s.p[0])) {
        s.p++;
        s.n--;
    }
    while (s.n > 0 && is_space(s.p[s.n - 1]))
        s.n--;
    return s;
}

bool str_next(struct str *rest, char sep, struct str *piece)
{
    if (str_is_absent(*rest))
        return false;
    size_t at = str_find_char(*rest, sep);
    if (at == SIZE_MAX) {
        *piece = *rest;
        *rest = STR_NONE;
        return true;
    }
    *piece = (struct str){rest->p, at};
    *rest = (struct str){rest->p + at + 1, rest->n - at - 1};
    return true;
}

bool str_to_i64(struct str s, int64_t min, int64_t max, int64_t *out)
{
    bool is_negative = s.n > 0 && s.p[0] == '-';
    size_t i = is_negative ? 1 : 0;
    if (i == s.n)
        return false;
    uint64_t size = 0;
    for (; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
        if (__builtin_mul_overflow(size, 10u, &size) ||
            __builtin_add_overflow(size, (unsigned)(s.p[i] - '0'), &size))
            return false;
    }
    if (size > (uint64_t)INT64_MAX + is_negative)
        return false;
    int64_t v = (int64_t)(is_negative ? -size : size);
    if (v < min || v > max)
        return false;
    *out = v;
    return true;
}

struct str str_i64(char digits[STR_I64_SIZE], int64_t v)
{
    size_t at = STR_I64_SIZE;
    uint64_t rest = v < 0 ? -(uint64_t)v : (uint64_t)v;
    do {
        digits[--at] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (v < 0)
        digits[--at] = '-';
    return (struct str){digits + at, STR_I64_SIZE - at};
}

bool str_list_has(struct str list, struct str word)
{
    struct str piece;
    while (word.n > 0 && str_next(&list, ' ', &piece))
        if (str_eq(piece, word))
            return true;
    return false;
}
