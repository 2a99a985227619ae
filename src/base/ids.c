#include "base/ids.h"

#include "base/err.h"
#include "base/rand.h"
#include "base/text.h"

enum { ID_RANDOM = 16, PREFIX_MAX = ID_SIZE - 2 * ID_RANDOM - 2 };

struct id id_new(const char *prefix)
{
    struct id id;
    uint8_t random_bytes[ID_RANDOM];
    size_t n = strlen(prefix);
    ensure(n > 0 && n <= PREFIX_MAX);
    memcpy(id.s, prefix, n);
    id.s[n] = '_';
    rand_bytes(random_bytes, sizeof(random_bytes));
    text_hex(id.s + n + 1, random_bytes, sizeof(random_bytes));
    return id;
}

bool id_is(struct str s, const char *prefix)
{
    struct str start = str_c(prefix);
    if (s.n != start.n + 1 + 2 * (size_t)ID_RANDOM || !str_starts(s, start) || s.p[start.n] != '_')
        return false;
    for (size_t i = start.n + 1; i < s.n; i++)
        if (!((s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] >= 'a' && s.p[i] <= 'f')))
            return false;
    return true;
}
