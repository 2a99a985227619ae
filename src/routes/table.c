/* EVERY URL of the product: methods, pattern, guard, largest body, handler, name in metrics and
 * logs. No row, no route. */
#include "routes/table.h"

#include "base/limits.h"
#include "mcp/local_server.h"
#include "mcp/proxied_call.h"
#include "routes/guards.h"
#include "routes/health.h"
#include "routes/tools_http.h"

static void mcp_connection(struct http_request *rq)
{
    if (rq->method == HTTP_POST)
        proxied_post(rq);
    else if (rq->method == HTTP_GET)
        proxied_get(rq);
    else
        proxied_delete(rq);
}

static void mcp_connection_of_org(struct http_request *rq)
{
    tools_http_connection_by_slugs(rq, mcp_connection);
}

const struct route route_table[] = {
    {"GET", "/health", GUARD_PROBE, LIMIT_BODY_SMALL, health_all, "/health"},
    {"GET", "/health/live", GUARD_PROBE, LIMIT_BODY_SMALL, health_live, "/health/live"},
    {"GET", "/health/ready", GUARD_PROBE, LIMIT_BODY_SMALL, health_ready, "/health/ready"},
    {"GET", "/metrics", GUARD_LOOPBACK_OR_TOKEN, LIMIT_BODY_SMALL, health_metrics, "/metrics"},
    {"POST", "/mcp", GUARD_MANAGEMENT, LIMIT_BODY_MCP, local_server_post, "/mcp"},
    {"POST GET DELETE", "/mcp/:connection", GUARD_BEARER, LIMIT_BODY_MCP, mcp_connection,
     "/mcp/:connection"},
    {"POST GET DELETE", "/mcp/:org/:connection", GUARD_BEARER, LIMIT_BODY_MCP,
     mcp_connection_of_org, "/mcp/:org/:connection"},
    {"POST", "/api/tools/:tool", GUARD_MANAGEMENT, LIMIT_BODY_MCP, tools_http_call,
     "/api/tools/:tool"},
};
const size_t n_routes = ARRAY_LEN(route_table);
