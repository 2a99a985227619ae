/* Growable bytes with a maximum. Failure (maximum reached, out of memory) sticks: append freely,
 * ask buf_ok() once. */
#pragma once

#include "base/str.h"

struct buf {
    char *p; /* NULL until the first append; always NUL-ended after it */
    size_t n;
    size_t cap;
    size_t max; /* bytes, from base/limits.h */
    bool failed;
};

/* Starts an empty buffer that never grows beyond max bytes. Allocates nothing yet. */
void buf_init(struct buf *b, size_t max);
/* Frees the memory and returns to the state after buf_init. */
void buf_end(struct buf *b);
/* Forgets the content, keeps the memory, clears the failure. */
void buf_reset(struct buf *b);
void buf_add(struct buf *b, struct str s);
void buf_add_char(struct buf *b, char c);
void buf_addf(struct buf *b, const char *fmt, ...) printf_like(2, 3);
void buf_add_i64(struct buf *b, int64_t v);
/* Makes room for n more bytes and returns where to write them (then add n to b->n), or NULL. */
char *buf_reserve(struct buf *b, size_t n);
/* Removes the first n bytes. */
void buf_consume(struct buf *b, size_t n);

static inline bool buf_ok(const struct buf *b)
{
    return !b->failed;
}
static inline struct str buf_str(const struct buf *b)
{
    return (struct str){b->p ? b->p : "", b->n};
}
