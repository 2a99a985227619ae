#include "base/shape.h"

#include "base/limits.h"
#include "base/uri.h"

static bool is_port(struct str s)
{
    int64_t port;
    return str_to_i64(s, 1, 65535, &port);
}

static bool is_host_name(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = (char)(s.p[i] | 0x20);
        if (!(c >= 'a' && c <= 'z') && !(s.p[i] >= '0' && s.p[i] <= '9') && s.p[i] != '-' &&
            s.p[i] != '.' && s.p[i] != '_')
            return false;
    }
    return s.n > 0 && s.p[0] != '.' && s.p[0] != '-';
}

/* An address, or one with the length of its prefix. */
bool shape_is_cidr(struct str s)
{
    struct str address;
    int64_t bits;
    str_next(&s, '/', &address);
    int version = uri_ip_version(address);
    return version != 0 && (str_is_absent(s) || str_to_i64(s, 0, version == 4 ? 32 : 128, &bits));
}

/* CIDR[:port], host[:port], *.suffix; IPv6 with a port in brackets */
bool shape_is_destination(struct str s)
{
    if (str_starts(s, STR("*.")))
        return is_host_name(str_slice(s, 2, SIZE_MAX));
    if (str_starts(s, STR("["))) {
        size_t end = str_find_char(s, ']');
        if (end == SIZE_MAX || !shape_is_cidr(str_slice(s, 1, end - 1)))
            return false;
        s = str_slice(s, end + 1, SIZE_MAX);
        return s.n == 0 || (s.p[0] == ':' && is_port(str_slice(s, 1, SIZE_MAX)));
    }
    if (shape_is_cidr(s))
        return true;
    struct str host;
    str_next(&s, ':', &host);
    return (shape_is_cidr(host) || is_host_name(host)) && (str_is_absent(s) || is_port(s));
}

bool shape_is_http_url(struct str s)
{
    struct uri u;
    return uri_parse(s, &u) && uri_is_http(&u) && str_is_absent(u.fragment);
}

bool shape_is_origin(struct str s)
{
    struct uri u;
    return shape_is_http_url(s) && uri_parse(s, &u) && str_is_absent(u.userinfo) &&
           str_is_absent(u.query) && (u.path.n == 0 || str_eq(u.path, STR("/")));
}

/* Cookies and tokens travel over it: plain http only where nobody can listen in. */
bool shape_is_base_url(struct str s)
{
    struct uri u;
    return shape_is_origin(s) && uri_parse(s, &u) &&
           (str_ieq(u.scheme, STR("https")) || uri_host_is_loopback(u.host));
}

/* Every piece between commas passes. */
static bool is_list_of(struct str s, bool (*is_piece)(struct str))
{
    struct str piece;
    while (str_next(&s, ',', &piece))
        if (!is_piece(str_trim(piece)))
            return false;
    return true;
}

bool shape_is_cidr_list(struct str s)
{
    return is_list_of(s, shape_is_cidr);
}

bool shape_is_origin_list(struct str s)
{
    return is_list_of(s, shape_is_origin);
}

bool shape_is_destination_list(struct str s)
{
    return is_list_of(s, shape_is_destination);
}

bool shape_is_listen_host(struct str s)
{
    return str_eq(s, STR("localhost")) || uri_ip_version(s) != 0;
}

bool shape_is_database_url(struct str s)
{
    static const struct str starts[] = {{"sqlite:", 7}, {"postgresql://", 13}, {"postgres://", 11}};
    for (size_t i = 0; i < ARRAY_LEN(starts); i++)
        if (str_starts(s, starts[i]))
            return s.n > starts[i].n;
    return false;
}

bool shape_is_email(struct str s)
{
    size_t at = str_find_char(s, '@');
    return s.n <= LIMIT_EMAIL && at != SIZE_MAX && at > 0 && str_find_char(s, ' ') == SIZE_MAX &&
           is_host_name(str_slice(s, at + 1, SIZE_MAX));
}

/* "name@host" or "Name <name@host>" */
bool shape_is_sender(struct str s)
{
    size_t open = str_find_char(s, '<');
    if (open == SIZE_MAX)
        return shape_is_email(s);
    return str_ends(s, STR(">")) && shape_is_email(str_slice(s, open + 1, s.n - open - 2));
}

bool shape_is_smtp_url(struct str s)
{
    struct uri u;
    return uri_parse(s, &u) && u.host.n > 0 &&
           (str_ieq(u.scheme, STR("smtp")) || str_ieq(u.scheme, STR("smtps")));
}

bool shape_is_audit_stream(struct str s)
{
    return str_eq(s, STR("stdout")) || str_eq(s, STR("syslog")) ||
           (str_starts(s, STR("file:")) && s.n > sizeof("file:") - 1);
}

bool shape_is_resolver(struct str s)
{
    return str_find_char(s, '/') == SIZE_MAX && str_find_char(s, '*') == SIZE_MAX &&
           shape_is_destination(s);
}
