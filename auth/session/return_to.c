#include "auth/session/return_to.h"

#include "base/buf.h"
#include "base/limits.h"

struct str return_to_safe(struct str path)
{
    bool is_path = path.n > 0 && path.p[0] == '/' && path.n <= LIMIT_RETURN_TO;
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
    struct str path = return_to_safe(path_and_query);
    buf_init(&out, (size_t)LIMIT_RETURN_TO * 4);
    buf_add(&out, STR("/login?return_to="));
    /* Only what would end or change the value is escaped (the rest is printable here): the request
     * of a program with a long state must still fit into the head of the next one. */
    for (size_t i = 0; i < path.n; i++)
        if (path.p[i] == '%' || path.p[i] == '&' || path.p[i] == '+' || path.p[i] == '#')
            buf_addf(&out, "%%%02X", (unsigned char)path.p[i]);
        else
            buf_add_char(&out, path.p[i]);
    struct str location = buf_ok(&out) ? arena_dup(a, buf_str(&out)) : STR_NONE;
    buf_end(&out);
    return location;
}
