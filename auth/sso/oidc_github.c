/* GitHub: OAuth without an ID token. The numeric id is who somebody is; only an address that is
 * primary and verified counts. Errors come with 200. */
#include "auth/sso/oidc_parts.h"
#include "base/limits.h"

static bool api(struct services *sv, struct arena *a, struct str url, struct str token,
                struct downstream_answer *out, struct err *e)
{
    return oidc_api_get(sv, a, url, token, out, e) &&
           (!jv_get(out->json, "error") ||
            err_set(e, ERR_UPSTREAM, "The identity provider answered with an error."));
}

static bool user_read(struct arena *a, const struct jvalue *user, struct identity *out,
                      struct err *e)
{
    int64_t id = jv_is_integer(jv_get(user, "id")) ? jv_get_i64(user, "id", 0) : 0;
    if (id <= 0)
        return err_set(e, ERR_UPSTREAM,
                       "The identity provider's answer was refused: it does not say who you are.");
    out->subject = arena_printf(a, "%lld", (long long)id);
    out->name = jv_get_str(user, "name");
    if (out->name.n == 0)
        out->name = jv_get_str(user, "login");
    return !str_is_absent(out->subject) || err_set(e, ERR_UNAVAILABLE, "out of memory");
}

static void emails_read(const struct jvalue *list, struct identity *out)
{
    for (size_t i = 0; jv_is_array(list) && i < jv_count(list); i++) {
        const struct jvalue *item = jv_at(list, i);
        const struct jvalue *verified = jv_get(item, "verified");
        if (!jv_get_bool(item, "primary", false))
            continue;
        out->email = jv_get_str(item, "email");
        out->is_email_verified = jv_is_bool(verified) && jv_bool(verified, false);
        return;
    }
}

bool oidc_redeem_github(struct services *sv, struct arena *a, const struct oidc_provider *p,
                        const struct oidc_kept *kept, struct str code, struct oidc_return *out,
                        struct err *e)
{
    struct sso_steps *steps = &out->steps;
    struct str token = STR_NONE, none;
    struct downstream_answer user = {0}, emails = {0};
    if (!sso_step_end(steps, "token request",
                      oidc_token_call(sv, a, p, kept, code, &token, &none, e), e) ||
        !sso_step_end(steps, "user information",
                      api(sv, a, p->config.userinfo_endpoint, token, &user, e) &&
                          user_read(a, user.json, &out->identity, e),
                      e) ||
        !sso_step_end(steps, "e-mail addresses",
                      api(sv, a, p->config.emails_endpoint, token, &emails, e), e))
        return false;
    emails_read(emails.value, &out->identity);
    return true;
}
