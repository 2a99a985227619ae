/* Where PostgreSQL is: the URL's options, host names to addresses, what libpq is told. */
#include <netdb.h>
#include <sys/socket.h>

#include <libpq-fe.h>

#include "store/db_postgres.h"

static const char *option(const struct pgsql_store *s, const char *name)
{
    for (const PQconninfoOption *o = s->options; o && o->keyword; o++)
        if (strcmp(o->keyword, name) == 0)
            return o->val;
    return NULL;
}

/* Piece i of a comma-separated list; the only piece when there is one. */
static struct str piece(const char *list, size_t i)
{
    struct str rest = list ? str_c(list) : STR(""), p = STR_NONE;
    if (str_find_char(rest, ',') == SIZE_MAX)
        return rest;
    for (size_t k = 0; k <= i; k++)
        if (!str_next(&rest, ',', &p))
            return STR("");
    return p;
}

struct found {
    struct pgsql_address address[PGSQL_ADDRESSES];
    size_t n;
};

static void found_add(struct found *f, struct str host, struct str hostaddr, struct str port)
{
    struct pgsql_address *a = &f->address[f->n];
    if (f->n == PGSQL_ADDRESSES || host.n >= sizeof a->host || hostaddr.n >= sizeof a->hostaddr ||
        port.n >= sizeof a->port)
        return;
    snprintf(a->host, sizeof a->host, "%.*s", STR_FMT(host));
    snprintf(a->hostaddr, sizeof a->hostaddr, "%.*s", STR_FMT(hostaddr));
    snprintf(a->port, sizeof a->port, "%.*s", STR_FMT(port));
    f->n++;
}

static void name_resolve(struct found *f, struct str host, struct str port)
{
    char name[sizeof f->address[0].host], text[sizeof f->address[0].hostaddr];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
    if (host.n >= sizeof name)
        return;
    snprintf(name, sizeof name, "%.*s", STR_FMT(host));
    if (getaddrinfo(name, NULL, &hints, &list) != 0)
        return;
    for (const struct addrinfo *ai = list; ai; ai = ai->ai_next)
        if (getnameinfo(ai->ai_addr, ai->ai_addrlen, text, sizeof text, NULL, 0, NI_NUMERICHOST) ==
            0)
            found_add(f, host, str_c(text), port);
    freeaddrinfo(list);
}

bool db_postgres_target_resolve(struct pgsql_store *s, struct err *e)
{
    const char *hosts = option(s, "host"), *addresses = option(s, "hostaddr");
    const char *names = hosts && *hosts ? hosts : addresses;
    struct found f = {.n = 0};
    struct str rest = names ? str_c(names) : STR(""), host;
    for (size_t i = 0; str_next(&rest, ',', &host); i++) {
        struct str port = piece(option(s, "port"), i);
        struct str hostaddr = addresses ? piece(addresses, i) : STR("");
        if (port.n == 0)
            port = STR("5432");
        if (hostaddr.n || host.n == 0 || host.p[0] == '/' || host.p[0] == '@')
            found_add(&f, host, hostaddr, port);
        else
            name_resolve(&f, host, port);
    }
    if (f.n == 0)
        return err_set(e, ERR_UNAVAILABLE, "DATABASE_URL: its host cannot be found");
    pthread_mutex_lock(&s->lock);
    memcpy(s->address, f.address, sizeof s->address);
    s->n_addresses = f.n;
    pthread_mutex_unlock(&s->lock);
    return true;
}

bool db_postgres_target_open(struct pgsql_store *s, const char *url, struct err *e)
{
    char *why = NULL; /* may quote the URL with its password: shown to nobody */
    s->options = PQconninfoParse(url, &why);
    PQfreemem(why);
    if (!s->options)
        return err_set(e, ERR_INVALID,
                       "DATABASE_URL: expected postgresql://user:password@host:port/database");
    return db_postgres_target_resolve(s, e);
}

void db_postgres_target_close(struct pgsql_store *s)
{
    for (PQconninfoOption *o = s->options; o && o->keyword; o++)
        if (o->val && strstr(o->keyword, "password"))
            explicit_bzero(o->val, strlen(o->val));
    PQconninfoFree(s->options);
    s->options = NULL;
}

void db_postgres_target_get(struct pgsql_store *s, unsigned attempt, struct pgsql_target *out)
{
    static const char *const defaults[][2] = {
        {"client_encoding", "UTF8"},
        {"fallback_application_name", "tulle"},
        {"connect_timeout", "10"},
        {"keepalives_idle", "10"},
        {"keepalives_interval", "5"},
        {"keepalives_count", "3"},
        {"tcp_user_timeout", "10000"},
        {"gssencmode", "disable"},              /* its negotiation may block */
        {"target_session_attrs", "read-write"}, /* a standby is of no use */
    };
    *out = (struct pgsql_target){0};
    size_t n = 0;
    for (size_t i = 0; i < ARRAY_LEN(defaults); i++, n++) {
        out->names[n] = defaults[i][0];
        out->values[n] = defaults[i][1];
    }
    const size_t room = ARRAY_LEN(out->names) - 4; /* the address and the end */
    for (const PQconninfoOption *o = s->options; o->keyword && n < room; o++) {
        if (!o->val || strcmp(o->keyword, "host") == 0 || strcmp(o->keyword, "hostaddr") == 0 ||
            strcmp(o->keyword, "port") == 0)
            continue;
        out->names[n] = o->keyword;
        out->values[n++] = o->val;
    }
    pthread_mutex_lock(&s->lock);
    out->address = s->address[attempt % s->n_addresses];
    pthread_mutex_unlock(&s->lock);
    const char *const address[][2] = {{"host", out->address.host},
                                      {"hostaddr", out->address.hostaddr},
                                      {"port", out->address.port}};
    for (size_t i = 0; i < ARRAY_LEN(address); i++) {
        if (!address[i][1][0])
            continue;
        out->names[n] = address[i][0];
        out->values[n++] = address[i][1];
    }
}
