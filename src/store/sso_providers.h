/* Identity providers through which people sign in: an organization's, or the installation's. */
#pragma once

#include "store/db.h"

struct sso_provider {
    struct str id;            /* idp_ */
    struct str org_id;        /* absent: the installation's */
    struct str kind;          /* "oidc", "github", "saml" */
    struct str slot;          /* its name in auth-config.json; absent: an organization's */
    struct str name;          /* for buttons */
    struct str config;        /* JSON without secrets */
    struct str sealed_secret; /* auth/sso/provider_secret.h; absent: none */
    bool is_enabled;
    bool is_jit;             /* makes members of people the organization does not know yet */
    struct str default_role; /* of those */
    bool is_owners;          /* an owner configured it last: it proves owners, too */
    int64_t created_at, updated_at;
};
/* ERR_CONFLICT: the slot is taken, or no such organization. */
bool sso_providers_insert(struct db *db, struct arena *a, const struct sso_provider *p,
                          struct err *e) must_use;
/* By its id alone, as addresses name it; whose it is is in the record. ERR_NOT_FOUND. */
bool sso_providers_get(struct db *db, struct arena *a, struct str id, struct sso_provider *out,
                       struct err *e) must_use;
/* One of an organization. ERR_NOT_FOUND, also for another's. */
bool sso_providers_get_of_org(struct db *db, struct arena *a, struct str org_id, struct str id,
                              struct sso_provider *out, struct err *e) must_use;
/* An organization's, oldest first. */
bool sso_providers_list(struct db *db, struct arena *a, struct str org_id,
                        const struct db_page *page, struct sso_provider **out, size_t *n,
                        struct err *e) must_use;
bool sso_providers_count(struct db *db, struct arena *a, struct str org_id, int64_t *out,
                         struct err *e) must_use;
/* The installation's, in the order of their slots, disabled ones too. */
bool sso_providers_list_installation(struct db *db, struct arena *a, struct sso_provider **out,
                                     size_t *n, struct err *e) must_use;
/* Replaces name, config, sealed secret, switches, role, is_owners and updated_at of one of
 * p->org_id (absent: of the installation), if it is as it was at was_updated_at (0: however it is).
 * ERR_NOT_FOUND: it is another by now, or gone. */
bool sso_providers_update(struct db *db, struct arena *a, const struct sso_provider *p,
                          int64_t was_updated_at, struct err *e) must_use;
/* Replaces the config, if it still is `was`. ERR_NOT_FOUND: it is another by now, or gone. */
bool sso_providers_set_config(struct db *db, struct arena *a, struct str id, struct str was,
                              struct str config, int64_t now, struct err *e) must_use;
/* Removes an organization's, with its identities; the browser sessions that it proved end.
 * ERR_NOT_FOUND. */
bool sso_providers_delete(struct db *db, struct arena *a, struct str org_id, struct str id,
                          struct err *e) must_use;
