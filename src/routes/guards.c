/* Host, Origin, CORS and credentials, before any handler. */
#include "routes/guards.h"

#include "auth/foreign/foreign_check.h"
#include "auth/pages.h"
#include "auth/session/csrf.h"
#include "auth/session/return_to.h"
#include "auth/session/session_caller.h"
#include "auth/oauth/challenge.h"
#include "auth/scim/scim.h"
#include "auth/scim/scim_token.h"
#include "auth/token_check.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/text.h"
#include "base/uri.h"
#include "core/services.h"
#include "routes/answers.h"
#include "routes/table.h"

#define CORS_HEADERS                                                                               \
    "Authorization, X-API-Key, Content-Type, Accept, Mcp-Session-Id, MCP-Protocol-Version, "       \
    "Last-Event-ID, "                                                                              \
    "Mcp-Method, Mcp-Name"
#define CORS_EXPOSED "Mcp-Session-Id, WWW-Authenticate, X-Request-Id"

/* ---- Host ---- */

/* Host is BASE_URL's authority; while BASE_URL is loopback, any loopback name with any port will do
 * (port forwarding). */
static bool host_is_ours(const struct http_request *rq, const struct config *config,
                         struct str host)
{
    struct uri base, given;
    struct str origin = str_c(config->origin);
    size_t colon = str_find_char(origin, ':');
    if (str_eq(str_slice(origin, colon + sizeof "://" - 1, SIZE_MAX), host))
        return true; /* as nearly every client writes it */
    struct str as_url = ARENA_JOIN(rq->arena, STR("http://"), host);
    if (str_is_absent(as_url) || !uri_parse(as_url, &given) || given.path.n > 0 ||
        !str_is_absent(given.userinfo) || !str_is_absent(given.query) ||
        !str_is_absent(given.fragment))
        return false;
    if (config->base_is_loopback)
        return uri_host_is_loopback(given.host);
    if (!uri_parse(origin, &base))
        return false;
    int port = given.port >= 0 ? given.port : uri_port(&base) == 443 ? 443 : 80;
    return str_ieq(given.host, base.host) && port == uri_port(&base);
}

bool guard_host(struct http_request *rq)
{
    struct services *sv = rq->context;
    struct str host = http_request_header(rq, STR("Host"));
    if (host_is_ours(rq, sv->config, host))
        return true;
    struct err e;
    err_set(&e, ERR_BAD_HOST,
            "Host is \"%.*s\", but this server is %s (set BASE_URL to change that)",
            STR_FMT(str_slice(host, 0, 100)), sv->config->origin);
    answer_error(rq, &e);
    return false;
}

/* ---- Origin ---- */

static bool origin_is_listed(const char *list, struct str origin)
{
    struct str rest = str_c(list), item;
    while (str_next(&rest, ',', &item))
        if (str_ieq(str_trim(item), origin))
            return true;
    return false;
}

static bool origin_is_allowed(const struct config *config, struct str origin)
{
    struct uri uri;
    if (str_ieq(origin, str_c(config->origin)) || origin_is_listed(config->cors_origins, origin))
        return true;
    return config->base_is_loopback && uri_parse(origin, &uri) && uri_is_http(&uri) &&
           uri_host_is_loopback(uri.host);
}

static bool guard_origin(struct http_request *rq)
{
    struct services *sv = rq->context;
    struct str origin = http_request_header(rq, STR("Origin"));
    if (str_is_absent(origin))
        return true;
    if (origin_is_allowed(sv->config, origin)) {
        http_set_header(rq, STR("Access-Control-Allow-Origin"), origin);
        http_set_header(rq, STR("Access-Control-Expose-Headers"), STR(CORS_EXPOSED));
        http_set_header(rq, STR("Vary"), STR("Origin"));
        return true;
    }
    struct err e;
    err_set(&e, ERR_BAD_ORIGIN,
            "Origin \"%.*s\" is not allowed here (CORS_ORIGINS names further ones)",
            STR_FMT(str_slice(origin, 0, 100)));
    answer_error(rq, &e);
    return false;
}

/* Discovery, registration and tokens are for programs in any browser; no cookie counts there. */
static bool guard_any_origin(struct http_request *rq)
{
    if (str_is_absent(http_request_header(rq, STR("Origin"))))
        return true;
    http_set_header(rq, STR("Access-Control-Allow-Origin"), STR("*"));
    http_set_header(rq, STR("Access-Control-Expose-Headers"), STR(CORS_EXPOSED));
    return true;
}

