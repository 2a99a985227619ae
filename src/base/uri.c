#include "base/uri.h"

#include <arpa/inet.h>

#include "base/limits.h"
#include "base/text.h"

/* The five parts of any reference (RFC 3986 appendix B), relative ones included. */
struct parts {
    struct str scheme, authority, path, query,
        fragment; /* absent when not there; path may be empty */
};

static bool is_alpha(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* Where a byte may stand. What may stand in one of these may stand in all of those before it. */
enum place { NOWHERE, IN_QUERY, IN_PATH, IN_USERINFO, IN_HOST, IN_SCHEME };

static const unsigned char place_of[256] = {
    ['a' ... 'z'] = IN_SCHEME, ['A' ... 'Z'] = IN_SCHEME, ['0' ... '9'] = IN_SCHEME,
    ['+'] = IN_SCHEME,         ['-'] = IN_SCHEME,         ['.'] = IN_SCHEME,
    ['_'] = IN_HOST,           ['~'] = IN_HOST,           ['!'] = IN_HOST,
    ['$'] = IN_HOST,           ['&'] = IN_HOST,           ['\''] = IN_HOST,
    ['('] = IN_HOST,           [')'] = IN_HOST,           ['*'] = IN_HOST,
    [','] = IN_HOST,           [';'] = IN_HOST,           ['='] = IN_HOST,
    [':'] = IN_USERINFO,       ['@'] = IN_PATH,           ['/'] = IN_PATH,
    ['?'] = IN_QUERY,          ['['] = IN_QUERY,          [']'] = IN_QUERY,
};

/* Of bytes that may stand there, and of escapes with two hex digits. */
static bool is_made_of(struct str s, enum place place)
{
    for (size_t i = 0; i < s.n; i++) {
        if (place_of[(unsigned char)s.p[i]] >= place)
            continue;
        if (s.p[i] != '%' || s.n - i < 3 || !is_hex(s.p[i + 1]) || !is_hex(s.p[i + 2]))
            return false;
        i += 2;
    }
    return true;
}

static bool is_scheme(struct str s)
{
    return s.n > 0 && is_alpha(s.p[0]) && str_find_char(s, '%') == SIZE_MAX &&
           is_made_of(s, IN_SCHEME);
}

/* Cuts what follows `mark` off *s; absent when there is none. */
static struct str cut_after(struct str *s, char mark)
{
    size_t at = str_find_char(*s, mark);
    if (at == SIZE_MAX)
        return STR_NONE;
    struct str tail = str_slice(*s, at + 1, SIZE_MAX);
    s->n = at;
    return tail;
}

/* Every byte of a URI is one of RFC 3986 section 2: no controls, spaces, quotes, backslashes,
 * braces. */
static bool split(struct str s, struct parts *out)
{
    struct parts r = {0};
    r.fragment = cut_after(&s, '#');
    r.query = cut_after(&s, '?');
    size_t colon = str_find_char(s, ':');
    size_t slash = str_find_char(s, '/');
    if (colon != SIZE_MAX && (slash == SIZE_MAX || colon < slash)) {
        r.scheme = str_slice(s, 0, colon);
        s = str_slice(s, colon + 1, SIZE_MAX);
        if (!is_scheme(r.scheme))
            return false;
    }
    if (str_starts(s, STR("//"))) {
        s = str_slice(s, 2, SIZE_MAX);
        slash = str_find_char(s, '/');
        r.authority = str_slice(s, 0, slash);
        s = str_slice(s, slash == SIZE_MAX ? s.n : slash, SIZE_MAX);
    }
    r.path = s;
    *out = r;
    return is_made_of(r.path, IN_PATH) && is_made_of(r.query, IN_QUERY) &&
           is_made_of(r.fragment, IN_QUERY);
}

static bool is_address(int family, struct str s)
{
    char text[INET6_ADDRSTRLEN];
    unsigned char address[sizeof(struct in6_addr)];
    if (s.n == 0 || s.n >= sizeof(text) || str_find_char(s, '\0') != SIZE_MAX)
        return false;
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    return inet_pton(family, text, address) == 1;
}

/* [userinfo@]host[:port] */
static bool read_authority(struct str s, struct uri *out)
{
    size_t at = str_find_char(s, '@');
    if (at != SIZE_MAX) {
        out->userinfo = str_slice(s, 0, at);
        s = str_slice(s, at + 1, SIZE_MAX);
        if (!is_made_of(out->userinfo, IN_USERINFO))
            return false;
    }
    struct str port = STR_NONE;
    if (s.n > 0 && s.p[0] == '[') {
        size_t end = str_find_char(s, ']');
        if (end == SIZE_MAX || (end + 1 < s.n && s.p[end + 1] != ':'))
            return false;
        out->host = str_slice(s, 1, end - 1);
        out->host_is_ipv6 = true;
        if (end + 1 < s.n)
            port = str_slice(s, end + 2, SIZE_MAX);
        if (!is_address(AF_INET6, out->host))
            return false;
    } else {
        port = cut_after(&s, ':');
        out->host = s;
        if (!is_made_of(s, IN_HOST))
            return false;
    }
    int64_t number = -1;
    if (!str_is_absent(port) && !str_to_i64(port, 0, 65535, &number))
        return false;
    out->port = (int)number;
    return true;
}

bool uri_parse(struct str s, struct uri *out)
{
    struct parts parts;
    if (!split(s, &parts) || str_is_absent(parts.scheme))
        return false;
    struct uri u = {
        .scheme = parts.scheme,
        .path = parts.path,
        .query = parts.query,
        .fragment = parts.fragment,
        .port = -1,
    };
    if (!str_is_absent(parts.authority) && !read_authority(parts.authority, &u))
        return false;
    if (uri_is_http(&u) && u.host.n == 0)
        return false;
    *out = u;
    return true;
}

bool uri_is_http(const struct uri *u)
{
    return str_ieq(u->scheme, STR("http")) || str_ieq(u->scheme, STR("https"));
}

static int default_port(struct str scheme)
{
    if (str_ieq(scheme, STR("https")))
        return 443;
    return str_ieq(scheme, STR("http")) ? 80 : -1;
}

int uri_port(const struct uri *u)
{
    return u->port >= 0 ? u->port : default_port(u->scheme);
}

struct str uri_origin(struct arena *a, const struct uri *u)
{
    const char *open = u->host_is_ipv6 ? "[" : "";
    const char *close = u->host_is_ipv6 ? "]" : "";
    char port[8] = "";
    if (u->port >= 0 && u->port != default_port(u->scheme))
        snprintf(port, sizeof(port), ":%d", u->port);
    struct str origin = arena_printf(a, "%.*s://%s%.*s%s%s", STR_FMT(u->scheme), open,
                                     STR_FMT(u->host), close, port);
    if (str_is_absent(origin))
        return STR_NONE;
    char *lowered = arena_cstr(a, origin);
    if (!lowered)
        return STR_NONE;
    text_lower(lowered, origin.n);
    return (struct str){lowered, origin.n};
}

int uri_ip_version(struct str host)
{
    if (is_address(AF_INET, host))
        return 4;
    return is_address(AF_INET6, host) ? 6 : 0;
}

bool uri_host_is_loopback(struct str host)
{
    if (str_ieq(host, STR("localhost")))
        return true;
    if (str_starts(host, STR("127.")))
        return is_address(AF_INET, host);
    char text[INET6_ADDRSTRLEN];
    struct in6_addr address;
    if (!is_address(AF_INET6, host))
        return false;
    memcpy(text, host.p, host.n);
    text[host.n] = '\0';
    return inet_pton(AF_INET6, text, &address) == 1 && IN6_IS_ADDR_LOOPBACK(&address);
}

/* Drops the last segment of the path written so far, with the '/' before it. */
static void drop_segment(struct buf *out)
{
    while (out->n > 0 && out->p[out->n - 1] != '/')
        out->n--;
    if (out->n > 0)
        out->n--;
}

/* RFC 3986 section 5.2.4 */
static void add_without_dots(struct buf *out, struct str in)
{
    while (in.n > 0) {
        if (str_starts(in, STR("../"))) {
            in = str_slice(in, 3, SIZE_MAX);
        } else if (str_starts(in, STR("./")) || str_starts(in, STR("/./"))) {
            in = str_slice(in, 2, SIZE_MAX);
        } else if (str_eq(in, STR("/."))) {
            in = STR("/");
        } else if (str_starts(in, STR("/../"))) {
            in = str_slice(in, 3, SIZE_MAX);
            drop_segment(out);
        } else if (str_eq(in, STR("/.."))) {
            in = STR("/");
            drop_segment(out);
        } else if (str_eq(in, STR(".")) || str_eq(in, STR(".."))) {
            return;
        } else {
            size_t next = str_find_char(str_slice(in, 1, SIZE_MAX), '/');
            size_t n = next == SIZE_MAX ? in.n : next + 1;
            buf_add(out, str_slice(in, 0, n));
            in = str_slice(in, n, SIZE_MAX);
        }
    }
}

/* RFC 3986 section 5.2.3, then 5.2.4 */
static void add_merged(struct buf *out, const struct parts *base, struct str ref_path)
{
    struct buf merged;
    buf_init(&merged, out->max);
    if (!str_is_absent(base->authority) && base->path.n == 0) {
        buf_add(&merged, STR("/"));
    } else {
        size_t n = base->path.n;
        while (n > 0 && base->path.p[n - 1] != '/')
            n--;
        buf_add(&merged, str_slice(base->path, 0, n));
    }
    buf_add(&merged, ref_path);
    if (!buf_ok(&merged))
        out->failed = true;
    add_without_dots(out, buf_str(&merged));
    buf_end(&merged);
}

/* The path and query of the target, RFC 3986 section 5.2.2, when the reference has no authority. */
static struct str resolve_path(struct buf *path, const struct parts *base, const struct parts *ref)
{
    if (ref->path.n == 0) {
        buf_add(path, base->path);
        return str_is_absent(ref->query) ? base->query : ref->query;
    }
    if (ref->path.p[0] == '/')
        add_without_dots(path, ref->path);
    else
        add_merged(path, base, ref->path);
    return ref->query;
}

struct str uri_resolve(struct arena *a, struct str base_text, struct str ref_text)
{
    struct parts base, ref;
    if (!split(base_text, &base) || str_is_absent(base.scheme) || !split(ref_text, &ref))
        return STR_NONE;
    struct str authority = str_is_absent(ref.authority) ? base.authority : ref.authority;
    struct str query = ref.query;
    struct buf path, out;
    buf_init(&path, (size_t)LIMIT_URL * 2);
    buf_init(&out, (size_t)LIMIT_URL * 2);
    if (!str_is_absent(ref.scheme)) {
        authority = ref.authority;
        add_without_dots(&path, ref.path);
    } else if (!str_is_absent(ref.authority)) {
        add_without_dots(&path, ref.path);
    } else {
        query = resolve_path(&path, &base, &ref);
    }

    buf_add(&out, str_is_absent(ref.scheme) ? base.scheme : ref.scheme);
    buf_add(&out, STR(":"));
    if (!str_is_absent(authority)) {
        buf_add(&out, STR("//"));
        buf_add(&out, authority);
    }
    buf_add(&out, buf_str(&path));
    if (!str_is_absent(query)) {
        buf_add(&out, STR("?"));
        buf_add(&out, query);
    }
    if (!str_is_absent(ref.fragment)) {
        buf_add(&out, STR("#"));
        buf_add(&out, ref.fragment);
    }
    struct uri check;
    bool is_good = buf_ok(&path) && buf_ok(&out) && uri_parse(buf_str(&out), &check);
    struct str result = is_good ? arena_dup(a, buf_str(&out)) : STR_NONE;
    buf_end(&path);
    buf_end(&out);
    return result;
}
