/* A membership that is kept but opens nothing: what a directory does with people who are away. */
#pragma once

#include "store/db.h"

/*
 * Ends at once: their API keys, grants, codes and remembered consents of this organization, browser
 * sessions that its providers proved, and every session of a person who has no other organization.
 * Again is fine. ERR_NOT_FOUND; ERR_UNPROCESSABLE: the last owner. Invalidates.
 */
bool members_deactivate(struct db *db, struct arena *a, struct str org_id, struct str user_id,
                        int64_t now, struct err *e) must_use;
/* The roles count again; what ended stays ended. ERR_NOT_FOUND. Invalidates. */
bool members_activate(struct db *db, struct arena *a, struct str org_id, struct str user_id,
                      struct err *e) must_use;
