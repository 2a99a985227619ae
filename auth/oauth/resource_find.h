/* Which object of the registry a resource names: by id, by present or retired slug. */
#pragma once

#include "auth/oauth/resource.h"
#include "core/services.h"

/*
 * The stored form ("management", "hub", "conn_...", "vs_...") of what `ref` names within one
 * organization. RESOURCE_OPEN is none of them: bug. ERR_INVALID_TARGET: not there, or another
 * organization was named; the same words for both. Waits (store).
 */
bool resource_find(struct services *sv, struct arena *a, struct str org_id,
                   const struct resource_ref *ref, struct str *out, struct err *e) must_use;
/* At the token endpoint: is the resource given there (absent or the bare origin: as granted) the
 * granted one? ERR_INVALID_TARGET. */
bool resource_agrees(struct services *sv, struct arena *a, struct str org_id, struct str given,
                     struct str granted, struct err *e) must_use;
/* The address of a stored resource. STR_NONE: memory. */
struct str resource_url(const struct services *sv, struct arena *a, struct str resource) must_use;
