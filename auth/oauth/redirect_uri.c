#include "auth/oauth/redirect_uri.h"

#include "base/limits.h"

static bool refused(struct err *e, struct str uri, const char *why)
{
    return err_set(e, ERR_REDIRECT_URI, "the redirect URI \"%.*s\" %s",
                   STR_FMT(str_slice(uri, 0, 120)), why);
}

/* Schemes that a browser runs or reads on the spot. */
static bool scheme_is_dangerous(struct str scheme)
{
    static const struct str list[] = {
        STR("javascript"), STR("data"),        STR("vbscript"),        STR("file"), STR("blob"),
        STR("about"),      STR("view-source"), STR("chrome"),          STR("ws"),   STR("wss"),
        STR("ftp"),        STR("filesystem"),  STR("chrome-extension")};
    for (size_t i = 0; i < ARRAY_LEN(list); i++)
        if (str_ieq(scheme, list[i]))
            return true;
    return false;
}

static bool is_loopback_http(const struct uri *u)
{
    return str_ieq(u->scheme, STR("http")) && uri_host_is_loopback(u->host);
}

/* Dot segments, also escaped: what is compared byte for byte must mean what it says. */
static bool has_dot_segment(struct str path)
{
    struct str rest = path, segment;
    while (str_next(&rest, '/', &segment)) {
        size_t dots = 0, i = 0;
        while (i < segment.n) {
            if (segment.p[i] == '.')
                i++;
            else if (str_ieq(str_slice(segment, i, 3), STR("%2e")))
                i += 3;
            else
                break;
            dots++;
        }
        if (i == segment.n && (dots == 1 || dots == 2))
            return true;
    }
    return false;
}

/* Nothing that would mean something else where the host is shown or written into a policy. */
static bool host_is_plain(const struct uri *u)
{
    for (size_t i = 0; i < u->host.n; i++) {
        char c = u->host.p[i];
        bool is_name = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '.' || c == '-' || c == '_' || (c == ':' && u->host_is_ipv6);
        if (!is_name)
            return false;
    }
    return true;
}

bool redirect_uri_check(struct str uri, struct err *e)
{
    struct uri u;
    if (uri.n > LIMIT_URL)
        return refused(e, uri, "is too long");
    if (!uri_parse(uri, &u) || str_find_char(uri, '\\') != SIZE_MAX)
        return refused(e, uri, "is no absolute URI");
    if (!str_is_absent(u.fragment))
        return refused(e, uri, "has a fragment");
    if (!str_is_absent(u.userinfo))
        return refused(e, uri, "has user information");
    if (str_find_char(uri, '*') != SIZE_MAX)
        return refused(e, uri, "has a wildcard");
    if (has_dot_segment(u.path))
        return refused(e, uri, "has a dot segment");
    if (scheme_is_dangerous(u.scheme))
        return refused(e, uri, "has a scheme that is not allowed");
    if (uri_is_http(&u) && u.host.n == 0)
        return refused(e, uri, "has no host");
    if (!host_is_plain(&u))
        return refused(e, uri, "has a host that is no name");
    if (str_ieq(u.scheme, STR("http")) && !is_loopback_http(&u))
        return refused(e, uri, "is http to a host that is not loopback; use https");
    return true;
}

/* A URI before and behind its port. */
static void port_cut(struct str uri, const struct uri *u, struct str *before, struct str *behind)
{
    size_t at = (size_t)(u->host.p - uri.p) + u->host.n + (u->host_is_ipv6 ? 1 : 0);
    *before = str_slice(uri, 0, at);
    struct str rest = str_slice(uri, at, SIZE_MAX);
    size_t n = 0;
    if (rest.n > 0 && rest.p[0] == ':')
        for (n = 1; n < rest.n && rest.p[n] >= '0' && rest.p[n] <= '9';)
            n++;
    *behind = str_slice(rest, n, SIZE_MAX);
}

bool redirect_uri_matches(struct str registered, struct str given)
{
    struct uri r, g;
    if (str_eq(registered, given))
        return true;
    if (given.n > LIMIT_URL || !uri_parse(registered, &r) || !uri_parse(given, &g) ||
        !is_loopback_http(&r) || !is_loopback_http(&g) || !str_is_absent(g.userinfo))
        return false;
    struct str r_before, r_behind, g_before, g_behind;
    port_cut(registered, &r, &r_before, &r_behind);
    port_cut(given, &g, &g_before, &g_behind);
    return str_eq(r_before, g_before) && str_eq(r_behind, g_behind);
}

bool redirect_uri_is_listed(struct str list, struct str given)
{
    struct str rest = list, one;
    while (str_next(&rest, ' ', &one))
        if (redirect_uri_matches(one, given))
            return true;
    return false;
}

struct str redirect_uri_host(struct arena *a, struct str uri)
{
    struct uri u;
    if (!uri_parse(uri, &u))
        return STR("?");
    if (uri_is_http(&u))
        return arena_dup(a, u.host);
    return arena_printf(a, "%.*s:%s%.*s", STR_FMT(u.scheme), u.host.n ? "//" : "", STR_FMT(u.host));
}

struct str redirect_uri_origin(struct arena *a, struct str uri)
{
    struct uri u;
    if (!uri_parse(uri, &u))
        return STR("'none'");
    return uri_is_http(&u) ? uri_origin(a, &u) : arena_printf(a, "%.*s:", STR_FMT(u.scheme));
}

bool redirect_uri_is_remote(struct str uri)
{
    struct uri u;
    return uri_parse(uri, &u) && str_ieq(u.scheme, STR("https")) && !uri_host_is_loopback(u.host);
}
