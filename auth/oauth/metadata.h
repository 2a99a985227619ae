/* Discovery: protected resources (RFC 9728), the authorization server (RFC 8414, OpenID Connect
 * Discovery 1.0). */
#pragma once

#include "io/http.h"

#define METADATA_RESOURCE_PATH "/.well-known/oauth-protected-resource"

/* GET /.well-known/oauth-protected-resource[/mcp[/...]]: the same whether or not the thing exists.
 */
void metadata_resource(struct http_request *rq);
/* GET /.well-known/oauth-authorization-server, /.well-known/openid-configuration */
void metadata_server(struct http_request *rq);
void metadata_openid(struct http_request *rq);
/* GET /oauth/jwks */
void metadata_jwks(struct http_request *rq);

/* The scope that a client should ask for at a path below /mcp. */
const char *metadata_scope_of(struct str mcp_path);
