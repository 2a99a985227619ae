/*
 * What an organization demands: of sign-ins, of browser sessions, of OAuth clients, of callers.
 * Administrators change it by ORGANIZATION_POLICY_UPDATE. Every member has a default. Each worker
 * keeps what it has read (core/row_cache.h).
 */
#pragma once

#include "base/buf.h"
#include "core/services.h"
#include "json/jread.h"

enum org_clients { ORG_CLIENTS_OPEN, ORG_CLIENTS_APPROVED, ORG_CLIENTS_OFF };

struct org_policy {
    bool require_sso;       /* only sessions that one of its own providers proved */
    struct str provider_id; /* and only this one of them; absent: any */
    bool require_two_factor;
    int64_t session_idle_minutes; /* without a request a browser session ends; 7 days */
    int64_t session_life_minutes; /* after the sign-in it ends at the latest; 30 days */
    bool magic_links;             /* may its people sign in by a link sent by mail; true */
    enum org_clients oauth_clients;
    const struct str *approved_clients; /* ids that ORG_CLIENTS_APPROVED lets in */
    size_t n_approved_clients;
    struct str search_mode_default; /* off, auto; absent: as ORGANIZATION_UPDATE hub_search says */
    /* Of calls through the gateway; 0: no limit. */
    int64_t rate_organization, rate_connection, rate_key; /* requests a minute */
    int64_t concurrent_organization, concurrent_connection, concurrent_key;
};

/* The organization's policy, the defaults where it has set none (an unknown id too). *out is valid
 * until the arena ends. Waits on a miss (store). ERR_UNAVAILABLE and the store's. */
bool org_policy_get(struct services *sv, struct arena *a, struct str org_id,
                    const struct org_policy **out, struct err *e) must_use;

/* How long a browser session of this person may be idle and live, ms: as the organization whose
 * provider proved it says, else the shortest of the person's organizations. Same errors. */
struct session_lifetime {
    int64_t idle_ms, life_ms;
};
bool org_policy_lifetime(struct services *sv, struct arena *a, struct str user_id,
                         struct str proof_org_id, struct session_lifetime *out,
                         struct err *e) must_use;

/*
 * Applies what `change` (an object that has passed ORGANIZATION_POLICY_UPDATE's schema) gives; null
 * is the default. What is written is whole: text in the arena for org_policies_put. Strings of *p
 * live as long as `change` and what it held before.
 */
bool org_policy_apply(struct arena *a, const struct jvalue *change, struct org_policy *p,
                      struct err *e) must_use;
/* The policy as a JSON object: as it is stored, and as the tools show it. */
void org_policy_write(const struct org_policy *p, struct buf *out);
/* One that nobody has changed. */
struct org_policy org_policy_default(void);
