#include "auth/sso/oidc_claims.h"

#include <math.h>

#include "base/limits.h"
#include "base/text.h"

enum {
    SKEW_S = 60,
    TOKEN_AGE_S = 10 * 60,
    SUBJECT_MAX = 255, /* ASCII characters: OpenID Connect Core section 2 */
};
#define TIME_MAX 1e12 /* seconds: what is beyond is no time */

static bool broken(struct err *e, const char *why)
{
    return err_set(e, ERR_UPSTREAM, "The identity provider's answer was refused: %s.", why);
}

/* A NumericDate; false when it is none. */
static bool time_get(const struct jvalue *claims, const char *name, int64_t *out)
{
    const struct jvalue *v = jv_get(claims, name);
    double seconds = jv_is_number(v) ? jv_double(v, -1) : -1;
    if (!isfinite(seconds) || seconds < 0 || seconds > TIME_MAX)
        return false;
    *out = (int64_t)seconds;
    return true;
}

static bool times_check(const struct jvalue *claims, const struct oidc_expected *x, struct err *e)
{
    int64_t exp, iat, nbf, auth_time;
    if (!time_get(claims, "exp", &exp))
        return broken(e, "its ID token does not say until when it is good");
    if (exp + SKEW_S <= x->now_s)
        return broken(e, "its ID token has expired");
    if (!time_get(claims, "iat", &iat))
        return broken(e, "its ID token does not say when it was made");
    if (iat > x->now_s + SKEW_S)
        return broken(e, "its ID token was made in the future: compare the clocks");
    if (iat + TOKEN_AGE_S < x->now_s)
        return broken(e, "its ID token is older than ten minutes: compare the clocks");
    if (jv_get(claims, "nbf") && (!time_get(claims, "nbf", &nbf) || nbf > x->now_s + SKEW_S))
        return broken(e, "its ID token is not good yet");
    if (x->authenticated_since_s && (!time_get(claims, "auth_time", &auth_time) ||
                                     auth_time + SKEW_S < x->authenticated_since_s))
        return broken(e, "it did not ask you to sign in again");
    return true;
}

static bool audience_check(const struct jvalue *claims, struct str client_id, struct err *e)
{
    const struct jvalue *aud = jv_get(claims, "aud"), *azp = jv_get(claims, "azp");
    bool is_there = jv_is_string(aud) && str_eq(jv_str(aud), client_id);
    for (size_t i = 0; jv_is_array(aud) && i < jv_count(aud); i++) {
        if (!jv_is_string(jv_at(aud, i)))
            return broken(e, "its ID token's audience is ill-formed");
        is_there = is_there || str_eq(jv_str(jv_at(aud, i)), client_id);
    }
    if (!is_there)
        return broken(e, "its ID token is for another client");
    if ((azp || (jv_is_array(aud) && jv_count(aud) > 1)) && !str_eq(jv_str(azp), client_id))
        return broken(e, "its ID token was issued to another client");
    return true;
}

static bool is_subject(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < 0x20 || s.p[i] > 0x7E)
            return false;
    return s.n > 0 && s.n <= SUBJECT_MAX;
}

/* Who may sign in there at all: one Workspace domain, one tenant. */
static bool tenant_check(const struct jvalue *claims, const struct oidc_config *c, struct err *e)
{
    if (!str_is_absent(c->hosted_domain) && !str_ieq(jv_get_str(claims, "hd"), c->hosted_domain))
        return broken(e, "this account is of another domain");
    if (!str_is_absent(c->tenant) && !str_ieq(jv_get_str(claims, "tid"), c->tenant))
        return broken(e, "this account is of another tenant");
    return true;
}

static bool at_hash_check(const struct jws *token, const struct jvalue *claims,
                          const struct oidc_expected *x, struct err *e)
{
    const struct jvalue *given = jv_get(claims, "at_hash");
    struct buf expected;
    if (!given)
        return true;
    buf_init(&expected, SUBJECT_MAX);
    bool is_good = jv_is_string(given) && jws_half_hash(token->alg, x->access_token, &expected) &&
                   text_eq_ct(jv_str(given), buf_str(&expected));
    buf_end(&expected);
    return is_good || broken(e, "its ID token belongs to another access token");
}

