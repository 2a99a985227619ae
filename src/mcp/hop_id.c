/* Ids for the next hop. */
#include "mcp/hop_id.h"

#include "json/jscan.h"

struct str hop_id_forth(struct arena *a, struct str raw)
{
    if (raw.n > 0 && raw.p[0] == '"')
        return ARENA_JOIN(a, STR("\"s"), str_slice(raw, 1, raw.n - 1));
    return ARENA_JOIN(a, STR("\"i"), raw, STR("\""));
}

struct str hop_id_back(struct arena *a, struct str raw)
{
    if (raw.n < 3 || raw.p[0] != '"')
        return STR_NONE;
    if (raw.p[1] == 's')
        return ARENA_JOIN(a, STR("\""), str_slice(raw, 2, raw.n - 2));
    int64_t number;
    struct str inside = str_slice(raw, 2, raw.n - 3);
    if (raw.p[1] == 'i' && jscan_i64(inside, &number))
        return arena_dup(a, inside);
    return STR_NONE;
}

struct str hop_id_fresh(struct arena *a, int worker)
{
    static _Thread_local uint64_t next;
    char of_worker[STR_I64_SIZE], of_request[STR_I64_SIZE];
    next++;
    return ARENA_JOIN(a, STR("\"c"), str_i64(of_worker, worker), STR("-"),
                      str_i64(of_request, (int64_t)next), STR("\""));
}

bool hop_id_same(struct arena *a, struct str x, struct str y)
{
    if (str_eq(x, y))
        return true;
    struct str plain_x, plain_y;
    return jscan_string(a, x, &plain_x) && jscan_string(a, y, &plain_y) && str_eq(plain_x, plain_y);
}
