/*
 * What Tulle holds of one authorization at another server: its client there, the tokens, and where
 * they are renewed and revoked. Sealed as one JSON object. Tokens are shown to nobody but the
 * issuer and the origin that they are for.
 */
#pragma once

#include "core/services.h"
#include "store/connections.h"
#include "store/downstream_tokens.h"

struct downstream_identity {
    struct str client_id;
    struct str client_secret;  /* absent: a public client */
    struct str auth_method;    /* none, client_secret_basic, client_secret_post, private_key_jwt */
    struct str private_key;    /* of private_key_jwt: base64url of PKCS #8; absent: none */
    struct str private_key_id; /* how the authorization server calls it; absent: not at all */
};
struct downstream_grant {
    struct downstream_identity client;
    struct str token_endpoint, revocation_endpoint; /* revocation: absent when there is none */
    struct str resource, audience;                  /* as asked for; absent: not */
    struct str origin;                              /* of the MCP server that the token is for */
    struct str issuer; /* whose token_endpoint it is; absent in what was stored by older versions */
    struct str grant_type; /* "client_credentials": how it is renewed; absent: by refresh_token */
    struct str access_token, refresh_token; /* refresh: absent when there is none */
    struct str dpop_key;   /* with which tokens are asked for (dpop.h); absent: none */
    struct str token_type; /* "DPoP": the access token is bound to that key; absent: Bearer */
};

/* The text that is sealed into a row's place and back. *plain must outlive `out`. */
bool downstream_grant_seal(struct services *sv, struct arena *a, struct str org_id,
                           const struct downstream_token *row, const struct downstream_grant *g,
                           struct str *sealed, struct err *e) must_use;
bool downstream_grant_open(struct services *sv, struct arena *a, struct str org_id,
                           const struct downstream_token *row, struct downstream_grant *out,
                           struct err *e) must_use;

/* What a token endpoint answered. */
struct downstream_tokens_got {
    struct str access_token, refresh_token, scope, id_token; /* absent: not said */
    int64_t expires_in_s;                                    /* 0: not said */
    bool is_bound; /* to the grant's key: token_type DPoP */
};
/* Puts what was answered into the grant. Without a new refresh token the old one stays. */
void downstream_grant_take(struct downstream_grant *g, const struct downstream_tokens_got *got);
/* Is the access token bound to the grant's key? */
bool downstream_grant_is_bound(const struct downstream_grant *g);
/*
 * POSTs a form (without client authentication, which is added by the grant's client) to the token
 * endpoint, with a proof where the grant has a key (RFC 9449 section 5), once more where that lacks
 * the server's nonce. ERR_INVALID_GRANT: the answer says so; ERR_INVALID_CLIENT; ERR_UPSTREAM,
 * ERR_TIMEOUT, ERR_EGRESS. Source: RFC 6749 sections 2.3.1, 5.
 */
bool downstream_token_request(struct services *sv, struct arena *a,
                              const struct downstream_grant *g, struct buf *form,
                              struct downstream_tokens_got *out, struct err *e) must_use;
/* Tells the issuer that the tokens are no longer used (RFC 7009). Best effort. */
void downstream_token_revoke(struct services *sv, struct arena *a,
                             const struct downstream_grant *g);
/* The Authorization header of a client: HTTP Basic with both parts form-encoded (RFC 6749 2.3.1).
 * STR_NONE: memory. */
struct str downstream_basic(struct arena *a, const struct downstream_identity *c) must_use;
/* Appends "&name=value"; an absent value is left out. */
void downstream_form_add(struct buf *form, const char *name, struct str value);
/* The origin of a connection's address. STR_NONE: none, or no memory. */
struct str downstream_origin(struct arena *a, const struct connection *conn) must_use;
