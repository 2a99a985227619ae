/*
 * What an OpenID Connect or GitHub provider is told in its configuration: the JSON of
 * sso_providers.config, read and checked. It never holds a secret.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "json/jread.h"

struct oidc_config {
    bool is_github;    /* kind "github": OAuth with GitHub's API, no ID token */
    struct str issuer; /* of GitHub: the origin of its authorization endpoint */
    /* Absent: found by discovery. */
    struct str authorization_endpoint, token_endpoint, jwks_uri, userinfo_endpoint;
    struct str emails_endpoint; /* of GitHub */
    struct str groups_endpoint; /* asked for groups that do not fit into the token; absent: what the
                                   token names, within the provider; Microsoft Graph for a tenant */
    struct str client_id;
    struct str token_auth; /* client_secret_basic, client_secret_post, none */
    struct str scopes;     /* space separated */
    struct str email_claim, name_claim, groups_claim;
    struct str hosted_domain;        /* Google: hd must be this; absent: any */
    struct str tenant;               /* Entra: tid must be this; absent: none of Entra's */
    struct str style;                /* of the button: google, github, microsoft, oidc */
    const struct jvalue *algorithms; /* array of names; NULL: those of OIDC_ALGORITHMS */
};
#define OIDC_ALGORITHMS "RS256 ES256 PS256 EdDSA"

/*
 * Reads the configuration of a provider of this kind ("oidc", "github"). Members: issuer, or
 * authorization_endpoint, token_endpoint, jwks_uri and userinfo_endpoint; client_id; token_auth?,
 * scopes? (text or array), claims? {email, name, groups}, hosted_domain?, tenant?, style?,
 * algorithms?, groups_endpoint?; others are left alone. Spans of json live as long as it does.
 * ERR_INVALID names the member.
 */
bool oidc_config_read(struct arena *a, struct str kind, const struct jvalue *json,
                      struct oidc_config *out, struct err *e) must_use;
/* The same from text. */
bool oidc_config_parse(struct arena *a, struct str kind, struct str text, struct oidc_config *out,
                       struct err *e) must_use;
/* May an ID token of this provider be signed so? */
bool oidc_config_allows(const struct oidc_config *c, struct str algorithm);
