/* Text for terminals. */
#include "cli/printable.h"

static bool is_control(const char *p, size_t i, size_t n)
{
    unsigned char c = (unsigned char)p[i];
    bool begins_c1 = c == 0xC2 && i + 1 < n && (unsigned char)p[i + 1] < 0xA0;
    return c < 0x20 || c == 0x7F || begins_c1;
}

void printable_make(char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!is_control(p, i, n))
            continue;
        if ((unsigned char)p[i] == 0xC2)
            p[i++] = '?';
        p[i] = '?';
    }
}

struct str printable(struct arena *a, struct str s)
{
    struct str copy = arena_dup(a, s);
    if (str_is_absent(copy))
        return STR("");
    printable_make((char *)(uintptr_t)copy.p, copy.n);
    return copy;
}
