/* Bytes that must not outlive their use and must never be printed. */
#pragma once

#include "base/str.h"

/* Heap bytes; wiped when freed. There is no way to format one. */
struct secret {
    unsigned char *bytes;
    size_t n;
};

bool secret_set(struct secret *s, const void *bytes,
                size_t n) must_use; /* copies; false when out of memory */
void secret_end(struct secret *s);  /* wipes and frees; again is fine */
/* The bytes, for the one call that needs them. */
static inline struct str secret_reveal(const struct secret *s)
{
    return (struct str){(const char *)s->bytes, s->n};
}
/* Wipes n bytes at p in a way that the compiler keeps. */
void secret_wipe(void *p, size_t n);
