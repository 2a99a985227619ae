#include "routes/link_guesses.h"

#include <stdio.h>

#include "auth/pages.h"
#include "base/clock.h"
#include "base/limits.h"
#include "core/rates.h"
#include "core/services.h"
#include "mcp/call_limits.h"

enum { NAME_BYTES = 64 };

/* The meter of who asks; absent: this request is not counted. */
static struct str meter_name(const struct http_request *rq, const struct route *route,
                             char out[NAME_BYTES])
{
    struct str pattern = str_c(route->pattern);
    bool is_link = str_ends(pattern, STR("/:token")) ||
                   (str_eq(pattern, STR("/setup")) && !str_is_absent(rq->query));
    if (!is_link || rq->peer_is_shared)
        return STR_NONE;
    int n = snprintf(out, NAME_BYTES, "links %s", rq->peer);
    return (struct str){out, (size_t)n};
}

bool link_guesses_admit(struct http_request *rq, const struct route *route)
{
    const struct services *sv = rq->context;
    char name[NAME_BYTES];
    struct str meter = meter_name(rq, route, name);
    int64_t retry_ms;
    struct err e;
    if (str_is_absent(meter) ||
        rates_would_pass(sv->rates, meter, LIMIT_LINK_GUESSES, clock_mono_ms(), &retry_ms))
        return true;
    call_limits_say(rq, retry_ms);
    err_set(&e, ERR_RATE_LIMITED, "Too many links that are not valid. Wait a minute.");
    page_error(rq, &e);
    return false;
}

void link_guesses_note(const struct http_request *rq, const struct route *route)
{
    const struct services *sv = rq->context;
    char name[NAME_BYTES];
    struct str meter = meter_name(rq, route, name);
    int64_t ignored;
    bool is_wrong = rq->answered_status == 404 || rq->answered_status == 410;
    if (is_wrong && !str_is_absent(meter))
        (void)!rates_pass(sv->rates, meter, LIMIT_LINK_GUESSES, clock_mono_ms(), &ignored);
}
