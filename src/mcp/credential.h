/* The credential of one outgoing call: opened from the vault, put into headers or the query, wiped
 * afterwards. */
#pragma once

#include "base/limits.h"
#include "base/secret.h"
#include "io/http.h"
#include "mcp/registry_cache.h"

#define CREDENTIAL_DPOP STR("DPoP ") /* the scheme of tokens that are bound to a key */

struct credential {
    struct secret plain;       /* the opened JSON */
    struct secret header_text; /* "Bearer ..." or "DPoP ..." */
    struct secret dpop_key;    /* of the latter: each request goes with a proof by it */
    struct http_header headers[LIMIT_HEADERS_INJECTED];
    size_t n_headers;
    int64_t updated_at; /* when it was set: sessions opened with another one are not used with it */
    int64_t generation; /* of an OAuth access token; 0: it is none */
    struct str owner;   /* ... whose: a user id, or "" */
    struct str query; /* percent-encoded "name=value&..." to append to the URL, in the call's arena;
                         absent: none */
};

/*
 * Opens what the connection asks for: nothing (auth none), the organization's, or (credential_scope
 * user) that of user_id. ERR_UPSTREAM_AUTH: none is set; the message says whose and which tool sets
 * it. Waits on a cache miss.
 */
bool credential_load(struct services *sv, struct arena *a, struct registry_entry *entry,
                     struct str user_id, struct credential *out, struct err *e) must_use;
/*
 * After a 401: another token than the refused one, renewed where nobody else has done it. Errors as
 * auth/downstream/access.h.
 */
bool credential_renew(struct services *sv, struct arena *a, const struct registry_entry *entry,
                      const struct credential *refused, struct credential *out,
                      struct err *e) must_use;
/* Wipes. */
void credential_end(struct credential *c);
