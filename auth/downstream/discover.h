/*
 * Where and how a downstream MCP server wants its clients to be authorized. Source: MCP
 * Authorization (2025-11-25, 2026-07-28; the fallback of 2025-03-26), RFC 9728, RFC 8414, OpenID
 * Connect Discovery.
 */
#pragma once

#include "core/services.h"
#include "io/http_client.h"
#include "store/connections.h"

/* What a connection's metadata says under "oauth", for providers that do not follow the rules. */
struct downstream_settings {
    bool omits_resource; /* "send_resource": false (Entra) */
    struct str audience; /* "audience" (Auth0, Okta); absent: none */
    struct str scope;    /* "scope": instead of what the server says; absent: that */
    struct str issuer;   /* "issuer": when the server names several; absent: the first */
    bool is_machine;     /* "grant": "client_credentials": Tulle as itself, no person */
    bool assumes_s256;   /* "assume_s256": providers that support PKCE without saying so */
};
/* Strings live as long as the arena. */
bool downstream_settings_read(struct arena *a, const struct connection *conn,
                              struct downstream_settings *out, struct err *e) must_use;

/* What a 401 or 403 says (RFC 6750 3, RFC 9728 5.1, RFC 9449 7.1). Absent: not said. */
struct downstream_challenge {
    struct str resource_metadata, scope, error; /* of the first Bearer or DPoP challenge */
    bool has_dpop;                              /* there is a DPoP challenge; what it says: */
    struct str dpop_algs, dpop_error;
};
/* header: the value of WWW-Authenticate. False: it has neither kind of challenge, or no memory. */
bool downstream_challenge_read(struct arena *a, struct str header,
                               struct downstream_challenge *out) must_use;
/* The same of an answer's headers: challenges may stand in several lines (RFC 9110 11.6.1). */
bool downstream_challenge_of(struct arena *a, const struct http_answer_head *head,
                             struct downstream_challenge *out) must_use;

struct downstream_server {
    struct str resource; /* what tokens are asked for; absent: the server has no such metadata */
    struct str scope;    /* to ask for; absent: none in particular */
    struct str issuer, authorization_endpoint, token_endpoint;
    struct str registration_endpoint, revocation_endpoint; /* absent: none */
    bool has_client_documents; /* client_id_metadata_document_supported */
    bool has_iss;              /* authorization_response_iss_parameter_supported */
    bool has_offline_access;
    bool has_basic, has_post, has_none; /* token_endpoint_auth_methods_supported */
    bool uses_dpop; /* tokens bound to a key are asked for: wanted here and offered there */
};
/*
 * Asks the connection's server and its authorization server. Every address passes the guard.
 * ERR_UPSTREAM, ERR_EGRESS, ERR_TIMEOUT: the message says what is wrong with the metadata.
 */
bool downstream_discover(struct services *sv, struct arena *a, const struct connection *conn,
                         const struct downstream_settings *settings, struct downstream_server *out,
                         struct err *e) must_use;
