/* The slugs of organizations (scope "") and connections (scope: the organization's id), present and
 * retired. */
#pragma once

#include "store/db.h"

enum { SLUG_RETIRED_DAYS = 90 }; /* a retired slug resolves this long */

/* Adds to a batch: the first slug of a new object. The statement fails (slugs_is_taken) when it is
 * or was another's. */
void slugs_add(struct db_batch *b, struct str org_id, struct str scope, struct str object_id,
               struct str slug);
/* Adds to a batch: slug becomes the object's present one, the former is retired. An object may take
 * back its own. */
void slugs_change(struct db_batch *b, struct str org_id, struct str scope, struct str object_id,
                  struct str slug, int64_t now);
/* Adds to a batch: forgets all slugs of an object that is being deleted. */
void slugs_drop(struct db_batch *b, struct str org_id, struct str object_id);
/* True when a batch failed for the slug's sake. */
bool slugs_is_taken(const struct err *e);
/* Sets ERR_CONFLICT "the slug is taken". Returns false. */
bool slugs_taken(struct err *e, struct str slug);
/* Which object the slug leads to now. ERR_NOT_FOUND. */
bool slugs_resolve(struct db *db, struct arena *a, struct str scope, struct str slug,
                   struct str *object_id, struct err *e) must_use;
