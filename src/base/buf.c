#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { BUF_FIRST_CAP = 64 }; /* bytes of the first allocation */

void buf_init(struct buf *b, size_t max)
{
    *b = (struct buf){.max = max};
}

void buf_end(struct buf *b)
{
    free(b->p);
    buf_init(b, b->max);
}

void buf_reset(struct buf *b)
{
    b->n = 0;
    b->failed = false;
    if (b->p)
        b->p[0] = '\0';
}

/* Capacity for `need` bytes and a NUL: doubled, so that appending stays linear, but not far beyond
 * the maximum. */
static bool grow(struct buf *b, size_t need)
{
    size_t cap = b->cap < BUF_FIRST_CAP ? BUF_FIRST_CAP : b->cap;
    while (cap < need + 1)
        cap = cap > SIZE_MAX / 2 ? need + 1 : cap * 2;
    if (b->max < SIZE_MAX && cap > b->max + 1)
        cap = b->max + 1;
    char *p = realloc(b->p, cap);
    if (!p)
        return false;
    b->p = p;
    b->cap = cap;
    return true;
}

static char *reserve_more(struct buf *b, size_t n)
{
    size_t need;
    if (b->failed)
        return NULL;
    if (__builtin_add_overflow(b->n, n, &need) || need > b->max || need == SIZE_MAX ||
        (need + 1 > b->cap && !grow(b, need))) {
        b->failed = true;
        return NULL;
    }
    b->p[need] = '\0';
    return b->p + b->n;
}

/* Mostly there is room. */
static inline char *reserve(struct buf *b, size_t n)
{
    if (b->failed || n >= b->cap - b->n || b->n + n > b->max)
        return reserve_more(b, n);
    char *to = b->p + b->n;
    to[n] = '\0';
    return to;
}

char *buf_reserve(struct buf *b, size_t n)
{
    return reserve(b, n);
}

void buf_add(struct buf *b, struct str s)
{
    if (s.n == 0)
        return;
    char *to = reserve(b, s.n);
    if (!to)
        return;
    memcpy(to, s.p, s.n);
    b->n += s.n;
}

void buf_add_char(struct buf *b, char c)
{
    char *to = reserve(b, 1);
    if (!to)
        return;
    *to = c;
    b->n++;
}

void buf_addf(struct buf *b, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    char *to = n < 0 ? NULL : reserve(b, (size_t)n);
    if (!to) {
        b->failed = true;
        return;
    }
    va_start(args, fmt);
    vsnprintf(to, (size_t)n + 1, fmt, args);
    va_end(args);
    b->n += (size_t)n;
}

void buf_add_i64(struct buf *b, int64_t v)
{
    char digits[STR_I64_SIZE];
    buf_add(b, str_i64(digits, v));
}

void buf_consume(struct buf *b, size_t n)
{
    if (n > b->n)
        n = b->n;
    if (n == 0)
        return;
    memmove(b->p, b->p + n, b->n - n);
    b->n -= n;
    b->p[b->n] = '\0';
}
