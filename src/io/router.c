/* The route table, sorted into groups by the number of segments and by the first of them: a path is
 * compared with the rows of its group. */
#include "io/router.h"

enum {
    PARAMS = 4,
    SEGMENTS_RANKED = 16, /* of a pattern, two bits each */
    ALLOW_SIZE = 64,      /* bytes: every method of enum http_method, with spaces */
};

/* A literal segment beats a parameter, that beats "*"; the earlier segment decides. */
enum segment_fit { FIT_REST = 1, FIT_PARAM = 2, FIT_LITERAL = 3 };

struct fit {
    uint32_t rank; /* 0: does not match */
    struct str params[PARAMS];
};

/* Without the leading '/' and without one trailing '/'. */
static struct str path_inner(struct str path)
{
    struct str inner = str_slice(path, 1, path.n);
    if (inner.n > 0 && inner.p[inner.n - 1] == '/')
        inner.n--;
    return inner;
}

static bool segment_is_param(struct str segment)
{
    return segment.n > 1 && segment.p[0] == ':';
}

static bool segment_is_rest(struct str segment)
{
    return str_eq(segment, STR("*"));
}

static uint32_t rank_at(size_t segment, enum segment_fit fit)
{
    ensure(segment < SEGMENTS_RANKED);
    return (uint32_t)fit << (2 * (SEGMENTS_RANKED - 1 - segment));
}

/* Both without their outer slashes. */
static struct fit pattern_fit(struct str pattern_rest, struct str path_rest)
{
    const struct fit none = {0};
    struct fit f = {0};
    struct str want, got;
    size_t n_params = 0;

    for (size_t i = 0; str_next(&pattern_rest, '/', &want); i++) {
        bool is_param = segment_is_param(want);
        ensure(n_params < PARAMS || !is_param);
        if (segment_is_rest(want)) {
            if (str_is_absent(path_rest))
                return none;
            ensure(n_params < PARAMS);
            f.params[n_params] = path_rest;
            f.rank |= rank_at(i, FIT_REST);
            return f;
        }
        if (!str_next(&path_rest, '/', &got))
            return none;
        if (is_param && got.n > 0) {
            f.params[n_params++] = got;
            f.rank |= rank_at(i, FIT_PARAM);
        } else if (!is_param && str_eq(want, got)) {
            f.rank |= rank_at(i, FIT_LITERAL);
        } else {
            return none;
        }
    }
    return str_is_absent(path_rest) ? f : none;
}

/* The methods of one row, or of several that share the path: then joined in memory of this thread
 * until the next call. */
static struct str allow_join(struct str allow, struct str more)
{
    static _Thread_local char joined[ALLOW_SIZE];
    if (more.n == 0 || allow.n + 1 + more.n > sizeof joined)
        return allow;
    memmove(joined, allow.p, allow.n);
    joined[allow.n] = ' ';
    memcpy(joined + allow.n + 1, more.p, more.n);
    return (struct str){joined, allow.n + 1 + more.n};
}

/* ---- groups ---- */

static size_t first_hash(struct str segment)
{
    if (segment.n == 0)
        return 0;
    size_t sum = 4 * segment.n + (size_t)segment.p[0] + (size_t)segment.p[segment.n - 1];
    return sum % ROUTER_FIRSTS;
}

/* How many segments, less one; from a number on they count as that many. */
static size_t depth_of(struct str inner)
{
    size_t depth = 0;
    for (size_t i = 0; i < inner.n && depth < ROUTER_DEPTHS - 1; i++)
        depth += inner.p[i] == '/';
    return depth;
}

static size_t group_at(size_t depth, size_t hash)
{
    return depth * ROUTER_FIRSTS + hash;
}

/* Whether a path of the group can meet the pattern. */
static bool may_meet(struct str pattern, size_t depth, size_t hash)
{
    size_t least = depth_of(pattern);
    struct str rest = pattern, first, last = STR_NONE;
    str_next(&rest, '/', &first);
    bool takes_any = segment_is_param(first) || segment_is_rest(first);
    if (!takes_any && first_hash(first) != hash)
        return false;
    rest = pattern;
    while (str_next(&rest, '/', &last))
        continue;
    return segment_is_rest(last) ? depth >= least : depth == least;
}

static void group_fill(struct router *r, size_t depth, size_t hash, const struct route *table,
                       size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct str pattern = path_inner(str_c(table[i].pattern));
        if (!may_meet(pattern, depth, hash))
            continue;
        ensure(r->n_rows < ROUTER_ROWS);
        r->rows[r->n_rows++] = (struct router_row){&table[i], pattern, str_c(table[i].methods)};
    }
}

void router_init(struct router *r, const struct route *table, size_t n)
{
    r->n_rows = 0;
    for (size_t depth = 0; depth < ROUTER_DEPTHS; depth++) {
        for (size_t hash = 0; hash < ROUTER_FIRSTS; hash++) {
            r->starts[group_at(depth, hash)] = r->n_rows;
            group_fill(r, depth, hash, table, n);
        }
    }
    r->starts[ROUTER_GROUPS] = r->n_rows;
}

enum route_match router_find(const struct router *r, struct str method, struct str path,
                             const struct route **out, struct str params[4], struct str *allow)
{
    uint32_t best = 0;
    bool is_allowed = false;
    if (path.n == 0 || path.p[0] != '/')
        return ROUTE_NONE;
    struct str inner = path_inner(path);
    struct str first = str_slice(inner, 0, str_find_char(inner, '/'));
    size_t group = group_at(depth_of(inner), first_hash(first));
    for (size_t i = r->starts[group]; i < r->starts[group + 1]; i++) {
        const struct router_row *row = &r->rows[i];
        struct fit f = pattern_fit(row->pattern, inner);
        if (f.rank == 0 || f.rank < best)
            continue;
        *allow = f.rank > best ? row->methods : allow_join(*allow, row->methods);
        if (f.rank > best)
            is_allowed = false;
        best = f.rank;
        if (str_list_has(row->methods, method)) {
            is_allowed = true;
            *out = row->route;
            memcpy(params, f.params, sizeof f.params);
        }
    }
    if (best == 0)
        return ROUTE_NONE;
    return is_allowed ? ROUTE_FOUND : ROUTE_METHOD;
}
