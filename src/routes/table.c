/* EVERY URL of the product: methods, pattern, guard, largest body, handler, name in metrics and
 * logs. No row, no route. */
#include "routes/table.h"

#include "auth/downstream/client.h"
#include "auth/oauth/authorize.h"
#include "auth/oauth/device.h"
#include "auth/oauth/id_token.h"
#include "auth/oauth/metadata.h"
#include "auth/oauth/register.h"
#include "auth/oauth/revoke.h"
#include "auth/oauth/token.h"
#include "base/limits.h"
#include "auth/pages.h"
#include "base/ids.h"
#include "mcp/aggregate.h"
#include "mcp/local_server.h"
#include "mcp/proxied_call.h"
#include "mcp/sse_client.h"
#include "routes/guards.h"
#include "routes/health.h"
#include "routes/pages_account.h"
#include "routes/pages_connections.h"
#include "routes/pages_invite.h"
#include "routes/pages_login.h"
#include "routes/pages_server.h"
#include "routes/pages_setup.h"
#include "routes/tools_http.h"

/* Clients of the first revision come through the same addresses. */
static void mcp_door(struct http_request *rq, const struct sse_door *door)
{
    if (sse_client_serve(rq, door))
        return;
    if (rq->method == HTTP_POST)
        door->post(rq);
    else if (rq->method == HTTP_GET)
        door->get(rq);
    else if (door->delete_session)
        door->delete_session(rq);
}

static void mcp_management(struct http_request *rq)
{
    static const struct sse_door door = {local_server_admit, local_server_post, local_server_get,
                                         NULL};
    mcp_door(rq, &door);
}

static void mcp_connection(struct http_request *rq)
{
    static const struct sse_door door = {proxied_admit, proxied_post, proxied_get, proxied_delete};
    mcp_door(rq, &door);
}

static void mcp_aggregate(struct http_request *rq)
{
    static const struct sse_door door = {aggregate_admit, aggregate_post, aggregate_get,
                                         aggregate_delete};
    mcp_door(rq, &door);
}

