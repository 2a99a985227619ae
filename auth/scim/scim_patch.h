/* PATCH, as Okta and Entra ID speak it, too. Source: RFC 7644 section 3.5.2. */
#pragma once

#include "auth/scim/scim_schema.h"

/*
 * Does the operations of a PATCH body to the resource, all of them or, with a fault, nobody knows
 * which: the resource is a copy. Operations' names in any case; paths with filters; values without
 * a path, whose members may be paths themselves; truth values as words. Faults: invalidSyntax,
 * invalidPath, noTarget, invalidValue, mutability.
 */
bool scim_patch_apply(struct arena *a, const struct scim_schema *s, struct scim_node *resource,
                      const struct scim_node *body, struct scim_fault *f) must_use;