/* What the guard of a route says of the Origin, by the first of its methods. */
static bool preflight_origin(struct http_request *rq, struct str methods)
{
    const struct route *route = NULL;
    struct str rest = methods, method, params[4], allow;
    struct err e;
    if (!str_next(&rest, ' ', &method) ||
        router_find(table_router(), method, rq->path, &route, params, &allow) != ROUTE_FOUND)
        return guard_origin(rq);
    if (route->guard == GUARD_OPEN)
        return guard_any_origin(rq);
    if (route->guard != GUARD_PAGE && route->guard != GUARD_SESSION)
        return guard_origin(rq);
    err_set(&e, ERR_BAD_ORIGIN, "this page takes nothing from other sites");
    answer_error(rq, &e);
    return false;
}

bool guard_method(struct http_request *rq, struct str methods)
{
    return str_is_absent(http_request_header(rq, STR("Origin"))) || csrf_origin_is_own(rq) ||
           preflight_origin(rq, methods);
}

void guard_preflight(struct http_request *rq, struct str methods)
{
    struct str list = arena_dup(rq->arena, methods); /* the router's memory */
    if (!preflight_origin(rq, list))
        return;
    struct buf with_commas;
    struct str rest = list, method;
    buf_init(&with_commas, 256);
    while (str_next(&rest, ' ', &method)) {
        buf_add(&with_commas, method);
        buf_add(&with_commas, STR(", "));
    }
    buf_add(&with_commas, STR("OPTIONS"));
    http_set_header(rq, STR("Allow"), buf_str(&with_commas));
    http_set_header(rq, STR("Access-Control-Allow-Methods"), buf_str(&with_commas));
    http_set_header(rq, STR("Access-Control-Allow-Headers"), STR(CORS_HEADERS));
    http_set_header(rq, STR("Access-Control-Max-Age"), STR("600"));
    buf_end(&with_commas);
    http_answer(rq, 204, STR_NONE, STR_NONE);
}

/* ---- credentials ---- */

/* The token of "Authorization: Bearer TOKEN", or the key of "X-API-Key: KEY", or STR_NONE. */
static struct str bearer_of(const struct http_request *rq)
{
    struct str value = str_trim(http_request_header(rq, STR("Authorization")));
    struct str key = str_trim(http_request_header(rq, STR("X-API-Key")));
    /* Keys may come by a header of their own; one of the two, and tokens never. */
    if (str_is_absent(value) && str_starts(key, STR("tulle_key_")))
        return key;
    if (!str_ieq(str_slice(value, 0, 7), STR("Bearer ")))
        return STR_NONE;
    return str_trim(str_slice(value, 7, SIZE_MAX));
}

static bool refuse_bearer(struct http_request *rq, const struct err *e, bool was_sent)
{
    if (e->code == ERR_UNAUTHENTICATED)
        challenge_set(rq, was_sent ? CHALLENGE_INVALID : CHALLENGE_NONE_SENT);
    if (e->code == ERR_INSUFFICIENT_SCOPE)
        challenge_set(rq, CHALLENGE_INSUFFICIENT);
    if (e->code == ERR_RATE_LIMITED)
        http_set_header(rq, STR("Retry-After"), STR("60"));
    answer_error(rq, e);
    return false;
}

/* At connections a token may be another authorization server's; at the management server never. */
static bool bearer_check(struct http_request *rq, struct str bearer, bool is_management,
                         const struct caller **out, struct err *e)
{
    struct services *sv = rq->context;
    struct foreign_shown shown = {.token = bearer,
                                  .path = rq->path,
                                  .address = rq->peer_is_shared ? STR_NONE : str_c(rq->peer)};
    return is_management ? token_check(sv, rq->arena, bearer, clock_wall_ms(), out, e)
                         : token_check_at(sv, rq->arena, &shown, clock_wall_ms(), out, e);
}

static bool guard_bearer(struct http_request *rq, bool is_management)
{
    const struct caller *caller;
    struct err e;
    struct str bearer = bearer_of(rq);
    if (str_is_absent(bearer) || bearer.n == 0) {
        err_set(&e, ERR_UNAUTHENTICATED,
                "this needs Authorization: Bearer with an access token or API key");
        return refuse_bearer(rq, &e, false);
    }
    if (!bearer_check(rq, bearer, is_management, &caller, &e))
        return refuse_bearer(rq, &e, true);
    /* A token works at its own audience only; an API key wherever its holder may. */
    if (is_management ? !caller->is_management_audience : !caller->is_proxy_audience) {
        err_set(&e, ERR_UNAUTHENTICATED, "the access token or API key is not valid");
        return refuse_bearer(rq, &e, true);
    }
    rq->user = (void *)(uintptr_t)caller;
    return true;
}

/* ---- browsers ---- */

static bool person_load(struct http_request *rq, struct err *e)
{
    struct session_person *person = arena_alloc(rq->arena, sizeof(*person));
    if (!person)
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    if (!session_find(rq, &person->session, e) ||
        !session_caller(rq->context, rq->arena, &person->session, &person->caller, e))
        return false;
    rq->user = &person->caller;
    return true;
}