static void mcp_connection_or_virtual(struct http_request *rq)
{
    if (id_is(rq->params[0], "vs"))
        mcp_aggregate(rq);
    else
        mcp_connection(rq);
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
    {"GET", "/.well-known/oauth-protected-resource", GUARD_OPEN, LIMIT_BODY_SMALL,
     metadata_resource, "/.well-known/oauth-protected-resource"},
    {"GET", "/.well-known/oauth-protected-resource/mcp", GUARD_OPEN, LIMIT_BODY_SMALL,
     metadata_resource, "/.well-known/oauth-protected-resource/mcp"},
    {"GET", "/.well-known/oauth-protected-resource/mcp/:connection", GUARD_OPEN, LIMIT_BODY_SMALL,
     metadata_resource, "/.well-known/oauth-protected-resource/mcp/:connection"},
    {"GET", "/.well-known/oauth-protected-resource/mcp/:org/:connection", GUARD_OPEN,
     LIMIT_BODY_SMALL, metadata_resource,
     "/.well-known/oauth-protected-resource/mcp/:org/:connection"},
    {"GET", "/.well-known/oauth-authorization-server", GUARD_OPEN, LIMIT_BODY_SMALL,
     metadata_server, "/.well-known/oauth-authorization-server"},
    {"GET", "/.well-known/openid-configuration", GUARD_OPEN, LIMIT_BODY_SMALL, metadata_openid,
     "/.well-known/openid-configuration"},
    {"GET", "/oauth/jwks", GUARD_OPEN, LIMIT_BODY_SMALL, metadata_jwks, "/oauth/jwks"},
    {"POST", "/oauth/register", GUARD_OPEN, LIMIT_BODY_FORM, register_post, "/oauth/register"},
    {"POST", "/register", GUARD_OPEN, LIMIT_BODY_FORM, register_post, "/register"},
    {"POST", "/api/auth/register", GUARD_OPEN, LIMIT_BODY_FORM, register_post,
     "/api/auth/register"},
    {"GET PUT DELETE", "/oauth/register/:client", GUARD_OPEN, LIMIT_BODY_FORM, register_manage,
     "/oauth/register/:client"},
    {"GET POST", "/oauth/authorize", GUARD_PAGE, LIMIT_BODY_FORM, authorize_start,
     "/oauth/authorize"},
    {"GET POST", "/authorize", GUARD_PAGE, LIMIT_BODY_FORM, authorize_start, "/authorize"},
    {"POST", "/oauth/consent", GUARD_PAGE, LIMIT_BODY_FORM, consent_post, "/oauth/consent"},
    {"POST", "/oauth/token", GUARD_OPEN, LIMIT_BODY_FORM, token_post, "/oauth/token"},
    {"POST", "/token", GUARD_OPEN, LIMIT_BODY_FORM, token_post, "/token"},
    {"POST", "/oauth/revoke", GUARD_OPEN, LIMIT_BODY_FORM, revoke_post, "/oauth/revoke"},
    {"POST", "/oauth/device_authorization", GUARD_OPEN, LIMIT_BODY_FORM, device_authorize,
     "/oauth/device_authorization"},
    {"GET", "/device", GUARD_SESSION, LIMIT_BODY_SMALL, device_page, "/device"},
    {"POST", "/device", GUARD_SESSION, LIMIT_BODY_FORM, device_post, "/device"},
    {"GET POST", "/oauth/userinfo", GUARD_OPEN, LIMIT_BODY_FORM, userinfo_answer,
     "/oauth/userinfo"},
    {"POST", "/oauth/introspect", GUARD_PUBLIC, LIMIT_BODY_FORM, introspect_post,
     "/oauth/introspect"},
    {"GET", "/oauth/client-metadata.json", GUARD_OPEN, LIMIT_BODY_SMALL, downstream_client_document,
     "/oauth/client-metadata.json"},
    {"GET", "/oauth/connect/callback", GUARD_PAGE, LIMIT_BODY_SMALL, page_connect_return,
     "/oauth/connect/callback"},
    {"GET", "/oauth/connect/:connection", GUARD_SESSION, LIMIT_BODY_SMALL, page_connect_get,
     "/oauth/connect/:connection"},
    {"POST", "/oauth/connect/:connection", GUARD_SESSION, LIMIT_BODY_FORM, page_connect_post,
     "/oauth/connect/:connection"},
    {"POST GET", "/mcp", GUARD_MANAGEMENT, LIMIT_BODY_MCP, mcp_management, "/mcp"},
    {"POST GET DELETE", "/mcp/:connection", GUARD_BEARER, LIMIT_BODY_MCP, mcp_connection_or_virtual,
     "/mcp/:connection"},
    {"POST GET DELETE", "/mcp/hub", GUARD_BEARER, LIMIT_BODY_MCP, mcp_aggregate, "/mcp/hub"},
    {"POST GET DELETE", "/mcp/hub/:org", GUARD_BEARER, LIMIT_BODY_MCP, mcp_aggregate,
     "/mcp/hub/:org"},
    {"POST GET DELETE", "/mcp/:org/:connection", GUARD_BEARER, LIMIT_BODY_MCP,
     mcp_connection_of_org, "/mcp/:org/:connection"},
    {"POST", "/api/tools/:tool", GUARD_MANAGEMENT, LIMIT_BODY_MCP, tools_http_call,
     "/api/tools/:tool"},
    {"GET", "/api/session", GUARD_PUBLIC, LIMIT_BODY_SMALL, session_api_get, "/api/session"},
    {"GET", "/", GUARD_PAGE, LIMIT_BODY_SMALL, page_home, "/"},
    {"GET", "/assets/:name", GUARD_PUBLIC, LIMIT_BODY_SMALL, page_asset, "/assets/:name"},
    {"GET", "/login", GUARD_PAGE, LIMIT_BODY_SMALL, page_login_get, "/login"},
    {"POST", "/login", GUARD_PAGE, LIMIT_BODY_FORM, page_login_post, "/login"},
    {"GET", "/logout", GUARD_PAGE, LIMIT_BODY_SMALL, page_logout_get, "/logout"},
    {"POST", "/logout", GUARD_PAGE, LIMIT_BODY_FORM, page_logout_post, "/logout"},
    {"GET", "/setup", GUARD_PAGE, LIMIT_BODY_SMALL, page_setup_get, "/setup"},
    {"POST", "/setup", GUARD_PAGE, LIMIT_BODY_FORM, page_setup_post, "/setup"},
    {"POST", "/setup/organization", GUARD_SESSION, LIMIT_BODY_FORM, page_setup_org_post,
     "/setup/organization"},
    {"GET", "/setup/server", GUARD_SESSION, LIMIT_BODY_SMALL, page_setup_server_get,
     "/setup/server"},
    {"POST", "/setup/server", GUARD_SESSION, LIMIT_BODY_FORM, page_setup_server_post,
     "/setup/server"},
    {"GET", "/invite/:token", GUARD_PAGE, LIMIT_BODY_SMALL, page_invite_get, "/invite/:token"},
    {"POST", "/invite/:token", GUARD_PAGE, LIMIT_BODY_FORM, page_invite_post, "/invite/:token"},
    {"GET", "/account", GUARD_SESSION, LIMIT_BODY_SMALL, page_account_get, "/account"},
    {"POST", "/account/profile", GUARD_SESSION, LIMIT_BODY_FORM, page_account_profile_post,
     "/account/profile"},
    {"POST", "/account/password", GUARD_SESSION, LIMIT_BODY_FORM, page_account_password_post,
     "/account/password"},
    {"POST", "/account/organization", GUARD_SESSION, LIMIT_BODY_FORM, page_account_org_post,
     "/account/organization"},
    {"POST", "/account/sessions", GUARD_SESSION, LIMIT_BODY_FORM, page_account_session_post,
     "/account/sessions"},
    {"GET", "/account/servers/:connection", GUARD_SESSION, LIMIT_BODY_SMALL, page_server_get,
     "/account/servers/:connection"},
    {"POST", "/account/test", GUARD_SESSION, LIMIT_BODY_FORM, page_server_test_post,
     "/account/test"},
    {"GET", "/account/connections", GUARD_SESSION, LIMIT_BODY_SMALL, page_connections_get,
     "/account/connections"},
    {"POST", "/account/connections", GUARD_SESSION, LIMIT_BODY_FORM, page_connections_post,
     "/account/connections"},
    {"POST", "/account/keys", GUARD_SESSION, LIMIT_BODY_FORM, page_key_post, "/account/keys"},
};
const size_t n_routes = ARRAY_LEN(route_table);
