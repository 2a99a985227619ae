#include "mcp/call_limits.h"

#include "base/clock.h"
#include "base/limits.h"
#include "core/org_policy.h"
#include "core/rates.h"
#include "io/http.h"

enum { BUSY_RETRY_MS = 1000, WHO_MAX = 4, NAME_MAX_BYTES = 80 };

/* One that is counted. Ids tell by themselves what they are of, so that no two share a name. */
struct who {
    struct str name;
    const char *words;
    int64_t at_once, per_minute; /* 0: no limit */
};

static bool too_many(struct err *e, const struct who *w, const char *what)
{
    return err_set(e, ERR_RATE_LIMITED, "too many calls %s of %s; wait a moment", what, w->words);
}

/* The connection's own number counts before that of the organization's policy. */
static int64_t own_or(int64_t own, int64_t otherwise)
{
    return own > 0 ? own : otherwise;
}

bool call_limits_enter(struct services *sv, struct arena *a, const struct caller *c,
                       const struct connection *conn, struct call_limits *held, int64_t *retry_ms,
                       struct err *e)
{
    const struct org_policy *p;
    int64_t now = clock_mono_ms();
    *held = (struct call_limits){.rates = sv->rates};
    *retry_ms = BUSY_RETRY_MS;
    if (!org_policy_get(sv, a, conn->org_id, &p, e))
        return false;
    const struct who all[WHO_MAX] = {
        {c->user_id, "this person", LIMIT_CALLS_USER, 0},
        {c->principal, "this key or grant", p->concurrent_key, p->rate_key},
        {conn->id, "this connection", own_or(conn->calls_at_once, p->concurrent_connection),
         own_or(conn->calls_per_minute, p->rate_connection)},
        {conn->org_id, "this organization", p->concurrent_organization, p->rate_organization},
    };
    for (size_t i = 0; i < WHO_MAX; i++) {
        if (all[i].at_once == 0)
            continue;
        if (!rates_enter(sv->rates, all[i].name, all[i].at_once, now))
            return too_many(e, &all[i], "at once");
        held->held[held->n++] = all[i].name;
    }
    /* First all are asked, so that a call that one refuses costs the others nothing. */
    for (size_t i = 0; i < 2 * WHO_MAX; i++) {
        const struct who *w = &all[i % WHO_MAX];
        bool is_counted = i >= WHO_MAX;
        if (w->per_minute == 0)
            continue;
        if (!(is_counted ? rates_pass(sv->rates, w->name, w->per_minute, now, retry_ms)
                         : rates_would_pass(sv->rates, w->name, w->per_minute, now, retry_ms)))
            return too_many(e, w, "in a minute");
    }
    return true;
}

void call_limits_leave(struct call_limits *held)
{
    while (held->n > 0)
        rates_leave(held->rates, held->held[--held->n]);
}

/* A name of its own beside that of the person's calls. */
static struct str request_name(struct str user_id, char out[NAME_MAX_BYTES])
{
    size_t n = user_id.n < NAME_MAX_BYTES - 1 ? user_id.n : NAME_MAX_BYTES - 1;
    out[0] = '*';
    if (n > 0)
        memcpy(out + 1, user_id.p, n);
    return (struct str){out, n + 1};
}

bool request_limits_enter(struct services *sv, struct str user_id)
{
    char name[NAME_MAX_BYTES];
    return rates_enter(sv->rates, request_name(user_id, name), LIMIT_REQUESTS_USER,
                       clock_mono_ms());
}

void request_limits_leave(struct services *sv, struct str user_id)
{
    char name[NAME_MAX_BYTES];
    rates_leave(sv->rates, request_name(user_id, name));
}

void call_limits_say(struct http_request *rq, int64_t retry_ms)
{
    int64_t s = (retry_ms + 999) / 1000;
    struct str text = arena_printf(rq->arena, "%lld", (long long)(s > 0 ? s : 1));
    if (!str_is_absent(text))
        http_set_header(rq, STR("Retry-After"), text);
}
