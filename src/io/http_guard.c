/* Decisions over the special-use tables (http_guard_addr.c) and the rules of EGRESS_ALLOW
 * (http_guard_rules.c). */
#include "io/http_guard.h"

#include <netdb.h>
#include <stdlib.h>

#include "base/uri.h"
#include "io/http_guard_parts.h"

enum { MAX_RULES = 1024, MAX_DATABASE_ADDRESSES = 16 };

struct http_guard {
    char *text; /* the rules' names point into it */
    struct guard_rule *rules;
    size_t n_rules;
    bool allow_loopback;
    int own_port;
    char *database_host; /* NULL: none */
    int database_port;
    bool database_is_own; /* it listens on this machine */
    struct guard_addr database[MAX_DATABASE_ADDRESSES];
    size_t n_database;
};

/* One destination under judgement. */
struct target {
    struct str host; /* as written, without a trailing dot */
    bool host_is_v6;
    bool has_addr;
    struct guard_addr addr;
    int port;
    bool is_plain; /* http, not https */
};

static bool rules_read(struct http_guard *g, const char *setting, struct err *e);
static void database_resolve(struct http_guard *g, const char *host, int port);
static bool judge(const struct http_guard *g, const struct target *t, struct err *e);

struct http_guard *http_guard_new(const struct http_guard_config *c, struct err *e)
{
    struct http_guard *g = calloc(1, sizeof *g);
    if (!g) {
        err_set(e, ERR_UNAVAILABLE, "out of memory");
        return NULL;
    }
    g->allow_loopback = c->allow_loopback;
    g->own_port = c->own_port;
    if (!rules_read(g, c->egress_allow ? c->egress_allow : "", e)) {
        http_guard_free(g);
        return NULL;
    }
    if (c->database_port > 0)
        database_resolve(g, c->database_host, c->database_port);
    return g;
}

void http_guard_free(struct http_guard *g)
{
    if (!g)
        return;
    free(g->text);
    free(g->rules);
    free(g->database_host);
    free(g);
}

/* RFC 6761 6.3: localhost and what is below it. */
static bool is_localhost(struct str host)
{
    return str_ieq(host, STR("localhost")) ||
           (host.n > 10 && str_ieq(str_slice(host, host.n - 10, 10), STR(".localhost")));
}

static struct str without_dot(struct str host)
{
    return str_ends(host, STR(".")) ? str_slice(host, 0, host.n - 1) : host;
}

