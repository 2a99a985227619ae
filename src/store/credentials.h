/* Sealed downstream credentials: one for the organization and one for each user of a connection.
 * Text in, text out: the vault seals. */
#pragma once

#include "store/db.h"

struct credential_row {
    struct str connection_id;
    struct str user_id; /* "" : the organization's */
    struct str kind;    /* bearer headers query env oauth_client */
    struct str sealed;  /* vault text */
    struct str updated_by;
    int64_t updated_at;
};
/* The same as part of a batch. */
void credentials_put_in(struct db_batch *b, struct str org_id, const struct credential_row *c);
bool credentials_put(struct db *db, struct arena *a, struct str org_id,
                     const struct credential_row *c, struct err *e) must_use; /* upsert */
bool credentials_get(struct db *db, struct arena *a, struct str org_id, struct str connection_id,
                     struct str user_id, struct credential_row *out, struct err *e) must_use;
/* The same credential in another envelope, unless it was set anew meanwhile: then nothing. */
bool credentials_reseal(struct db *db, struct arena *a, struct str org_id,
                        const struct credential_row *c, struct str sealed, struct err *e) must_use;
/* Without `sealed`. user_id absent: all of the connection. */
bool credentials_list(struct db *db, struct arena *a, struct str org_id, struct str connection_id,
                      struct str user_id, struct credential_row **out, size_t *n,
                      struct err *e) must_use;
bool credentials_delete(struct db *db, struct arena *a, struct str org_id, struct str connection_id,
                        struct str user_id, int64_t now, struct err *e) must_use;
