/*
 * Authorizations of Tulle at the servers it calls: its registrations there, the authorizations that
 * a person has begun, and the tokens. Text in, text out: the vault seals.
 */
#pragma once

#include "store/db.h"

/* ---- registrations ---- */

struct downstream_client {
    struct str connection_id, issuer;
    struct str redirect_uri; /* it was made for */
    struct str sealed;
    int64_t created_at;
};
bool downstream_clients_put(struct db *db, struct arena *a, struct str org_id,
                            const struct downstream_client *c, struct err *e) must_use; /* upsert */
bool downstream_clients_get(struct db *db, struct arena *a, struct str org_id,
                            struct str connection_id, struct str issuer,
                            struct downstream_client *out, struct err *e) must_use;
/* None is fine. */
bool downstream_clients_delete(struct db *db, struct arena *a, struct str org_id,
                               struct str connection_id, struct str issuer, struct err *e) must_use;

/* ---- begun authorizations ---- */

struct downstream_request {
    struct str hash; /* hex SHA-256 of state */
    struct str org_id, connection_id;
    struct str user_id;               /* whose the tokens will be; "": the organization's */
    struct str person_id, session_id; /* who began it, and in which browser session */
    struct str issuer;
    struct str sealed;
    int64_t expires_at;
};
/* Removes those that have expired, too. */
bool downstream_requests_put(struct db *db, struct arena *a, const struct downstream_request *r,
                             int64_t now, struct err *e) must_use;
/* Takes it out: once, and only in the browser that began it. ERR_NOT_FOUND. */
bool downstream_requests_take(struct db *db, struct arena *a, struct str hash,
                              struct str session_id, int64_t now, struct downstream_request *out,
                              struct err *e) must_use;

/* ---- tokens ---- */

struct downstream_token {
    struct str connection_id;
    struct str user_id; /* "": the organization's */
    struct str issuer, scope;
    struct str wanted_scope; /* absent: nothing beyond it */
    struct str sealed;       /* absent in lists */
    int64_t expires_at;      /* of the access token, ms; 0: not said */
    int64_t generation;
    bool is_leased;      /* somebody refreshes it just now ... */
    int64_t lease_until; /* ... until then; not leased: nobody tries before; 0: nobody did */
    struct str failure;  /* absent: good */
    struct str authorized_by;
    int64_t authorized_at, updated_at;
};
/* After a person has authorized: replaces what was there, at any issuer. */
bool downstream_tokens_put(struct db *db, struct arena *a, struct str org_id,
                           const struct downstream_token *t, struct err *e) must_use;
/* ERR_NOT_FOUND. */
bool downstream_tokens_get(struct db *db, struct arena *a, struct str org_id,
                           struct str connection_id, struct str user_id,
                           struct downstream_token *out, struct err *e) must_use;
/* Without `sealed`: what the connections of an organization have of one owner. */
bool downstream_tokens_list(struct db *db, struct arena *a, struct str org_id, struct str user_id,
                            struct downstream_token **out, size_t *n, struct err *e) must_use;
/* With `sealed`: everybody's of one connection. */
bool downstream_tokens_of(struct db *db, struct arena *a, struct str org_id,
                          struct str connection_id, struct downstream_token **out, size_t *n,
                          struct err *e) must_use;
/*
 * The right to refresh this generation, until lease->until: for one fiber of all workers and nodes.
 * *is_ours false: somebody else has it, or it has been refreshed already.
 */
struct downstream_lease {
    struct str id;
    int64_t now, until; /* ms */
};
bool downstream_tokens_lease(struct db *db, struct arena *a, struct str org_id,
                             const struct downstream_token *t, const struct downstream_lease *lease,
                             bool *is_ours, struct err *e) must_use;
/* What a refresh gave: t's scope, sealed, expires_at and updated_at, as the next generation.
 * ERR_CONFLICT: the lease is no longer ours. */
bool downstream_tokens_renew(struct db *db, struct arena *a, struct str org_id,
                             const struct downstream_token *t, struct str lease_id,
                             struct err *e) must_use;
/* A refresh that failed: nobody tries before `until`; failure present: nobody tries again. */
bool downstream_tokens_fail(struct db *db, struct arena *a, struct str org_id,
                            const struct downstream_token *t, struct str lease_id, int64_t until,
                            struct str failure, struct err *e) must_use;
/* What the server wants beyond the scope that was granted. */
bool downstream_tokens_want(struct db *db, struct arena *a, struct str org_id,
                            const struct downstream_token *t, struct str scope,
                            struct err *e) must_use;
/* None is fine: *was_there. Drops caches. */
bool downstream_tokens_delete(struct db *db, struct arena *a, struct str org_id,
                              struct str connection_id, struct str user_id, bool *was_there,
                              struct err *e) must_use;
