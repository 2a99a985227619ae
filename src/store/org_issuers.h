/* Other authorization servers whose access tokens an organization takes. */
#pragma once

#include "store/db.h"

struct org_issuer {
    struct str id; /* iss_ */
    struct str org_id, name;
    struct str issuer;                 /* as tokens and metadata spell it */
    struct str kind;                   /* jwt, opaque */
    struct str jwks_uri;               /* absent: by discovery */
    struct str introspection_endpoint; /* of opaque ones */
    struct str client_id, sealed;      /* for introspection; absent: none */
    struct str audiences;              /* JSON array of strings */
    struct str required_scopes;        /* space separated */
    struct str scope_map;              /* JSON object; absent: none */
    bool accepts_plain_jwt;            /* typ JWT or none, too */
    struct str subject;                /* JSON object (auth/foreign/subject.h) */
    bool is_enabled;
    bool is_owners; /* an owner configured it last: its tokens may be of owners, too */
    int64_t created_at, updated_at;
};
/* ERR_CONFLICT: the organization has this issuer, or another opaque one, already. */
bool org_issuers_insert(struct db *db, struct arena *a, const struct org_issuer *i,
                        struct err *e) must_use;
bool org_issuers_get(struct db *db, struct arena *a, struct str org_id, struct str id,
                     struct org_issuer *out, struct err *e) must_use;
/* The enabled one with this issuer; absent: the one for opaque tokens. ERR_NOT_FOUND. */
bool org_issuers_find(struct db *db, struct arena *a, struct str org_id, struct str issuer,
                      struct org_issuer *out, struct err *e) must_use;
bool org_issuers_list(struct db *db, struct arena *a, struct str org_id, const struct db_page *page,
                      struct org_issuer **out, size_t *n, struct err *e) must_use;
bool org_issuers_count(struct db *db, struct arena *a, struct str org_id, int64_t *out,
                       struct err *e) must_use;
/* Writes everything but id, org_id and created_at. Invalidates. ERR_NOT_FOUND, ERR_CONFLICT. */
bool org_issuers_update(struct db *db, struct arena *a, const struct org_issuer *i,
                        struct err *e) must_use;
bool org_issuers_delete(struct db *db, struct arena *a, struct str org_id, struct str id,
                        struct err *e) must_use;
/* Whose connection or virtual server an id is. The one question of the gateway that names no
 * organization: the answer is never shown. ERR_NOT_FOUND. */
bool org_issuers_owner(struct db *db, struct arena *a, struct str object_id, struct str *org_id,
                       struct err *e) must_use;
