/* Groups that did not fit into an ID token: Entra's overage, and distributed claims in general. */
#include "auth/sso/oidc_claims.h"
#include "auth/sso/oidc_parts.h"
#include "base/limits.h"
#include "base/uri.h"

/* Entra names the retired graph.windows.net; this is where the same question is answered now. */
#define GRAPH_GROUPS "https://graph.microsoft.com/v1.0/me/getMemberObjects"

static bool is_same_origin(struct arena *a, struct str one, struct str two)
{
    struct uri u, v;
    return !str_is_absent(one) && !str_is_absent(two) && uri_parse(one, &u) && uri_parse(two, &v) &&
           uri_is_http(&u) && uri_is_http(&v) && str_eq(uri_origin(a, &u), uri_origin(a, &v));
}

/* The access token goes to the provider's own servers only, whatever the token names. */
static bool is_own(struct arena *a, const struct oidc_config *c, struct str url)
{
    return is_same_origin(a, url, c->issuer) || is_same_origin(a, url, c->userinfo_endpoint) ||
           is_same_origin(a, url, c->token_endpoint) || str_eq(url, c->groups_endpoint);
}

/* Where the groups are; absent when the token says nothing of it. */
static struct str endpoint_of(struct arena *a, const struct oidc_config *c,
                              const struct jvalue *claims)
{
    const char *name = arena_cstr(a, c->groups_claim);
    struct str source = name ? jv_get_str(jv_get(claims, "_claim_names"), name) : STR_NONE;
    const char *key = str_is_absent(source) ? NULL : arena_cstr(a, source);
    struct str url =
        key ? jv_get_str(jv_get(jv_get(claims, "_claim_sources"), key), "endpoint") : STR_NONE;
    struct uri u;
    if (!str_is_absent(c->groups_endpoint))
        return str_is_absent(source) && !jv_get_bool(claims, "hasgroups", false)
                   ? STR_NONE
                   : c->groups_endpoint;
    bool is_retired =
        !str_is_absent(url) && uri_parse(url, &u) && str_ieq(u.host, STR("graph.windows.net"));
    if (is_retired || (str_is_absent(url) && jv_get_bool(claims, "hasgroups", false)))
        return str_is_absent(c->tenant) ? STR_NONE : STR(GRAPH_GROUPS);
    return url;
}

static bool page_get(struct services *sv, struct arena *a, struct str url, struct str access_token,
                     struct downstream_answer *out, struct err *e)
{
    if (!str_ends(url, STR("/getMemberObjects")))
        return oidc_api_get(sv, a, url, access_token, out, e);
    const struct downstream_post post = {.type = STR("application/json"),
                                         .body = STR("{\"securityEnabledOnly\":false}"),
                                         .authorization =
                                             arena_printf(a, "Bearer %.*s", STR_FMT(access_token))};
    if (str_is_absent(post.authorization))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    if (!downstream_fetch(sv, a, url, &post, out, e))
        return false;
    return (out->status == 200 && out->json) ||
           err_set(e, ERR_UPSTREAM, "the groups' address answered %d", out->status);
}

static const struct jvalue *list_of(const struct downstream_answer *answer)
{
    const struct jvalue *list = jv_get(answer->json, "value");
    return list ? list : jv_get(answer->json, "groups");
}

static bool pages_read(struct services *sv, struct arena *a, struct str url,
                       struct str access_token, struct identity *said, struct err *e)
{
    struct downstream_answer answer = {0};
    struct str first = url;
    for (int i = 0; !str_is_absent(url); i++) {
        if (i == LIMIT_GROUP_PAGES)
            return err_set(e, ERR_TOO_LARGE, "the groups are more than %d pages",
                           LIMIT_GROUP_PAGES);
        if (!page_get(sv, a, url, access_token, &answer, e))
            return false;
        if (!jv_is_array(list_of(&answer)))
            return err_set(e, ERR_UPSTREAM, "the groups' address gave no list of groups");
        if (!oidc_groups_add(a, list_of(&answer), said))
            return err_set(e, ERR_UNAVAILABLE, "out of memory");
        url = jv_get_str(answer.json, "@odata.nextLink");
        if (!str_is_absent(url) && !is_same_origin(a, url, first))
            return err_set(e, ERR_UPSTREAM, "the groups go on at another server");
    }
    return true;
}

bool oidc_groups_fetch(struct services *sv, struct arena *a, const struct oidc_provider *p,
                       const struct jvalue *claims, struct str access_token,
                       struct oidc_return *out, struct err *e)
{
    struct identity said = out->identity;
    struct str url = endpoint_of(a, &p->config, claims);
    if (said.has_groups || str_is_absent(url))
        return true;
    bool is_good = is_own(a, &p->config, url) || str_eq(url, STR(GRAPH_GROUPS)) ||
                   err_set(e, ERR_EGRESS, "the groups are at a server that is not the provider's");
    is_good = is_good && pages_read(sv, a, url, access_token, &said, e);
    (void)!sso_step_end(&out->steps, "groups", is_good, e);
    if (is_good)
        out->identity = said;
    return is_good || e->code != ERR_CANCELLED;
}
