#include "auth/oauth/metadata.h"

#include "auth/oauth/client_document.h"
#include "auth/oauth/resource.h"
#include "auth/oauth/scope.h"
#include "auth/oauth/wire.h"
#include "base/limits.h"
#include "core/signing_key.h"
#include "json/jout.h"

#define SECRET_METHODS "client_secret_basic client_secret_post private_key_jwt"
#define ASSERTION_ALGS "ES256 RS256 PS256 EdDSA"

static void list(struct jout *j, const char *key, const char *words)
{
    struct str rest = str_c(words), word;
    jout_key(j, str_c(key));
    jout_array(j);
    while (str_next(&rest, ' ', &word))
        jout_str(j, word);
    jout_array_end(j);
}

static void address(struct jout *j, const struct http_request *rq, const char *key,
                    const char *path)
{
    const struct services *sv = rq->context;
    jout_kstr(j, key, arena_printf(rq->arena, "%s%s", sv->config->origin, path));
}

static void answer(struct http_request *rq, const struct buf *json, const char *cache)
{
    struct str body = buf_ok(json) ? arena_dup(rq->arena, buf_str(json)) : STR_NONE;
    http_set_header(rq, STR("Cache-Control"), str_c(cache));
    if (str_is_absent(body))
        http_answer(rq, 503, STR_NONE, STR_NONE);
    else
        http_answer(rq, 200, STR("application/json"), body);
}

const char *metadata_scope_of(struct str mcp_path)
{
    return str_eq(mcp_path, STR("/mcp")) ? "mcp:manage" : "mcp";
}

void metadata_resource(struct http_request *rq)
{
    const struct services *sv = rq->context;
    struct buf out;
    struct jout j;
    struct err e;
    struct str path = str_slice(rq->path, sizeof(METADATA_RESOURCE_PATH) - 1, SIZE_MAX);
    if (path.n > 0 && path.p[path.n - 1] == '/')
        path.n--;
    if (!resource_path_is_good(path)) {
        err_set(&e, ERR_NOT_FOUND, "no protected resource has such an address");
        wire_answer_error(rq, &e);
        return;
    }
    if (path.n == 0)
        path = STR("/mcp");
    buf_init(&out, LIMIT_BODY_SMALL);
    jout_init(&j, &out);
    jout_object(&j);
    jout_kstr(&j, "resource",
              arena_printf(rq->arena, "%.*s%.*s", STR_FMT(wire_origin(rq)), STR_FMT(path)));
    list(&j, "authorization_servers", sv->config->origin);
    list(&j, "scopes_supported", metadata_scope_of(path));
    list(&j, "bearer_methods_supported", "header");
    jout_kstr(&j, "resource_name",
              str_eq(path, STR("/mcp")) ? STR("Tulle management") : STR("Tulle"));
    jout_object_end(&j);
    answer(rq, &out, "no-cache");
    buf_end(&out);
}

/* What both documents of the authorization server hold. */
static void server_members(struct jout *j, struct http_request *rq)
{
    const struct services *sv = rq->context;
    jout_kstr(j, "issuer", str_c(sv->config->origin));
    address(j, rq, "authorization_endpoint", "/oauth/authorize");
    address(j, rq, "token_endpoint", "/oauth/token");
    address(j, rq, "registration_endpoint", "/oauth/register");
    address(j, rq, "revocation_endpoint", "/oauth/revoke");
    address(j, rq, "introspection_endpoint", "/oauth/introspect");
    address(j, rq, "device_authorization_endpoint", "/oauth/device_authorization");
    address(j, rq, "userinfo_endpoint", "/oauth/userinfo");
    address(j, rq, "jwks_uri", "/oauth/jwks");
    list(j, "scopes_supported", SCOPES_SUPPORTED);
    list(j, "response_types_supported", "code");
    list(j, "response_modes_supported", "query");
    list(j, "grant_types_supported",
         "authorization_code refresh_token client_credentials "
         "urn:ietf:params:oauth:grant-type:device_code "
         "urn:ietf:params:oauth:grant-type:jwt-bearer");
    list(j, "authorization_grant_profiles_supported", "urn:ietf:params:oauth:grant-profile:id-jag");
    list(j, "token_endpoint_auth_methods_supported", "none " SECRET_METHODS);
    list(j, "token_endpoint_auth_signing_alg_values_supported", ASSERTION_ALGS);
    list(j, "revocation_endpoint_auth_methods_supported", "none " SECRET_METHODS);
    list(j, "introspection_endpoint_auth_methods_supported", SECRET_METHODS);
    list(j, "revocation_endpoint_auth_signing_alg_values_supported", ASSERTION_ALGS);
    list(j, "introspection_endpoint_auth_signing_alg_values_supported", ASSERTION_ALGS);
    list(j, "code_challenge_methods_supported", "S256");
    list(j, "prompt_values_supported", "none login consent");
    jout_kbool(j, "authorization_response_iss_parameter_supported", true);
    jout_kbool(j, "client_id_metadata_document_supported", client_documents_are_on(sv));
    jout_kbool(j, "request_parameter_supported", false);
    jout_kbool(j, "request_uri_parameter_supported", false);
}

static void server_answer(struct http_request *rq, bool is_openid)
{
    struct buf out;
    struct jout j;
    buf_init(&out, LIMIT_BODY_SMALL);
    jout_init(&j, &out);
    jout_object(&j);
    server_members(&j, rq);
    if (is_openid) {
        list(&j, "subject_types_supported", "public");
        list(&j, "id_token_signing_alg_values_supported", "ES256 RS256");
        list(&j, "claims_supported",
             "iss sub aud exp iat auth_time nonce at_hash org_id name email "
             "email_verified");
        jout_kbool(&j, "claims_parameter_supported", false);
    }
    jout_object_end(&j);
    answer(rq, &out, "no-cache");
    buf_end(&out);
}

void metadata_server(struct http_request *rq)
{
    server_answer(rq, false);
}

void metadata_openid(struct http_request *rq)
{
    server_answer(rq, true);
}

void metadata_jwks(struct http_request *rq)
{
    const struct services *sv = rq->context;
    struct signing signing = {sv->keys, sv->db, sv->offload, rq->arena};
    struct str jwks;
    struct buf out;
    struct err e;
    if (!signing_key_set(&signing, &jwks, &e)) {
        wire_answer_error(rq, &e);
        return;
    }
    buf_init(&out, 4 * LIMIT_BODY_SMALL);
    buf_add(&out, jwks);
    answer(rq, &out, "public, max-age=300");
    buf_end(&out);
}