bool oidc_claims_check(const struct jws *token, const struct oidc_expected *x, struct err *e)
{
    const struct jvalue *claims = jdoc_root(token->claims);
    if (!oidc_config_allows(x->config, token->alg))
        return broken(e, "its ID token is signed by an algorithm that is not allowed");
    if (!str_is_absent(token->typ) && !str_ieq(token->typ, STR("JWT")))
        return broken(e, "it gave a token of another kind instead of an ID token");
    if (!str_eq(jv_get_str(claims, "iss"), x->config->issuer))
        return broken(e, "its ID token is of another issuer");
    if (!audience_check(claims, x->config->client_id, e) || !times_check(claims, x, e))
        return false;
    if (x->nonce.n == 0 || !text_eq_ct(jv_get_str(claims, "nonce"), x->nonce))
        return broken(e, "its ID token does not belong to this sign-in");
    if (!is_subject(jv_get_str(claims, "sub")))
        return broken(e, "its ID token does not say who you are");
    return at_hash_check(token, claims, x, e) && tenant_check(claims, x->config, e);
}

/* An ID token is no logout token, nor the other way round: the one has no event, the other no
 * nonce.
 */
bool oidc_claims_check_logout(const struct jws *token, const struct oidc_expected *x, struct err *e)
{
    const struct jvalue *claims = jdoc_root(token->claims);
    const struct jvalue *event =
        jv_get(jv_get(claims, "events"), "http://schemas.openid.net/event/backchannel-logout");
    const struct jvalue *sub = jv_get(claims, "sub"), *sid = jv_get(claims, "sid");
    if (!oidc_config_allows(x->config, token->alg))
        return broken(e, "its logout token is signed by an algorithm that is not allowed");
    if (!str_is_absent(token->typ) && !str_ieq(token->typ, STR("JWT")) &&
        !str_ieq(token->typ, STR("logout+jwt")))
        return broken(e, "it gave a token of another kind instead of a logout token");
    if (!str_eq(jv_get_str(claims, "iss"), x->config->issuer))
        return broken(e, "its logout token is of another issuer");
    if (!audience_check(claims, x->config->client_id, e) || !times_check(claims, x, e))
        return false;
    if (!jv_is_object(event) || jv_get(claims, "nonce"))
        return broken(e, "its token does not say that somebody signed out");
    if (!is_subject(jv_get_str(claims, "jti")))
        return broken(e, "its logout token has no id");
    bool has_one = sub || sid;
    return (has_one && (!sub || is_subject(jv_str(sub))) && (!sid || is_subject(jv_str(sid)))) ||
           broken(e, "its logout token does not say whose session ended");
}

/* ---- who it is ---- */

static bool amr_has(const struct jvalue *amr, struct str method)
{
    for (size_t i = 0; jv_is_array(amr) && i < jv_count(amr); i++)
        if (str_eq(jv_str(jv_at(amr, i)), method))
            return true;
    return false;
}

/* RFC 8176: "mfa", or something known together with something had or been. */
static bool is_two_factor(const struct jvalue *amr)
{
    static const struct str second[] = {STR("otp"), STR("hwk"), STR("swk"), STR("sms"), STR("tel"),
                                        STR("pop"), STR("sc"),  STR("fpt"), STR("face")};
    if (amr_has(amr, STR("mfa")))
        return true;
    bool has_known = amr_has(amr, STR("pwd")) || amr_has(amr, STR("pin"));
    for (size_t i = 0; has_known && i < ARRAY_LEN(second); i++)
        if (amr_has(amr, second[i]))
            return true;
    return false;
}

static struct str domain_of(struct str email)
{
    size_t at = str_find_char(email, '@');
    return at == SIZE_MAX ? STR_NONE : str_slice(email, at + 1, SIZE_MAX);
}

