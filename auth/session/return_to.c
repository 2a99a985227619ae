#include "auth/session/return_to.h"

#include "base/limits.h"
#include "base/text.h"

struct str return_to_safe(struct str path)
{
    bool is_path = path.n > 0 && path.p[0] == '/' && path.n <= LIMIT_URL;
    if (!is_path || (path.n > 1 && (path.p[1] == '/' || path.p[1] == '\\')))
        return STR("/");
    for (size_t i = 0; i < path.n; i++)
        if (path.p[i] <= 0x20 || path.p[i] >= 0x7F || path.p[i] == '\\')
            return STR("/");
    return path;
}

struct str return_to_login(struct arena *a, struct str path_and_query)
{
    struct buf out;
    buf_init(&out, (size_t)LIMIT_URL * 4);
    buf_add(&out, STR("/login?return_to="));
    text_percent_encode(&out, return_to_safe(path_and_query));
    struct str location = buf_ok(&out) ? arena_dup(a, buf_str(&out)) : STR_NONE;
    buf_end(&out);
    return location;
}
