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

enum route_match { ROUTE_NONE, ROUTE_METHOD, ROUTE_FOUND };
/* ROUTE_METHOD: the path is known, the method is not; *allow receives the methods
   (valid until the thread's next call). Static segments win over parameters. */
enum route_match router_find(const struct route *table, size_t n, struct str method,
                             struct str path, const struct route **out, struct str params[4],
                             struct str *allow);
