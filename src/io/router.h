/* Matches a method and a raw path against a table. Patterns: "/mcp/:id", segments compared after no
   decoding; a trailing slash of the path is ignored; "*" as the last segment takes the rest. */
#pragma once

#include "io/http.h"

struct route {
    const char *methods; /* "GET", "POST GET DELETE"; OPTIONS and HEAD are handled by the guards */
    const char *pattern;
    int guard;       /* routes/guards.h */
    size_t body_max; /* bytes, from base/limits.h */
    void (*handle)(struct http_request *rq);
    const char *name; /* for metrics and logs: the pattern without ids */
};

enum {
    ROUTER_DEPTHS = 8,  /* numbers of segments that are told apart */
    ROUTER_FIRSTS = 32, /* hashes of first segments */
    ROUTER_GROUPS = ROUTER_DEPTHS * ROUTER_FIRSTS,
    ROUTER_ROWS = 256, /* in all groups; a row that begins with a parameter or ends with "*" is in
                          several */
};

/* A table made ready to be searched. Private, but for its size. */
struct router {
    uint16_t starts[ROUTER_GROUPS + 1];
    uint16_t n_rows;
    struct router_row {
        const struct route *route;
        struct str pattern, methods;
    } rows[ROUTER_ROWS]; /* by group, those of a group in the order of the table */
};

/* Keeps pointers into the table. More than ROUTER_ROWS are a bug. */
void router_init(struct router *r, const struct route *table, size_t n);

enum route_match { ROUTE_NONE, ROUTE_METHOD, ROUTE_FOUND };
/* ROUTE_METHOD: the path is known, the method is not; *allow receives the methods
   (valid until the thread's next call). Static segments win over parameters. */
enum route_match router_find(const struct router *r, struct str method, struct str path,
                             const struct route **out, struct str params[4], struct str *allow);