/*
 * Only the boolean counts. Google speaks for its own addresses and for Workspace domains; Entra's
 * "email" can be anything unless it says that the domain's owner was checked.
 */
static bool is_verified(const struct oidc_config *c, const struct jvalue *claims,
                        const struct jvalue *source, struct str email)
{
    const struct jvalue *said = jv_get(source, "email_verified");
    struct str domain = domain_of(email), hd = jv_get_str(claims, "hd");
    if (!str_is_absent(c->tenant) || str_eq(c->style, STR("microsoft"))) {
        const struct jvalue *owner = jv_get(claims, "xms_edov");
        return jv_bool(owner, false) || jv_i64(owner, 0) == 1;
    }
    if (!jv_is_bool(said) || !jv_bool(said, false))
        return false;
    return !str_eq(c->style, STR("google")) || str_ieq(domain, STR("gmail.com")) ||
           (hd.n > 0 && str_ieq(domain, hd));
}

static struct str text_of(const struct jvalue *object, struct str name, struct arena *a)
{
    const char *key = arena_cstr(a, name);
    struct str s = key ? jv_get_str(object, key) : STR_NONE;
    return s.n > 0 && s.n <= LIMIT_DESCRIPTION ? s : STR_NONE;
}

/* Beyond the maximum they are left out: a group too few is a right too few. */
static void group_add(struct str name, struct str *list, size_t *n)
{
    if (name.n > 0 && name.n <= LIMIT_PATTERN && !text_has_control(name) && *n < LIMIT_GROUPS_SAID)
        list[(*n)++] = name;
}

bool oidc_groups_add(struct arena *a, const struct jvalue *value, struct identity *out)
{
    struct str *list = arena_alloc(a, LIMIT_GROUPS_SAID * sizeof(*list));
    size_t n = out->n_groups;
    if (!list)
        return false;
    if (n)
        memcpy(list, out->groups, n * sizeof(*list));
    if (jv_is_string(value))
        group_add(jv_str(value), list, &n);
    for (size_t i = 0; jv_is_array(value) && i < jv_count(value); i++) {
        const struct jvalue *item = jv_at(value, i);
        group_add(jv_is_object(item) ? jv_get_str(item, "id") : jv_str(item), list, &n);
    }
    out->groups = list;
    out->n_groups = n;
    out->has_groups = true;
    return true;
}

bool oidc_claims_identity(struct arena *a, const struct oidc_config *c, const struct jvalue *claims,
                          const struct jvalue *userinfo, struct identity *out, struct err *e)
{
    const char *groups_name = arena_cstr(a, c->groups_claim);
    const struct jvalue *source = claims;
    out->subject = jv_get_str(claims, "sub");
    out->email = text_of(claims, c->email_claim, a);
    if (str_is_absent(out->email)) {
        out->email = text_of(userinfo, c->email_claim, a);
        source = userinfo;
    }
    out->is_email_verified =
        !str_is_absent(out->email) && is_verified(c, claims, source, out->email);
    /* Entra leaves "email" out for many; this name has its form, and proves nothing. */
    if (str_is_absent(out->email) && !str_is_absent(c->tenant))
        out->email = text_of(claims, STR("preferred_username"), a);
    out->name = text_of(claims, c->name_claim, a);
    if (str_is_absent(out->name))
        out->name = text_of(userinfo, c->name_claim, a);
    out->provider_session = text_of(claims, STR("sid"), a);
    out->is_two_factor = is_two_factor(jv_get(claims, "amr"));
    const struct jvalue *groups = groups_name ? jv_get(claims, groups_name) : NULL;
    if (!groups && groups_name)
        groups = jv_get(userinfo, groups_name);
    bool is_list = jv_is_array(groups) || jv_is_string(groups);
    return !is_list || oidc_groups_add(a, groups, out) ||
           err_set(e, ERR_UNAVAILABLE, "out of memory");
}
