#include "auth/oauth/resource.h"

#include "base/limits.h"
#include "base/text.h"
#include "base/uri.h"

enum { SEGMENTS_MAX = 3 };

static bool refused(struct err *e, struct str uri, const char *why)
{
    return err_set(e, ERR_INVALID_TARGET, "the resource \"%.*s\" %s",
                   STR_FMT(str_slice(uri, 0, 120)), why);
}

/* A slug or an id: what a path may hold without escapes. */
static bool segment_is_good(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '-' || c == '_'))
            return false;
    }
    return s.n > 0 && s.n <= 64;
}

/* The pieces of "/a/b/c" with at most one trailing slash; SIZE_MAX: ill-formed. */
static size_t segments_of(struct str path, struct str out[SEGMENTS_MAX])
{
    size_t n = 0;
    if (path.n == 0 || str_eq(path, STR("/")))
        return 0;
    if (path.p[0] != '/')
        return SIZE_MAX;
    if (path.p[path.n - 1] == '/')
        path.n--;
    struct str rest = str_slice(path, 1, SIZE_MAX), piece;
    while (str_next(&rest, '/', &piece)) {
        if (n == SEGMENTS_MAX || !segment_is_good(piece))
            return SIZE_MAX;
        out[n++] = piece;
    }
    return n;
}

static bool path_read(struct str path, struct resource_ref *out)
{
    struct str s[SEGMENTS_MAX];
    size_t n = segments_of(path, s);
    *out = (struct resource_ref){.kind = RESOURCE_OPEN};
    if (n == 0)
        return true;
    if (n == SIZE_MAX || !str_eq(s[0], STR("mcp")))
        return false;
    if (n == 1) {
        out->kind = RESOURCE_MANAGEMENT;
    } else if (str_eq(s[1], STR("hub"))) {
        out->kind = RESOURCE_HUB;
        out->org = n == 3 ? s[2] : STR_NONE;
    } else {
        out->kind = RESOURCE_CONNECTION;
        out->org = n == 3 ? s[1] : STR_NONE;
        out->connection = s[n - 1];
    }
    return true;
}

static bool origin_is_ours(const struct config *c, const struct uri *u)
{
    struct uri base;
    if (!uri_parse(str_c(c->origin), &base) || !uri_is_http(u))
        return false;
    if (c->base_is_loopback)
        return uri_host_is_loopback(u->host);
    return str_ieq(u->scheme, base.scheme) && str_ieq(u->host, base.host) &&
           uri_port(u) == uri_port(&base);
}

bool resource_parse(const struct config *c, struct str uri, struct resource_ref *out, struct err *e)
{
    struct uri u;
    *out = (struct resource_ref){.kind = RESOURCE_OPEN};
    if (uri.n == 0)
        return true;
    if (uri.n > LIMIT_URL || !uri_parse(uri, &u) || !uri_is_http(&u) || !str_is_absent(u.userinfo))
        return refused(e, uri, "is no absolute http URI");
    if (!str_is_absent(u.fragment))
        return refused(e, uri, "has a fragment");
    if (!origin_is_ours(c, &u) || !path_read(u.path, out))
        return refused(e, uri, "is nothing that this server protects");
    return true;
}

bool resource_path_is_good(struct str path)
{
    struct resource_ref ignored;
    return path_read(path, &ignored);
}
