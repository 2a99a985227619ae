#include "base/secret.h"

#include <stdlib.h>

void secret_wipe(void *p, size_t n)
{
    if (n > 0)
        explicit_bzero(p, n);
}

bool secret_set(struct secret *s, const void *bytes, size_t n)
{
    unsigned char *copy = malloc(n == 0 ? 1 : n);
    if (!copy)
        return false;
    if (n > 0)
        memcpy(copy, bytes, n);
    secret_end(s);
    s->bytes = copy;
    s->n = n;
    return true;
}

void secret_end(struct secret *s)
{
    if (s->bytes)
        secret_wipe(s->bytes, s->n);
    free(s->bytes);
    *s = (struct secret){0};
}
