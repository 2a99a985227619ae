/* Registered OAuth clients: programs, of no organization. */
#pragma once

#include "store/db.h"

struct oauth_client {
    struct str id;            /* cli_ */
    struct str fingerprint;   /* hex SHA-256 of a public client's metadata; absent: confidential */
    struct str name;          /* as it calls itself: unverified; absent: none */
    struct str redirect_uris; /* separated by spaces */
    struct str auth_method;   /* none client_secret_basic client_secret_post private_key_jwt */
    struct str metadata;      /* JSON object as answered at registration */
    struct str secret_hash;   /* absent: public */
    struct str registration_hash; /* absent: public */
    int64_t consented_at;         /* 0: nobody has */
    int64_t created_at, updated_at;
    struct str source;               /* registration, document (the id is its URL), organization */
    struct str org_id;               /* whose client it is; absent: anybody's */
    struct str service_account_id;   /* who it is with client credentials; absent: nobody */
    struct str jwks;                 /* for private_key_jwt: {"keys":[...]}; absent: none */
    struct str scope;                /* the most that client credentials give; absent: nothing */
    int64_t fetched_at, fresh_until; /* of a document */
};
/* Inserts, or finds the public client with the same fingerprint: *out is what is there. */
bool oauth_clients_register(struct db *db, struct arena *a, const struct oauth_client *c,
                            struct oauth_client *out, struct err *e) must_use;
bool oauth_clients_get(struct db *db, struct arena *a, struct str id, struct oauth_client *out,
                       struct err *e) must_use;
/* The public client with this metadata. ERR_NOT_FOUND. */
bool oauth_clients_by_fingerprint(struct db *db, struct arena *a, struct str fingerprint,
                                  struct oauth_client *out, struct err *e) must_use;
/* Inserts a client of an organization. */
bool oauth_clients_insert(struct db *db, struct arena *a, const struct oauth_client *c,
                          struct err *e) must_use;
/* Replaces name, redirect_uris, metadata, jwks, scope, secret_hash of an organization's client.
 * Invalidates. */
bool oauth_clients_change(struct db *db, struct arena *a, const struct oauth_client *c,
                          struct err *e) must_use;
/*
 * Keeps what a metadata document says: inserts, or replaces what that client was. Where it may be
 * sent back to or its keys changed, remembered consents end. ERR_CONFLICT: a client with this id
 * did not come from a document.
 */
bool oauth_clients_put_document(struct db *db, struct arena *a, const struct oauth_client *c,
                                struct err *e) must_use;
/* A fetch failed: the document that is kept is looked at again after fresh_until. */
bool oauth_clients_keep_document(struct db *db, struct arena *a, struct str id, int64_t fresh_until,
                                 struct err *e) must_use;
/* Replaces what a client says of itself: name, redirect_uris, auth_method, metadata, fingerprint,
 * jwks. */
bool oauth_clients_update(struct db *db, struct arena *a, const struct oauth_client *c,
                          struct err *e) must_use;
/* With its grants, codes, tokens and consents. */
bool oauth_clients_delete(struct db *db, struct arena *a, struct str id, struct err *e) must_use;
/* Only while nobody has consented to it. ERR_NOT_FOUND otherwise. */
bool oauth_clients_delete_unused(struct db *db, struct arena *a, struct str id,
                                 struct err *e) must_use;
/* How many nobody has consented to. */
bool oauth_clients_count_unused(struct db *db, struct arena *a, int64_t *out,
                                struct err *e) must_use;
/* Removes those that nobody has consented to, registered before `before`. */
bool oauth_clients_purge(struct db *db, struct arena *a, int64_t before, struct err *e) must_use;

/* Removes those that are no organization's own, that nobody has used since `before`: changed,
 * consented to, or a grant of theirs used. */
bool oauth_clients_purge_idle(struct db *db, struct arena *a, int64_t before,
                              struct err *e) must_use;

/* ---- as an organization sees them: the clients that its people granted something ---- */

struct oauth_client_use {
    struct oauth_client client;
    int64_t n_grants, first_at, last_at; /* grants that are not revoked, of this organization */
};
/* user_id absent: of anybody. Oldest grant first; the cursor is (first_at, id). */
bool oauth_clients_list(struct db *db, struct arena *a, struct str org_id, struct str user_id,
                        const struct db_page *page, struct oauth_client_use **out, size_t *n,
                        struct err *e) must_use;
bool oauth_clients_count(struct db *db, struct arena *a, struct str org_id, struct str user_id,
                         int64_t *out, struct err *e) must_use;
bool oauth_clients_use_get(struct db *db, struct arena *a, struct str org_id, struct str user_id,
                           struct str id, struct oauth_client_use *out, struct err *e) must_use;
/*
 * Ends what the organization granted to the client: grants, consents; the client itself when nobody
 * else uses it. user_id absent: everybody's. Invalidates.
 */
bool oauth_clients_forget(struct db *db, struct arena *a, struct str org_id, struct str user_id,
                          struct str id, struct err *e) must_use;