/* A script of our own pages: cookie, token in a header that no form can send, Origin. */
static bool guard_session_api(struct http_request *rq)
{
    struct err e;
    bool is_own = csrf_origin_is_own(rq) ||
                  err_set(&e, ERR_FORBIDDEN, "with the session cookie, Origin must be this server");
    if (is_own && csrf_check(rq, http_request_header(rq, STR("X-CSRF-Token")), &e) &&
        person_load(rq, &e))
        return true;
    return refuse_bearer(rq, &e, false);
}

static bool guard_management(struct http_request *rq)
{
    bool has_session = !str_is_absent(session_cookie_value(rq, session_cookie_name(rq)));
    bool has_header = !str_is_absent(http_request_header(rq, STR("Authorization"))) ||
                      !str_is_absent(http_request_header(rq, STR("X-API-Key")));
    return has_session && !has_header ? guard_session_api(rq) : guard_bearer(rq, true);
}

static bool refuse_page(struct http_request *rq, const struct err *e)
{
    page_error(rq, e);
    return false;
}

static bool guard_page(struct http_request *rq)
{
    struct err e;
    if (!str_is_absent(http_request_header(rq, STR("Origin"))) && !csrf_origin_is_own(rq)) {
        err_set(&e, ERR_BAD_ORIGIN, "this page takes nothing from other sites");
        return refuse_page(rq, &e);
    }
    if (!str_is_absent(bearer_of(rq))) {
        err_set(&e, ERR_UNAUTHENTICATED,
                "pages are for people: an access token or API key is no "
                "session here");
        return refuse_page(rq, &e);
    }
    return true;
}

static bool guard_session(struct http_request *rq)
{
    struct err e;
    if (person_load(rq, &e))
        return true;
    if (e.code != ERR_UNAUTHENTICATED)
        return refuse_page(rq, &e);
    bool is_get = rq->method == HTTP_GET;
    struct str query = is_get && !str_is_absent(rq->query) ? rq->query : STR_NONE;
    struct str here = !is_get ? STR("/account")
                              : arena_printf(rq->arena, "%.*s%s%.*s", STR_FMT(rq->path),
                                             str_is_absent(query) ? "" : "?", STR_FMT(query));
    struct str login = return_to_login(rq->arena, here);
    page_redirect(rq, str_is_absent(login) ? STR("/login") : login);
    return false;
}

/* The token of an organization's directory, and nothing else. */
static bool guard_scim(struct http_request *rq)
{
    struct scim_client *client;
    struct err e;
    if (scim_token_check(rq, bearer_of(rq), &client, &e)) {
        rq->user = client;
        return true;
    }
    if (e.code == ERR_UNAUTHENTICATED)
        http_set_header(rq, STR("WWW-Authenticate"), STR("Bearer realm=\"SCIM\""));
    scim_answer_error(rq, &e);
    return false;
}

static bool guard_metrics(struct http_request *rq)
{
    struct services *sv = rq->context;
    struct err e;
    if (!sv->config->metrics_token) {
        if (rq->peer_is_loopback)
            return true;
        err_set(&e, ERR_FORBIDDEN, "metrics are for loopback peers unless METRICS_TOKEN is set");
        answer_error(rq, &e);
        return false;
    }
    if (text_eq_ct(bearer_of(rq), str_c(sv->config->metrics_token)))
        return true;
    err_set(&e, ERR_UNAUTHENTICATED, "this needs Authorization: Bearer with METRICS_TOKEN");
    return refuse_bearer(rq, &e, false);
}

bool guard_admit(struct http_request *rq, const struct route *route)
{
    bool takes_any_host = route->guard == GUARD_PROBE || route->guard == GUARD_LOOPBACK_OR_TOKEN;
    bool is_page = route->guard == GUARD_PAGE || route->guard == GUARD_SESSION;
    if (!takes_any_host && !guard_host(rq))
        return false;
    if (is_page                      ? !guard_page(rq)
        : route->guard == GUARD_OPEN ? !guard_any_origin(rq)
                                     : !guard_origin(rq))
        return false;
    switch ((enum guard)route->guard) {
    case GUARD_PUBLIC:
    case GUARD_PROBE:
    case GUARD_OPEN:
    case GUARD_PAGE:
        return true;
    case GUARD_SESSION:
        return guard_session(rq);
    case GUARD_LOOPBACK_OR_TOKEN:
        return guard_metrics(rq);
    case GUARD_BEARER:
        return guard_bearer(rq, false);
    case GUARD_MANAGEMENT:
        return guard_management(rq);
    case GUARD_SCIM:
        return guard_scim(rq);
    case GUARD_NODE:
        break;
    }
    bug("a route without a guard");
}
