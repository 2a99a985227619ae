#include "auth/login/signin_domains.h"

#include "auth/login/signin_policy.h"
#include "auth/sso/provider_buttons.h"
#include "base/limits.h"
#include "core/domain_rules.h"
#include "core/org_policy.h"
#include "store/org_domains.h"
#include "store/orgs.h"
#include "store/users.h"

/* The proven domain of an address, and its provider where there is a usable one. */
struct route {
    bool is_proven, has_provider;
    struct org_domain domain;
    struct sso_provider provider;
};

static bool route_find(struct services *sv, struct arena *a, struct str email, struct route *out,
                       struct err *e)
{
    struct str domain = domain_rules_of_email(a, email);
    *out = (struct route){.is_proven = false};
    /* The look-up is made for nonsense, too: no address takes longer than another. */
    if (!org_domains_proven(sv->db, a, str_is_absent(domain) ? STR("") : domain, &out->domain, e))
        return e->code == ERR_NOT_FOUND;
    out->is_proven = true;
    if (str_is_absent(out->domain.provider_id))
        return true;
    if (!sso_providers_get_of_org(sv->db, a, out->domain.org_id, out->domain.provider_id,
                                  &out->provider, e))
        return e->code == ERR_NOT_FOUND;
    out->has_provider = out->provider.is_enabled;
    return true;
}

static bool button_put_first(struct arena *a, const struct sso_provider *p,
                             struct signin_options *out, struct err *e)
{
    struct signin_button *buttons = arena_alloc(a, (out->n_buttons + 1) * sizeof(*buttons));
    if (!buttons)
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    if (out->n_buttons > 0)
        memcpy(buttons + 1, out->buttons, out->n_buttons * sizeof(*buttons));
    out->buttons = buttons;
    out->n_buttons++;
    return provider_button(a, p, &buttons[0], e);
}

bool signin_domains_apply(struct http_request *rq, struct str email, struct signin_options *out,
                          struct err *e)
{
    struct route r;
    const struct org_policy *policy;
    if (str_is_absent(email))
        return true;
    if (!route_find(rq->context, rq->arena, email, &r, e))
        return false;
    if (!r.is_proven)
        return true;
    if (!org_policy_get(rq->context, rq->arena, r.domain.org_id, &policy, e))
        return false;
    out->has_magic_link = out->has_magic_link && policy->magic_links;
    if (!r.has_provider)
        return true;
    if (!button_put_first(rq->arena, &r.provider, out, e))
        return false;
    if (r.domain.is_forced)
        out->forced_path = out->buttons[0].path;
    return true;
}

static bool is_through(const struct route *r, const struct proof *proof)
{
    return str_eq(proof->by, r->provider.id);
}

/* Every organization of the person refuses it, or the domain of their address does where they have
 * no organization; `need`: what the last of them wants. */
struct refusal {
    bool is_by_all;
    enum signin_need need;
};
static bool all_refuse(struct services *sv, struct arena *a, const struct user *user,
                       const struct proof *proof, const struct route *r, struct refusal *out,
                       struct err *e)
{
    const struct db_page page = {.limit = LIMIT_LIST};
    struct org_of_user *orgs;
    size_t n, n_refused = 0;
    bool is_forced = r->has_provider && r->domain.is_forced && !is_through(r, proof);
    *out = (struct refusal){.need = SIGNIN_PROVIDER};
    if (!orgs_list_of_user(sv->db, a, user->id, &page, &orgs, &n, e))
        return false;
    for (size_t i = 0; i < n; i++) {
        enum signin_need one = SIGNIN_ENOUGH;
        if (!signin_policy_judge(sv, a, orgs[i].org.id, user->id, proof, &one, e))
            return false;
        if (one == SIGNIN_OWNERS) { /* what it proves counts nowhere else */
            *out = (struct refusal){.is_by_all = true, .need = one};
            return true;
        }
        if (is_forced && str_eq(orgs[i].org.id, r->domain.org_id))
            one = SIGNIN_PROVIDER;
        if (one == SIGNIN_PROVIDER || one == SIGNIN_NO_LINK) {
            n_refused++;
            out->need = one;
        }
    }
    out->is_by_all = n > 0 ? n_refused == n : is_forced;
    return true;
}

bool signin_domains_admit(struct services *sv, struct arena *a, struct str user_id,
                          const struct proof *proof, struct err *e)
{
    struct user user = {0};
    struct route r = {.is_proven = false};
    struct refusal refusal = {.need = SIGNIN_PROVIDER};
    if (!users_get(sv->db, a, user_id, &user, e) || !route_find(sv, a, user.email, &r, e) ||
        !all_refuse(sv, a, &user, proof, &r, &refusal, e))
        return false;
    if (!refusal.is_by_all || (user.is_operator && refusal.need != SIGNIN_OWNERS))
        return true;
    if (refusal.need == SIGNIN_PROVIDER && r.has_provider)
        return err_set(e, ERR_FORBIDDEN, "Your organization requires that you sign in with %.*s.",
                       STR_FMT(r.provider.name));
    return err_set(e, ERR_FORBIDDEN, "Not enough: %s.", signin_policy_text(refusal.need));
}
