/*
 * The entries of EGRESS_ALLOW:
 *
 *   10.0.0.0/8  10.0.0.0/8:443  fd00::/8  [fd00::/8]:443     networks
 *   10.1.2.3  10.1.2.3:8080  ::1  [::1]:8080                 addresses, named exactly
 *   mcp.corp.example  mcp.corp.example:8080                  hosts, named exactly
 *   *.corp.example  *.corp.example:443                       everything below a name
 */
#include "io/http_guard_parts.h"

static bool bad(struct str text, const char *why, struct err *e)
{
    return err_set(e, ERR_INVALID,
                   "EGRESS_ALLOW: \"%.*s\" %s; expected CIDR[:port], host[:port] or *.suffix",
                   STR_FMT(str_slice(text, 0, 100)), why);
}

static bool is_host_name(struct str s)
{
    if (s.n == 0 || s.n > 253 || s.p[0] == '.' || s.p[s.n - 1] == '.')
        return false;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '-' || c == '_' || c == '.';
        if (!ok || (c == '.' && s.p[i + 1] == '.'))
            return false;
    }
    return true;
}

/* Cuts ":port" and the brackets of IPv6 off. */
static bool split_port(struct str text, struct str *rest, int *port)
{
    *port = 0;
    *rest = text;
    struct str digits;
    if (text.n > 0 && text.p[0] == '[') {
        size_t end = str_find_char(text, ']');
        if (end == SIZE_MAX)
            return false;
        *rest = str_slice(text, 1, end - 1);
        if (str_find_char(*rest, ':') == SIZE_MAX) /* brackets are for IPv6 */
            return false;
        if (end + 1 == text.n)
            return true;
        if (text.p[end + 1] != ':')
            return false;
        digits = str_slice(text, end + 2, SIZE_MAX - end - 2);
    } else {
        size_t colon = str_find_char(text, ':');
        if (colon == SIZE_MAX)
            return true;
        digits = str_slice(text, colon + 1, SIZE_MAX - colon - 1);
        if (str_find_char(digits, ':') != SIZE_MAX) /* bare IPv6: no port */
            return true;
        *rest = str_slice(text, 0, colon);
    }
    int64_t n;
    if (!str_to_i64(digits, 1, 65535, &n))
        return false;
    *port = (int)n;
    return true;
}

static bool parse_cidr(struct str text, struct str body, size_t slash, struct guard_rule *r,
                       struct err *e)
{
    struct str address = str_slice(body, 0, slash);
    if (!guard_addr_parse_strict(address, &r->net))
        return bad(text, "does not begin with an address", e);
    bool is_mapped = r->net.is_v4 && str_find_char(address, ':') != SIZE_MAX;
    int64_t bits;
    struct str length = str_slice(body, slash + 1, SIZE_MAX - slash - 1);
    if (!str_to_i64(length, is_mapped ? 96 : 0, r->net.is_v4 && !is_mapped ? 32 : 128, &bits))
        return bad(text, "has a bad prefix length", e);
    r->bits = (int)bits - (is_mapped ? 96 : 0);
    int total = r->net.is_v4 ? 32 : 128;
    for (int i = r->bits; i < total; i++) {
        if ((r->net.b[i / 8] >> (7 - i % 8)) & 1)
            return bad(text, "has address bits beyond its prefix length", e);
    }
    r->kind = RULE_CIDR;
    return true;
}

bool guard_rule_parse(struct str text, struct guard_rule *out, struct err *e)
{
    struct guard_rule r = {.port = 0};
    struct str body;
    if (!split_port(text, &body, &r.port))
        return bad(text, "has a bad port or brackets", e);

    size_t slash = str_find_char(body, '/');
    if (slash != SIZE_MAX) {
        if (!parse_cidr(text, body, slash, &r, e))
            return false;
    } else if (guard_addr_parse_strict(body, &r.net)) {
        r.kind = RULE_ADDRESS;
    } else if (str_starts(body, STR("*."))) {
        r.kind = RULE_SUFFIX;
        r.name = str_slice(body, 1, SIZE_MAX - 1);
        if (!is_host_name(str_slice(body, 2, SIZE_MAX - 2)))
            return bad(text, "is not a suffix", e);
    } else {
        struct guard_addr number;
        if (!is_host_name(body) || guard_addr_parse(body, &number))
            return bad(text, "is not a host, address or network", e);
        r.kind = RULE_HOST;
        r.name = body;
    }
    *out = r;
    return true;
}

bool guard_rule_names_host(const struct guard_rule *r, struct str host, int port)
{
    if (r->port != 0 && r->port != port)
        return false;
    if (r->kind == RULE_HOST)
        return str_ieq(r->name, host);
    if (r->kind == RULE_SUFFIX)
        return host.n > r->name.n &&
               str_ieq(str_slice(host, host.n - r->name.n, r->name.n), r->name);
    return false;
}

bool guard_rule_covers(const struct guard_rule *r, const struct guard_addr *a, int port)
{
    if (r->port != 0 && r->port != port)
        return false;
    if (r->kind == RULE_ADDRESS)
        return guard_addr_equal(&r->net, a);
    return r->kind == RULE_CIDR && guard_addr_in(a, &r->net, r->bits);
}
