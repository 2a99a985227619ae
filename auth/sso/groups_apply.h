/* What a sign-in provider says of a person's groups becomes theirs. */
#pragma once

#include "base/err.h"
#include "core/services.h"

/* What one sign-in said. */
struct groups_said {
    struct str org_id, user_id;
    struct str provider_id;   /* idp_ */
    bool is_owners;           /* an owner configured it last: it names owners, too */
    const struct str *groups; /* as the provider names them */
    size_t n_groups;
    struct str group_roles; /* the provider's JSON object: its name of a group -> role, or an array
                               of roles; absent: none. Roles and ids of groups (grp_) count */
};
/*
 * Makes the person's memberships by this provider exactly what it said; those by hand and by others
 * stay. Names that the organization has not mapped are nothing. Roles that no longer exist are left
 * out. Writes only what differs. Waits (store). ERR_NOT_FOUND: the person is no member of the
 * organization.
 */
bool groups_apply(struct services *sv, const struct groups_said *said, struct err *e) must_use;
