#include "auth/oauth/client_policy.h"

#include "core/org_policy.h"

static bool is_approved(const struct org_policy *p, struct str client_id)
{
    for (size_t i = 0; i < p->n_approved_clients; i++)
        if (str_eq(p->approved_clients[i], client_id))
            return true;
    return false;
}

bool client_policy_of(struct services *sv, struct arena *a, struct str org_id,
                      const struct oauth_client *client, enum client_policy *out, struct err *e)
{
    const struct org_policy *p;
    if (!org_policy_get(sv, a, org_id, &p, e))
        return false;
    *out = CLIENT_REFUSED;
    if (str_eq(client->org_id, org_id) ||
        (p->oauth_clients != ORG_CLIENTS_OFF && is_approved(p, client->id)))
        *out = CLIENT_APPROVED;
    else if (p->oauth_clients == ORG_CLIENTS_OPEN)
        *out = CLIENT_MAY_ASK;
    return true;
}
