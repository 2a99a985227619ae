#include "auth/login/signin_policy.h"

#include "auth/caller_build.h"
#include "auth/session/return_to.h"
#include "auth/sso/provider_buttons.h"
#include "base/buf.h"
#include "base/limits.h"
#include "base/text.h"
#include "core/org_policy.h"
#include "store/sso_providers.h"

/* Does the organization's own provider vouch for its owners? */
static bool owners_judge(struct services *sv, struct arena *a, struct str user_id,
                         const struct proof *p, enum signin_need *need, struct err *e)
{
    struct sso_provider provider = {.is_owners = false};
    bool is_owner = false;
    if (str_is_absent(user_id))
        return true;
    if (!sso_providers_get(sv->db, a, p->by, &provider, e) && e->code != ERR_NOT_FOUND)
        return false;
    if (!provider.is_owners && !caller_is_owner(sv, a, p->org_id, user_id, &is_owner, e))
        return false;
    if (is_owner)
        *need = SIGNIN_OWNERS;
    return true;
}

bool signin_policy_owner_check(struct services *sv, struct arena *a, struct str user_id,
                               const struct proof *p, struct err *e)
{
    enum signin_need need = SIGNIN_ENOUGH;
    if (!owners_judge(sv, a, user_id, p, &need, e))
        return false;
    return need == SIGNIN_ENOUGH || err_set(e, ERR_FORBIDDEN, "%s", signin_policy_text(need));
}

bool signin_policy_judge(struct services *sv, struct arena *a, struct str org_id,
                         struct str user_id, const struct proof *p, enum signin_need *need,
                         struct err *e)
{
    const struct org_policy *policy;
    *need = SIGNIN_ENOUGH;
    if (str_is_absent(p->by))
        return true;
    bool is_own = !str_is_absent(p->org_id) && str_eq(p->org_id, org_id);
    if (!str_is_absent(p->org_id) && !is_own) {
        *need = SIGNIN_OTHER_ORG;
        return true;
    }
    if (!org_policy_get(sv, a, org_id, &policy, e))
        return false;
    if (policy->require_sso &&
        (!is_own || (!str_is_absent(policy->provider_id) && !str_eq(policy->provider_id, p->by))))
        *need = SIGNIN_PROVIDER;
    else if (!policy->magic_links && str_eq(p->by, STR("magic")))
        *need = SIGNIN_NO_LINK;
    else if (policy->require_two_factor && !p->is_two_factor)
        *need = SIGNIN_SECOND;
    return !is_own || owners_judge(sv, a, user_id, p, need, e);
}

const char *signin_policy_text(enum signin_need need)
{
    switch (need) {
    case SIGNIN_OTHER_ORG:
        return "you signed in through another organization's provider, which counts only there: "
               "sign in again";
    case SIGNIN_PROVIDER:
        return "this organization requires that you sign in through its own provider";
    case SIGNIN_NO_LINK:
        return "this organization takes no sign-in by a link in a mail: sign in in another way";
    case SIGNIN_SECOND:
        return "this organization requires two factors: set one up, then sign in with it";
    case SIGNIN_OWNERS:
        return "an administrator has set up that sign-in provider, and you are an owner: sign in "
               "in another way, and confirm it by ORGANIZATION_SSO_UPDATE if you trust it";
    case SIGNIN_ENOUGH:
        break;
    }
    return "";
}

bool signin_policy_check(struct services *sv, struct arena *a, struct str org_id,
                         struct str user_id, const struct proof *p, struct err *e)
{
    enum signin_need need;
    if (!signin_policy_judge(sv, a, org_id, user_id, p, &need, e))
        return false;
    return need == SIGNIN_ENOUGH || err_set(e, ERR_FORBIDDEN, "%s", signin_policy_text(need));
}

/* The provider that the policy wants, if there is one to go to. */
static bool provider_find(struct services *sv, struct arena *a, struct str org_id,
                          struct sso_provider *out, bool *is_found, struct err *e)
{
    const struct org_policy *policy;
    const struct db_page page = {.limit = LIMIT_LIST};
    struct sso_provider *list;
    size_t n;
    *is_found = false;
    if (!org_policy_get(sv, a, org_id, &policy, e) ||
        !sso_providers_list(sv->db, a, org_id, &page, &list, &n, e))
        return false;
    for (size_t i = 0; i < n && !*is_found; i++) {
        *is_found = list[i].is_enabled &&
                    (str_is_absent(policy->provider_id) || str_eq(list[i].id, policy->provider_id));
        *out = list[i];
    }
    return true;
}

static struct str start_path(struct arena *a, const struct sso_provider *p, struct str return_to)
{
    struct str start = provider_start_path(a, p);
    struct buf to;
    buf_init(&to, LIMIT_BODY_FORM);
    text_percent_encode(&to, return_to);
    struct str path =
        buf_ok(&to) && !str_is_absent(start)
            ? arena_printf(a, "%.*s?return_to=%.*s", STR_FMT(start), STR_FMT(buf_str(&to)))
            : STR_NONE;
    buf_end(&to);
    return path;
}

bool signin_policy_path(struct services *sv, struct arena *a, struct str org_id,
                        enum signin_need need, struct str return_to, struct str *path,
                        struct err *e)
{
    struct sso_provider provider;
    bool is_found = false;
    if (need == SIGNIN_PROVIDER && !provider_find(sv, a, org_id, &provider, &is_found, e))
        return false;
    *path = is_found ? start_path(a, &provider, return_to) : return_to_login(a, return_to);
    if (need == SIGNIN_SECOND && !str_is_absent(*path)) /* "/login?return_to=..." */
        *path =
            arena_printf(a, "/login/again%.*s&second=1", STR_FMT(str_slice(*path, 6, SIZE_MAX)));
    return !str_is_absent(*path) || err_set(e, ERR_UNAVAILABLE, "out of memory");
}
