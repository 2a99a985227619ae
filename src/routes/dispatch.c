/* Routes of requests. */
#include "routes/dispatch.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/ids.h"
#include "base/limits.h"
#include "base/text.h"
#include "core/caller.h"
#include "core/services.h"
#include "log/log.h"
#include "mcp/call_limits.h"
#include "routes/answers.h"
#include "routes/guards.h"
#include "routes/link_guesses.h"
#include "routes/table.h"

size_t dispatch_on_head(struct http_request *rq)
{
    const struct route *route = NULL;
    struct str allow;
    /* HEAD is a GET without the body; on what streams it is not offered. */
    bool is_head = rq->method == HTTP_HEAD;
    struct str method = is_head ? STR("GET") : rq->method_name;
    if (router_find(table_router(), method, rq->path, &route, rq->params, &allow) != ROUTE_FOUND ||
        (is_head && !str_eq(str_c(route->methods), STR("GET"))))
        return LIMIT_BODY_SMALL;
    rq->route = route;
    return route->body_max;
}

/* A path that is known but not with this method, or not known at all. */
static void answer_unrouted(struct http_request *rq)
{
    const struct route *route;
    struct str allow = STR_NONE, params[4];
    struct err e;
    if (!guard_host(rq))
        return;
    enum route_match match =
        router_find(table_router(), rq->method_name, rq->path, &route, params, &allow);
    if (match == ROUTE_METHOD && rq->method == HTTP_OPTIONS) {
        guard_preflight(rq, allow);
        return;
    }
    if (match == ROUTE_METHOD) {
        allow = arena_dup(rq->arena, allow); /* the router's memory */
        if (!guard_method(rq, allow))
            return;
        http_set_header(rq, STR("Allow"), allow);
        err_set(&e, ERR_METHOD_NOT_ALLOWED, "%.*s is not offered at this address",
                STR_FMT(str_slice(rq->method_name, 0, 20)));
    } else {
        err_set(&e, ERR_NOT_FOUND, "there is nothing at this address");
    }
    answer_error(rq, &e);
}

/* One person's requests must not take every fiber of the process. */
static void handle_counted(struct http_request *rq, const struct route *route)
{
    struct services *sv = rq->context;
    const struct caller *caller = rq->user;
    char id[ID_SIZE]; /* a stream's caller may be gone when its handler returns */
    struct str user_id = {id, caller && caller->user_id.n < sizeof(id) ? caller->user_id.n : 0};
    struct err e;
    if (user_id.n > 0)
        memcpy(id, caller->user_id.p, user_id.n);
    if (user_id.n == 0) {
        route->handle(rq);
        return;
    }
    if (!request_limits_enter(sv, user_id)) {
        call_limits_say(rq, 0);
        err_set(&e, ERR_RATE_LIMITED, "too many requests of this person are running");
        answer_error(rq, &e);
        return;
    }
    route->handle(rq);
    request_limits_leave(sv, user_id);
}

void dispatch_handle(struct http_request *rq)
{
    const struct route *route = rq->route;
    if (!route) {
        answer_unrouted(rq);
    } else if (guard_admit(rq, route) && link_guesses_admit(rq, route)) {
        handle_counted(rq, route);
        link_guesses_note(rq, route);
    }
}

void dispatch_refuse(struct http_request *rq, const struct err *e)
{
    answer_error(rq, e);
}

static void span_finish(const struct http_request *rq, const char *route, bool failed)
{
    if (!trace_has_sink())
        return;
    int64_t us = clock_mono_us() - rq->started_us;
    struct span span = {.trace = rq->trace,
                        .duration_us = us,
                        .start_wall_us = clock_wall_ms() * 1000 - us,
                        .failed = failed};
    (void)snprintf(span.name, sizeof(span.name), "%.*s %s", STR_FMT(rq->method_name), route);
    span.attrs[0].key = "http.response.status_code";
    (void)snprintf(span.attrs[0].value, sizeof(span.attrs[0].value), "%d", rq->answered_status);
    span.attrs[1].key = "tulle.request_id";
    (void)snprintf(span.attrs[1].value, sizeof(span.attrs[1].value), "%s", rq->request_id);
    span.n_attrs = 2;
    trace_finish(&span);
}

void dispatch_on_done(struct http_request *rq, bool client_left)
{
    const struct route *route = rq->route;
    const struct caller *caller = rq->user;
    const char *name = route ? route->name : "unrouted";
    bool failed = rq->answered_status >= 500;
    span_finish(rq, name, failed);
    if (!log_wants(failed ? LOG_WARN : LOG_INFO))
        return;
    char trace_id[2 * sizeof(rq->trace.trace_id) + 1];
    text_hex(trace_id, rq->trace.trace_id, sizeof(rq->trace.trace_id));
    LOG(failed ? EV_REQUEST_FAILED : EV_REQUEST, LF_STR("request_id", str_c(rq->request_id)),
        LF_STR("method", rq->method_name), LF_STR("route", str_c(name)),
        LF_INT("status", rq->answered_status), LF_INT("bytes", rq->answered_bytes),
        LF_INT("us", clock_mono_us() - rq->started_us), LF_STR("peer", str_c(rq->peer)),
        LF_STR("org_id", caller ? caller->org_id : STR_NONE),
        LF_STR("user_id", caller ? caller->user_id : STR_NONE), LF_STR("trace_id", str_c(trace_id)),
        LF_STR("error", rq->failure), LF_INT("client_left", client_left));
}