bool http_guard_url(const struct http_guard *g, struct str url, struct err *e)
{
    struct uri u;
    if (!uri_parse(url, &u) || !uri_is_http(&u) || u.host.n == 0)
        return err_set(e, ERR_EGRESS, "only http and https addresses with a host can be called");
    if (!str_is_absent(u.userinfo))
        return err_set(e, ERR_EGRESS, "an address must not hold a user name or password");
    for (size_t i = 0; i < u.host.n && !u.host_is_ipv6; i++) {
        char ch = u.host.p[i];
        bool ok = (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') ||
                  (ch >= '0' && ch <= '9') || ch == '-' || ch == '_' || ch == '.';
        if (!ok)
            return err_set(e, ERR_EGRESS, "the address's host has characters that no host has");
    }
    struct target t = {.host = without_dot(u.host),
                       .host_is_v6 = u.host_is_ipv6,
                       .port = uri_port(&u),
                       .is_plain = str_ieq(u.scheme, STR("http"))};
    t.has_addr = guard_addr_parse(t.host, &t.addr);
    if (u.host_is_ipv6 && !t.has_addr)
        return err_set(e, ERR_EGRESS, "the address's host is not an IPv6 address");
    if (!t.has_addr && is_localhost(t.host))
        t.has_addr = guard_addr_parse(STR("127.0.0.1"), &t.addr);
    return judge(g, &t, e);
}

static bool judge_sock(const struct http_guard *g, struct target *t, const struct sockaddr *addr,
                       struct err *e)
{
    t->host_is_v6 = str_find_char(t->host, ':') != SIZE_MAX;
    t->has_addr = true;
    if (!guard_addr_from_sock(addr, &t->addr))
        return err_set(e, ERR_EGRESS, "only IPv4 and IPv6 destinations can be called");
    return judge(g, t, e);
}

bool http_guard_address(const struct http_guard *g, struct str host, const struct sockaddr *addr,
                        int port, struct err *e)
{
    struct target t = {.host = without_dot(host), .port = port};
    return judge_sock(g, &t, addr, e);
}

bool http_guard_address_plain(const struct http_guard *g, struct str host,
                              const struct sockaddr *addr, int port, struct err *e)
{
    struct target t = {.host = without_dot(host), .port = port, .is_plain = true};
    return judge_sock(g, &t, addr, e);
}

/* Cuts the next word off *rest; commas and spaces separate. */
static struct str next_word(struct str *rest)
{
    static const struct str separators = STR(", \t\r\n");
    size_t from = 0;
    while (from < rest->n && str_find_char(separators, rest->p[from]) != SIZE_MAX)
        from++;
    size_t to = from;
    while (to < rest->n && str_find_char(separators, rest->p[to]) == SIZE_MAX)
        to++;
    struct str word = str_slice(*rest, from, to - from);
    *rest = str_slice(*rest, to, rest->n - to);
    return word;
}

static bool rules_read(struct http_guard *g, const char *setting, struct err *e)
{
    g->text = strdup(setting);
    if (!g->text)
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    struct str rest = str_c(g->text);
    size_t n = 0;
    while (next_word(&rest).n > 0)
        n++;
    if (n > MAX_RULES)
        return err_set(e, ERR_INVALID, "EGRESS_ALLOW has %zu entries; at most %d are read", n,
                       MAX_RULES);
    g->rules = calloc(n + 1, sizeof *g->rules);
    if (!g->rules)
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    rest = str_c(g->text);
    for (g->n_rules = 0; g->n_rules < n; g->n_rules++) {
        if (!guard_rule_parse(next_word(&rest), &g->rules[g->n_rules], e))
            return false;
    }
    return true;
}

/* A database without a host (or with a socket's path) is taken to listen on this machine's port as
 * well. */
static void database_resolve(struct http_guard *g, const char *host, int port)
{
    g->database_port = port;
    if (!host || host[0] == 0 || host[0] == '/') {
        g->database_is_own = true;
        return;
    }
    g->database_host = strdup(host);
    struct addrinfo *all = NULL;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    if (getaddrinfo(host, NULL, &hints, &all) != 0)
        return; /* the store's own start says so better than this could */
    for (const struct addrinfo *i = all; i && g->n_database < MAX_DATABASE_ADDRESSES;
         i = i->ai_next) {
        struct guard_addr *a = &g->database[g->n_database];
        if (!guard_addr_from_sock(i->ai_addr, a))
            continue;
        g->n_database++;
        if (guard_addr_is_own(a))
            g->database_is_own = true;
    }
    freeaddrinfo(all);
}

static bool rule_names(const struct guard_rule *r, const struct target *t)
{
    return guard_rule_names_host(r, t->host, t->port) ||
           (t->has_addr && guard_rule_covers(r, &t->addr, t->port));
}

/* Named with its port, as a host or an address: the only way to what is dangerous. */
static bool is_named_exactly(const struct http_guard *g, const struct target *t, bool by_host)
{
    for (size_t i = 0; i < g->n_rules; i++) {
        const struct guard_rule *r = &g->rules[i];
        bool is_exact = r->kind == RULE_ADDRESS || (r->kind == RULE_HOST && by_host);
        if (r->port != 0 && is_exact && rule_names(r, t))
            return true;
    }
    return false;
}

static bool is_allowed(const struct http_guard *g, const struct target *t)
{
    if (t->has_addr && g->allow_loopback && guard_addr_is_loopback(&t->addr))
        return true;
    for (size_t i = 0; i < g->n_rules; i++) {
        if (rule_names(&g->rules[i], t))
            return true;
    }
    return false;
}

/* A name whose address is not known yet may still turn out to be covered. */
static bool may_become_allowed(const struct http_guard *g, const struct target *t)
{
    if (t->has_addr)
        return false;
    bool may = g->allow_loopback;
    for (size_t i = 0; i < g->n_rules && !may; i++) {
        const struct guard_rule *r = &g->rules[i];
        may = (r->kind == RULE_CIDR || r->kind == RULE_ADDRESS) &&
              (r->port == 0 || r->port == t->port);
    }
    return may;
}

static bool is_database(const struct http_guard *g, const struct target *t)
{
    if (g->database_port == 0 || t->port != g->database_port)
        return false;
    if (g->database_host && str_ieq(t->host, str_c(g->database_host)))
        return true;
    for (size_t i = 0; t->has_addr && i < g->n_database; i++) {
        if (guard_addr_equal(&t->addr, &g->database[i]))
            return true;
    }
    return t->has_addr && g->database_is_own && guard_addr_is_own(&t->addr);
}

static bool refuse(const struct target *t, const char *what, struct err *e)
{
    const char *left = t->host_is_v6 ? "[" : "", *right = t->host_is_v6 ? "]" : "";
    return err_set(e, ERR_EGRESS, "%s; to allow this one, add %s%.*s%s:%d to EGRESS_ALLOW", what,
                   left, STR_FMT(str_slice(t->host, 0, 253)), right, t->port);
}

/* A metadata service may hide behind any name: its address must be what is named, or one of its own
 * known names. */
static bool judge_metadata(const struct http_guard *g, const struct target *t, bool *is_metadata,
                           struct err *e)
{
    static const char what[] = "calls to cloud metadata services are refused";
    bool by_name = guard_host_is_metadata(t->host);
    struct guard_addr exact;
    bool by_addr = t->has_addr && guard_addr_is_metadata(&t->addr, &exact);
    *is_metadata = by_name || by_addr;
    if (!*is_metadata || is_named_exactly(g, t, by_name))
        return true;
    if (by_name)
        return refuse(t, what, e);
    char text[GUARD_ADDR_TEXT];
    guard_addr_format(&exact, text);
    return err_set(e, ERR_EGRESS, "%s; to allow this one, add %s:%d to EGRESS_ALLOW", what, text,
                   t->port);
}

static bool judge(const struct http_guard *g, const struct target *t, struct err *e)
{
    bool is_metadata;
    if (!judge_metadata(g, t, &is_metadata, e))
        return false;
    if (is_metadata)
        return true;
    bool is_own = t->port == g->own_port && t->has_addr && guard_addr_is_own(&t->addr);
    if ((is_own || is_database(g, t)) && !is_named_exactly(g, t, true))
        return refuse(t,
                      is_own ? "calls to Tulle's own port are refused"
                             : "calls to Tulle's database are refused",
                      e);
    if (is_allowed(g, t))
        return true;
    if (t->has_addr && guard_addr_is_special(&t->addr))
        return refuse(t, "calls to private and special addresses are refused", e);
    if (t->is_plain && !may_become_allowed(g, t))
        return refuse(t, "calls over plain http are refused, https is not", e);
    return true;
}
