/* What an organization allows of OAuth clients: all, those that it approved, none
 * (core/org_policy.h). */
#pragma once

#include "core/services.h"
#include "store/oauth_clients.h"

enum client_policy {
    CLIENT_REFUSED,
    CLIENT_MAY_ASK,  /* the person is asked */
    CLIENT_APPROVED, /* the organization has approved this one by name */
};
/*
 * The organization's own clients, which its administrators made, are always approved. Waits
 * (store).
 */
bool client_policy_of(struct services *sv, struct arena *a, struct str org_id,
                      const struct oauth_client *client, enum client_policy *out,
                      struct err *e) must_use;
