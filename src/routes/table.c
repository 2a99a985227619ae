/* EVERY URL of the product: methods, pattern, guard, largest body, handler, name in metrics and
 * logs. No row, no route. */
#include "routes/table.h"

#include <pthread.h>

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
#include "auth/sso/oidc_logout.h"
#include "auth/scim/scim.h"
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
#include "routes/pages_links.h"
#include "routes/pages_login.h"
#include "routes/pages_second.h"
#include "routes/pages_security.h"
#include "routes/pages_saml.h"
#include "routes/pages_server.h"
#include "routes/pages_setup.h"
#include "routes/pages_signin.h"
#include "routes/pages_signup.h"
#include "routes/pages_sso.h"
#include "routes/pages_sso_test.h"
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

static const struct route routes[] = {
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
    {"GET", "/scim/v2/ServiceProviderConfig", GUARD_SCIM, LIMIT_BODY_SMALL, scim_provider_config,
     "/scim/v2/ServiceProviderConfig"},
    {"GET", "/scim/v2/ResourceTypes", GUARD_SCIM, LIMIT_BODY_SMALL, scim_resource_types,
     "/scim/v2/ResourceTypes"},
    {"GET", "/scim/v2/ResourceTypes/:name", GUARD_SCIM, LIMIT_BODY_SMALL, scim_resource_type,
     "/scim/v2/ResourceTypes/:name"},
    {"GET", "/scim/v2/Schemas", GUARD_SCIM, LIMIT_BODY_SMALL, scim_schemas, "/scim/v2/Schemas"},
    {"GET", "/scim/v2/Schemas/:urn", GUARD_SCIM, LIMIT_BODY_SMALL, scim_schema,
     "/scim/v2/Schemas/:urn"},
    {"GET POST", "/scim/v2/Users", GUARD_SCIM, LIMIT_BODY_FORM, scim_users, "/scim/v2/Users"},
    {"GET PUT PATCH DELETE", "/scim/v2/Users/:id", GUARD_SCIM, LIMIT_BODY_FORM, scim_user,
     "/scim/v2/Users/:id"},
    {"GET POST", "/scim/v2/Groups", GUARD_SCIM, LIMIT_SCIM_BODY, scim_groups, "/scim/v2/Groups"},
    {"GET PUT PATCH DELETE", "/scim/v2/Groups/:id", GUARD_SCIM, LIMIT_SCIM_BODY, scim_group,
     "/scim/v2/Groups/:id"},
    {"POST", "/scim/v2/Bulk", GUARD_SCIM, LIMIT_BODY_FORM, scim_bulk, "/scim/v2/Bulk"},
    {"GET", "/api/session", GUARD_PUBLIC, LIMIT_BODY_SMALL, session_api_get, "/api/session"},
    {"GET", "/", GUARD_PAGE, LIMIT_BODY_SMALL, page_home, "/"},
    {"GET", "/assets/:name", GUARD_PUBLIC, LIMIT_BODY_SMALL, page_asset, "/assets/:name"},
    {"GET", "/login", GUARD_PAGE, LIMIT_BODY_SMALL, page_login_get, "/login"},
    {"POST", "/login", GUARD_PAGE, LIMIT_BODY_FORM, page_login_post, "/login"},
    {"GET", "/login/second", GUARD_PAGE, LIMIT_BODY_SMALL, page_second_get, "/login/second"},
    {"POST", "/login/second", GUARD_PAGE, LIMIT_BODY_FORM, page_second_post, "/login/second"},
    {"POST", "/login/passkey", GUARD_PAGE, LIMIT_BODY_FORM, page_passkey_post, "/login/passkey"},
    {"POST", "/login/passkey/options", GUARD_PAGE, LIMIT_BODY_FORM, page_passkey_options,
     "/login/passkey/options"},
    {"GET", "/login/again", GUARD_SESSION, LIMIT_BODY_SMALL, page_again_get, "/login/again"},
    {"POST", "/login/again", GUARD_SESSION, LIMIT_BODY_FORM, page_again_post, "/login/again"},
    {"GET", "/login/again/provider", GUARD_SESSION, LIMIT_BODY_SMALL, page_again_provider,
     "/login/again/provider"},
    {"GET", "/account/security", GUARD_SESSION, LIMIT_BODY_SMALL, page_security_get,
     "/account/security"},
    {"POST", "/account/security/app", GUARD_SESSION, LIMIT_BODY_FORM, page_security_app_post,
     "/account/security/app"},
    {"GET", "/account/security/app", GUARD_SESSION, LIMIT_BODY_SMALL, page_security_app_get,
     "/account/security/app"},
    {"POST", "/account/security/app/confirm", GUARD_SESSION, LIMIT_BODY_FORM,
     page_security_app_confirm, "/account/security/app/confirm"},
    {"POST", "/account/security/app/remove", GUARD_SESSION, LIMIT_BODY_FORM,
     page_security_app_remove, "/account/security/app/remove"},
    {"POST", "/account/security/codes", GUARD_SESSION, LIMIT_BODY_FORM, page_security_codes_post,
     "/account/security/codes"},
    {"POST", "/account/security/passkeys", GUARD_SESSION, LIMIT_BODY_FORM,
     page_security_passkey_post, "/account/security/passkeys"},
    {"POST", "/account/security/passkeys/rename", GUARD_SESSION, LIMIT_BODY_FORM,
     page_security_passkey_rename, "/account/security/passkeys/rename"},
    {"POST", "/account/security/passkeys/remove", GUARD_SESSION, LIMIT_BODY_FORM,
     page_security_passkey_remove, "/account/security/passkeys/remove"},
    {"POST", "/login/link", GUARD_PAGE, LIMIT_BODY_FORM, page_login_link_post, "/login/link"},
    {"POST", "/login/reset", GUARD_PAGE, LIMIT_BODY_FORM, page_login_reset_post, "/login/reset"},
    {"GET", "/login/magic/:token", GUARD_PAGE, LIMIT_BODY_SMALL, page_magic_get,
     "/login/magic/:token"},
    {"POST", "/login/magic/:token", GUARD_PAGE, LIMIT_BODY_FORM, page_magic_post,
     "/login/magic/:token"},
    {"GET", "/login/reset/:token", GUARD_PAGE, LIMIT_BODY_SMALL, page_reset_get,
     "/login/reset/:token"},
    {"POST", "/login/reset/:token", GUARD_PAGE, LIMIT_BODY_FORM, page_reset_post,
     "/login/reset/:token"},
    {"GET", "/signup", GUARD_PAGE, LIMIT_BODY_SMALL, page_signup_get, "/signup"},
    {"POST", "/signup", GUARD_PAGE, LIMIT_BODY_FORM, page_signup_post, "/signup"},
    {"GET", "/signup/:token", GUARD_PAGE, LIMIT_BODY_SMALL, page_signup_link_get, "/signup/:token"},
    {"POST", "/signup/:token", GUARD_PAGE, LIMIT_BODY_FORM, page_signup_link_post,
     "/signup/:token"},
    {"POST", "/account/email", GUARD_SESSION, LIMIT_BODY_FORM, page_email_post, "/account/email"},
    {"GET", "/account/email/:token", GUARD_SESSION, LIMIT_BODY_SMALL, page_email_link_get,
     "/account/email/:token"},
    {"POST", "/account/email/:token", GUARD_SESSION, LIMIT_BODY_FORM, page_email_link_post,
     "/account/email/:token"},
    {"GET", "/logout", GUARD_PAGE, LIMIT_BODY_SMALL, page_logout_get, "/logout"},
    {"POST", "/logout", GUARD_PAGE, LIMIT_BODY_FORM, page_logout_post, "/logout"},
    {"GET", "/auth/saml/:provider/metadata", GUARD_PUBLIC, LIMIT_BODY_SMALL, page_saml_metadata,
     "/auth/saml/:provider/metadata"},
    {"GET", "/auth/saml/:provider/start", GUARD_PAGE, LIMIT_BODY_SMALL, page_saml_start,
     "/auth/saml/:provider/start"},
    /* from the identity provider's site: no cookie counts here, the message's signature does */
    {"POST", "/auth/saml/:provider/acs", GUARD_OPEN, LIMIT_SAML_BODY, page_saml_acs,
     "/auth/saml/:provider/acs"},
    {"GET POST", "/auth/saml/:provider/slo", GUARD_OPEN, LIMIT_SAML_BODY, page_saml_slo,
     "/auth/saml/:provider/slo"},
    {"GET", "/auth/saml/:provider/finish", GUARD_PAGE, LIMIT_BODY_SMALL, page_saml_finish_get,
     "/auth/saml/:provider/finish"},
    {"POST", "/auth/saml/:provider/finish", GUARD_PAGE, LIMIT_BODY_FORM, page_saml_finish_post,
     "/auth/saml/:provider/finish"},
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
    {"GET", "/auth/sso/test/:test", GUARD_PAGE, LIMIT_BODY_SMALL, page_sso_test_get,
     "/auth/sso/test/:test"},
    {"GET", "/auth/sso/test/:test/start", GUARD_PAGE, LIMIT_BODY_SMALL, page_sso_test_start,
     "/auth/sso/test/:test/start"},
    {"GET", "/auth/oidc/:provider/start", GUARD_PAGE, LIMIT_BODY_SMALL, page_oidc_start,
     "/auth/oidc/:provider/start"},
    {"GET", "/auth/oidc/:provider/callback", GUARD_PAGE, LIMIT_BODY_SMALL, page_oidc_callback,
     "/auth/oidc/:provider/callback"},
    {"POST", "/auth/oidc/:provider/backchannel_logout", GUARD_PUBLIC, LIMIT_BODY_FORM,
     oidc_logout_post, "/auth/oidc/:provider/backchannel_logout"},
    {"GET", "/account/identities", GUARD_SESSION, LIMIT_BODY_SMALL, page_identities_get,
     "/account/identities"},
    {"POST", "/account/identities", GUARD_SESSION, LIMIT_BODY_FORM, page_identities_post,
     "/account/identities"},
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

static struct router router;

static void router_make(void)
{
    router_init(&router, routes, ARRAY_LEN(routes));
}

const struct router *table_router(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, router_make);
    return &router;
}
