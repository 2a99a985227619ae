#include "auth/foreign/introspect_ask.h"

#include "auth/downstream/fetch.h"
#include "auth/downstream/grant.h"
#include "auth/foreign/claims.h"
#include "base/limits.h"
#include "base/secret.h"
#include "core/vault.h"

static bool authorization_make(struct services *sv, struct arena *a,
                               const struct org_issuer *issuer, struct str *out, struct err *e)
{
    struct vault_place place = {issuer->org_id, STR("org_issuers"), STR("sealed"), issuer->id};
    struct secret secret = {0};
    *out = STR_NONE;
    if (str_is_absent(issuer->sealed))
        return true;
    if (!vault_open(sv->vault, a, &place, issuer->sealed, &secret, e))
        return false;
    struct downstream_identity who = {.client_id = issuer->client_id,
                                      .client_secret = secret_reveal(&secret)};
    *out = downstream_basic(a, &who);
    secret_end(&secret);
    return !str_is_absent(*out) || err_set(e, ERR_UNAVAILABLE, "out of memory");
}

/* Only "Bearer", however it is called; nothing that must be shown with a proof of a key. */
static bool type_is_good(const struct jvalue *answer)
{
    struct str type = jv_get_str(answer, "token_type");
    return !jv_get(answer, "token_type") || str_ieq(type, STR("Bearer")) ||
           str_ieq(type, STR("access_token"));
}

bool introspect_ask(struct services *sv, struct arena *a, const struct org_issuer *issuer,
                    struct str token, const struct jvalue **out, struct err *e)
{
    struct downstream_post post = {.type = STR("application/x-www-form-urlencoded")};
    struct downstream_answer got;
    struct buf form;
    if (!authorization_make(sv, a, issuer, &post.authorization, e))
        return false;
    buf_init(&form, 4 * LIMIT_FOREIGN_TOKEN);
    downstream_form_add(&form, "token", token);
    downstream_form_add(&form, "token_type_hint", STR("access_token"));
    post.body = buf_str(&form);
    bool is_answered =
        buf_ok(&form) && downstream_fetch(sv, a, issuer->introspection_endpoint, &post, &got, e);
    if (!buf_ok(&form))
        err_set(e, ERR_UNAVAILABLE, "out of memory");
    if (form.p)
        secret_wipe(form.p, form.n);
    if (post.authorization.p)
        secret_wipe((char *)(uintptr_t)post.authorization.p, post.authorization.n);
    buf_end(&form);
    if (!is_answered)
        return false;
    if (got.status != 200 || !got.json)
        return err_set(e, ERR_UPSTREAM, "the authorization server answered introspection with %d",
                       got.status);
    const struct jvalue *active = jv_get(got.json, "active");
    if (!jv_is_bool(active) || !jv_bool(active, false))
        return foreign_refused(e, "not active");
    if (!type_is_good(got.json))
        return foreign_refused(e, "no bearer token");
    *out = got.json;
    return true;
}
