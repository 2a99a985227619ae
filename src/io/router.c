/* The route table, searched line by line: a few dozen patterns, each told apart by its first bytes.
 */
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

static uint32_t rank_at(size_t segment, enum segment_fit fit)
{
    ensure(segment < SEGMENTS_RANKED);
    return (uint32_t)fit << (2 * (SEGMENTS_RANKED - 1 - segment));
}

static struct fit pattern_fit(struct str pattern, struct str path)
{
    const struct fit none = {0};
    struct fit f = {0};
    struct str pattern_rest = path_inner(pattern);
    struct str path_rest = path_inner(path);
    struct str want, got;
    size_t n_params = 0;

    for (size_t i = 0; str_next(&pattern_rest, '/', &want); i++) {
        bool is_param = want.n > 1 && want.p[0] == ':';
        ensure(n_params < PARAMS || !is_param);
        if (str_eq(want, STR("*"))) {
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

/* Most patterns are out of question by their first byte. */
static bool may_fit(const char *pattern, struct str path)
{
    char first = pattern[1];
    return path.n < 2 || path.p[1] == '/' || first == ':' || first == '*' || first == path.p[1];
}

enum route_match router_find(const struct route *table, size_t n, struct str method,
                             struct str path, const struct route **out, struct str params[4],
                             struct str *allow)
{
    uint32_t best = 0;
    bool is_allowed = false;
    if (path.n == 0 || path.p[0] != '/')
        return ROUTE_NONE;
    for (size_t i = 0; i < n; i++) {
        if (!may_fit(table[i].pattern, path))
            continue;
        struct fit f = pattern_fit(str_c(table[i].pattern), path);
        if (f.rank == 0 || f.rank < best)
            continue;
        struct str methods = str_c(table[i].methods);
        *allow = f.rank > best ? methods : allow_join(*allow, methods);
        if (f.rank > best)
            is_allowed = false;
        best = f.rank;
        if (str_list_has(methods, method)) {
            is_allowed = true;
            *out = &table[i];
            memcpy(params, f.params, sizeof f.params);
        }
    }
    if (best == 0)
        return ROUTE_NONE;
    return is_allowed ? ROUTE_FOUND : ROUTE_METHOD;
}
