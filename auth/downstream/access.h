/*
 * The access token for one call: renewed before it ends, by one fiber of all workers and nodes.
 * Source: contract.md CONNECTION_AUTHORIZE; MCP Authorization "Token handling"; RFC 6749 section 6;
 * spec/oauth.md "At other servers".
 */
#pragma once

#include "base/secret.h"
#include "core/services.h"
#include "store/connections.h"

struct downstream_access {
    struct secret token;
    struct secret dpop_key; /* the token is bound to it (dpop.h); empty: a bearer token */
    int64_t generation;     /* which one it is, to say that a server refused it */
    int64_t authorized_at;  /* stays the same when it is renewed */
};
void downstream_access_end(struct downstream_access *t);

/*
 * owner: a user id, or "" for the organization. refused: the generation that the server did not
 * take, 0: none. ERR_UPSTREAM_AUTH: a person must authorize; the message says what and where.
 * ERR_UPSTREAM, ERR_TIMEOUT: it cannot be renewed just now. Waits (store, authorization server).
 */
bool downstream_access_get(struct services *sv, struct arena *a, const struct connection *conn,
                           struct str owner, int64_t refused, struct downstream_access *out,
                           struct err *e) must_use;
/* The server refused a token that had just been renewed: nobody renews again for a while. */
void downstream_access_refused(struct services *sv, struct arena *a, const struct connection *conn,
                               struct str owner, int64_t generation);
/* The server wants more than was granted (403 insufficient_scope): the next authorization asks for
 * it. False: this very token (generation) was granted all of it, so that asking again is of no use.
 */
bool downstream_access_want(struct services *sv, struct arena *a, const struct connection *conn,
                            struct str owner, int64_t generation, struct str scope) must_use;

/* BASE_URL/oauth/connect/conn_...: where a person authorizes. STR_NONE: memory. */
struct str downstream_connect_url(const struct services *sv, struct arena *a,
                                  const struct connection *conn) must_use;
/* ERR_UPSTREAM_AUTH that says why, who and where. Returns false. */
bool downstream_needs_person(const struct services *sv, const struct connection *conn,
                             struct str owner, const char *why, struct err *e);
