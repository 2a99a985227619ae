#include "auth/oauth/challenge.h"

#include "auth/oauth/metadata.h"
#include "auth/oauth/resource.h"
#include "auth/oauth/wire.h"

static const char *error_of(enum challenge kind)
{
    switch (kind) {
    case CHALLENGE_INVALID:
        return ", error=\"invalid_token\", error_description=\"the access token or API key is not "
               "valid\"";
    case CHALLENGE_INSUFFICIENT:
        return ", error=\"insufficient_scope\", error_description=\"the access token has not the "
               "scope for this\"";
    default:
        return "";
    }
}

void challenge_set(struct http_request *rq, enum challenge kind)
{
    struct str path = rq->path;
    struct str where = STR("");
    bool is_mcp = str_starts(path, STR("/mcp")) && resource_path_is_good(path);
    if (is_mcp && path.p[path.n - 1] == '/')
        path.n--;
    if (is_mcp)
        where = arena_printf(rq->arena, ", resource_metadata=\"%.*s%s%.*s\"",
                             STR_FMT(wire_origin(rq)), METADATA_RESOURCE_PATH, STR_FMT(path));
    struct str value =
        arena_printf(rq->arena, "Bearer realm=\"tulle\"%.*s, scope=\"%s\"%s", STR_FMT(where),
                     metadata_scope_of(is_mcp ? path : STR("/mcp")), error_of(kind));
    if (!str_is_absent(value))
        http_set_header(rq, STR("WWW-Authenticate"), value);
}
