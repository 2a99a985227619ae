/* Ids for the next hop. */
#include "mcp/hop_id.h"

#include "json/jscan.h"

struct str hop_id_forth(struct arena *a, struct str raw)
{
    if (raw.n > 0 && raw.p[0] == '"')
        return arena_printf(a, "\"s%.*s", (int)(raw.n - 1), raw.p + 1);
    return arena_printf(a, "\"i%.*s\"", STR_FMT(raw));
}

struct str hop_id_back(struct arena *a, struct str raw)
{
    if (raw.n < 3 || raw.p[0] != '"')
        return STR_NONE;
    if (raw.p[1] == 's')
        return arena_printf(a, "\"%.*s", (int)(raw.n - 2), raw.p + 2);
    int64_t number;
    struct str inside = str_slice(raw, 2, raw.n - 3);
    if (raw.p[1] == 'i' && jscan_i64(inside, &number))
        return arena_dup(a, inside);
    return STR_NONE;
}

struct str hop_id_fresh(struct arena *a, int worker)
{
    static _Thread_local uint64_t next;
    return arena_printf(a, "\"c%d-%llu\"", worker, (unsigned long long)++next);
}

bool hop_id_same(struct arena *a, struct str x, struct str y)
{
    if (str_eq(x, y))
        return true;
    struct str plain_x, plain_y;
    return jscan_string(a, x, &plain_x) && jscan_string(a, y, &plain_y) && str_eq(plain_x, plain_y);
}
