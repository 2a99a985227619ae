/* What the operator's settings add to the client: HTTPS_PROXY, NO_PROXY and CA_BUNDLE. */
#include "io/http_client_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/limits.h"
#include "io/http_guard_parts.h"
#include "log/metrics.h"

/* ---- trust roots ---- */

static bool file_append(int to, const char *path)
{
    int from = open(path, O_RDONLY | O_CLOEXEC);
    if (from < 0)
        return false;
    char bytes[16384];
    ssize_t n;
    bool ok = true;
    while (ok && (n = read(from, bytes, sizeof bytes)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        ok = n > 0 && write(to, bytes, (size_t)n) == n;
    }
    int saved = errno;
    close(from);
    errno = saved;
    return ok && write(to, "\n", 1) == 1;
}

/*
 * The extra roots stand beside the system's, not in their place. Both go into one memory file,
 * because curl keeps what it has parsed (140 certificates, many milliseconds) only for a file.
 */
bool client_roots_load(struct http_client *c, const char *ca_bundle, struct err *e)
{
    if (!ca_bundle || !ca_bundle[0])
        return true;
    c->ca_fd = memfd_create("roots", MFD_CLOEXEC);
    if (c->ca_fd < 0)
        return err_set(e, ERR_UNAVAILABLE, "the trust roots cannot be held in memory: %m");
    if (!file_append(c->ca_fd, ca_bundle))
        return err_set(e, ERR_INVALID, "CA_BUNDLE: %s cannot be read: %m", ca_bundle);
    const curl_version_info_data *v = curl_version_info(CURLVERSION_NOW);
    if (v->cainfo && !file_append(c->ca_fd, v->cainfo) && errno != ENOENT)
        return err_set(e, ERR_UNAVAILABLE, "the system's trust roots cannot be read: %m");
    snprintf(c->ca_path, sizeof c->ca_path, "/proc/self/fd/%d", c->ca_fd);
    if (access(c->ca_path, R_OK) != 0)
        return err_set(e, ERR_UNAVAILABLE, "CA_BUNDLE needs /proc: %m");
    return true;
}

/* ---- NO_PROXY ---- */

/* "*", a network or address, a host with all below it; ports are heeded. */
static bool entry_matches(struct str entry, struct str host, int port)
{
    struct guard_rule rule;
    struct guard_addr addr;
    if (str_eq(entry, STR("*")))
        return true;
    if (str_starts(entry, STR("*.")))
        entry = str_slice(entry, 1, SIZE_MAX);
    if (str_starts(entry, STR(".")))
        entry = str_slice(entry, 1, SIZE_MAX);
    if (!guard_rule_parse(entry, &rule, NULL))
        return false;
    if (guard_addr_parse(host, &addr))
        return guard_rule_covers(&rule, &addr, port);
    if (guard_rule_names_host(&rule, host, port))
        return true;
    return rule.kind == RULE_HOST && (rule.port == 0 || rule.port == port) &&
           host.n > rule.name.n && host.p[host.n - rule.name.n - 1] == '.' &&
           str_ieq(str_slice(host, host.n - rule.name.n, rule.name.n), rule.name);
}

bool client_uses_proxy(const struct http_client *c, const struct uri *u)
{
    if (!c->proxy || uri_host_is_loopback(u->host))
        return false;
    struct str rest = str_c(c->no_proxy), entry;
    while (str_next(&rest, ',', &entry)) {
        entry = str_trim(entry);
        if (entry.n > 0 && entry_matches(entry, u->host, uri_port(u)))
            return false;
    }
    return true;
}

/* ---- the destination behind a proxy ---- */

static void lookup_run(struct offload_job *j)
{
    struct http_lookup *l = CONTAINER_OF(j, struct http_lookup, job);
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *all = NULL;
    if (getaddrinfo(l->host, NULL, &hints, &all) != 0)
        return;
    for (const struct addrinfo *i = all; i && l->n_found < LOOKUP_ADDRESSES; i = i->ai_next) {
        if (i->ai_addrlen <= sizeof l->found[0])
            memcpy(&l->found[l->n_found++], i->ai_addr, i->ai_addrlen);
    }
    freeaddrinfo(all);
}

static void lookup_free(struct offload_job *j)
{
    free(CONTAINER_OF(j, struct http_lookup, job));
}

/* The first address that may be called; the proxy is told that one and never the name. */
static bool judge(struct http_exchange *x, const struct http_lookup *l, struct err *e)
{
    for (size_t i = 0; i < l->n_found; i++) {
        const struct sockaddr *sa = (const struct sockaddr *)&l->found[i];
        const struct http_guard *g = x->client->guard;
        bool ok = x->is_plain ? http_guard_address_plain(g, x->host, sa, x->port, e)
                              : http_guard_address(g, x->host, sa, x->port, e);
        struct guard_addr addr;
        if (!ok || !guard_addr_from_sock(sa, &addr))
            continue;
        char text[GUARD_ADDR_TEXT];
        guard_addr_format(&addr, text);
        snprintf(x->connect_to_text, sizeof x->connect_to_text, "::%s:%d", text, x->port);
        return true;
    }
    if (l->n_found == 0)
        return err_set(e, ERR_UPSTREAM, "the server's name does not resolve");
    metric_add(M_EGRESS_REFUSED, 1);
    return false;
}

struct http_lookup *exchange_lookup(struct http_exchange *x, struct err *e)
{
    struct http_lookup *l = calloc(1, sizeof *l);
    if (!l || x->host.n >= sizeof l->host) {
        free(l);
        err_set(e, ERR_UNAVAILABLE, "the server's name cannot be looked up");
        return NULL;
    }
    memcpy(l->host, x->host.p, x->host.n);
    l->job.run = lookup_run;
    l->job.free = lookup_free;
    if (uri_ip_version(x->host) != 0) { /* nothing to wait for */
        lookup_run(&l->job);
        return l;
    }
    int64_t ms = x->connect_ms < 0 ? LIMIT_CONNECT_MS : x->connect_ms;
    struct err why = {.code = ERR_NONE};
    if (offload_run(x->client->offload, &l->job, x->started_ms + ms, &why))
        return l;
    char text[LIMIT_TEXT];
    exchange_limit_text(ms, text);
    if (why.code == ERR_TIMEOUT)
        err_set(e, ERR_TIMEOUT, "the server's name was not resolved within %s", text);
    else
        err_set(e, why.code, "%s", why.msg);
    return NULL;
}

bool exchange_resolve(struct http_exchange *x, struct err *e)
{
    struct http_lookup *l = exchange_lookup(x, e);
    if (!l)
        return false;
    bool ok = judge(x, l, e);
    lookup_free(&l->job);
    return ok;
}
