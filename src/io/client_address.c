#include "io/client_address.h"

#include <stdio.h>

#include "io/http_guard_parts.h"

/* "ADDRESS" or "ADDRESS/BITS"; config.c has checked the form. */
static bool entry_covers(struct str entry, const struct guard_addr *a)
{
    struct str address;
    struct guard_addr net;
    int64_t bits;
    entry = str_trim(entry);
    str_next(&entry, '/', &address);
    if (!guard_addr_parse_strict(address, &net))
        return false;
    if (!str_to_i64(entry, 0, net.is_v4 ? 32 : 128, &bits))
        bits = net.is_v4 ? 32 : 128;
    return guard_addr_in(a, &net, (int)bits);
}

static bool is_trusted(const char *trusted, const struct guard_addr *a)
{
    struct str rest = str_c(trusted), entry;
    while (str_next(&rest, ',', &entry))
        if (entry_covers(entry, a))
            return true;
    return false;
}

/* Takes the last piece between commas off. */
static bool last_take(struct str *list, struct str *out)
{
    if (str_is_absent(*list))
        return false;
    size_t at = list->n;
    while (at > 0 && list->p[at - 1] != ',')
        at--;
    *out = str_trim(str_slice(*list, at, SIZE_MAX));
    *list = at == 0 ? STR_NONE : str_slice(*list, 0, at - 1);
    return true;
}

/* "1.2.3.4", "1.2.3.4:5678", "2001:db8::1", "[2001:db8::1]:5678". */
static bool hop_parse(struct str hop, struct guard_addr *out)
{
    if (str_starts(hop, STR("["))) {
        size_t end = str_find_char(hop, ']');
        return end != SIZE_MAX && guard_addr_parse_strict(str_slice(hop, 1, end - 1), out);
    }
    if (guard_addr_parse_strict(hop, out))
        return true;
    size_t colon = str_find_char(hop, ':');
    return colon != SIZE_MAX && guard_addr_parse_strict(str_slice(hop, 0, colon), out) &&
           out->is_v4;
}

/* Walks from the peer towards the client. A hop that is no address ends the walk: what is to the
 * left of it was reported by nobody that we know. */
static void walk(const struct http_request *rq, const char *trusted, struct guard_addr *at)
{
    for (size_t i = rq->n_headers; i > 0; i--) {
        struct str rest = rq->headers[i - 1].value, hop;
        if (!str_ieq(rq->headers[i - 1].name, STR("X-Forwarded-For")))
            continue;
        while (last_take(&rest, &hop)) {
            struct guard_addr next;
            if (!is_trusted(trusted, at) || !hop_parse(hop, &next))
                return;
            *at = next;
        }
    }
}

static void peer_write(struct http_request *rq, const struct guard_addr *a)
{
    char text[GUARD_ADDR_TEXT];
    guard_addr_format(a, text);
    struct str plain = str_c(text);
    if (str_starts(plain, STR("[")))
        plain = str_slice(plain, 1, plain.n - 2);
    (void)snprintf(rq->peer, sizeof(rq->peer), "%.*s", STR_FMT(plain));
}

/* The nearest proxy's word for Host: of several, the last. */
static void host_replace(struct http_request *rq, struct http_header *headers)
{
    struct str given = STR_NONE, host;
    for (size_t i = 0; i < rq->n_headers; i++)
        if (str_ieq(headers[i].name, STR("X-Forwarded-Host")))
            given = headers[i].value;
    if (!last_take(&given, &host) || host.n == 0)
        return;
    for (size_t i = 0; i < rq->n_headers; i++)
        if (str_ieq(headers[i].name, STR("Host")))
            headers[i].value = host;
}

/* A proxy has left its mark. */
static bool is_spoken_for(const struct http_request *rq)
{
    static const struct str marks[] = {STR("X-Forwarded-For"),   STR("X-Forwarded-Host"),
                                       STR("X-Forwarded-Proto"), STR("X-Real-IP"),
                                       STR("Forwarded"),         STR("Via")};
    for (size_t i = 0; i < ARRAY_LEN(marks); i++)
        if (http_request_header_count(rq, marks[i]) > 0)
            return true;
    return false;
}

void client_address_set(struct http_request *rq, struct http_header *headers, const char *trusted)
{
    struct guard_addr at;
    if (!guard_addr_parse_strict(str_c(rq->peer), &at)) {
        rq->peer_is_shared = true;
        return;
    }
    if (!trusted || !is_trusted(trusted, &at)) {
        /* Somebody between us and the client speaks for it, and nobody said that we may believe
         * them: then what comes from this machine is not this machine's own. */
        rq->peer_is_loopback = rq->peer_is_loopback && !is_spoken_for(rq);
        rq->peer_is_shared = !trusted && guard_addr_is_special(&at);
        return;
    }
    host_replace(rq, headers);
    walk(rq, trusted, &at);
    peer_write(rq, &at);
    rq->peer_is_loopback = guard_addr_is_loopback(&at);
    rq->peer_is_shared = is_trusted(trusted, &at);
}
