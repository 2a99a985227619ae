/* A member as SCIM shows them, and what is kept of what a directory says. */
#pragma once

#include "auth/scim/scim_parts.h"

/* Everything of the resource, its groups only if asked. NULL: x->fault says why. */
struct scim_node *scim_user_render(struct scim_request *x, struct arena *a,
                                   const struct scim_user *u, bool with_groups) must_use;
/* Cleaned attributes into *u: user_name (lower case), external_id, attributes. */
bool scim_user_fill(struct scim_request *x, const struct scim_node *clean,
                    struct scim_user *u) must_use;
/* The address that somebody is known by: the primary e-mail, one for work, any, else the user name.
 * Lower case. invalidValue: none of them is an address. */
bool scim_user_email(struct scim_request *x, const struct scim_node *clean,
                     struct str *out) must_use;
/* A name for an account that has none yet; "" cannot be. STR_NONE: memory. */
struct str scim_user_name(struct scim_request *x, const struct scim_node *clean,
                          struct str email) must_use;
