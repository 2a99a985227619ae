#include "auth/sso/oidc_logout.h"

#include "auth/jwks_cache.h"
#include "auth/login/login_audit.h"
#include "auth/oauth/wire.h"
#include "auth/secret_text.h"
#include "auth/sso/oidc_claims.h"
#include "auth/sso/oidc_parts.h"
#include "base/clock.h"
#include "base/limits.h"
#include "store/browser_sessions.h"
#include "store/identities.h"
#include "store/oauth_assertions.h"

/* Section 2.6, step 8: each token once. A provider's word for it, so apart from other providers'.
 */
static bool token_use(struct http_request *rq, struct str provider_id, const struct jvalue *claims,
                      int64_t now, struct err *e)
{
    struct services *sv = rq->context;
    struct str id = arena_printf(rq->arena, "logout|%.*s|%.*s", STR_FMT(provider_id),
                                 STR_FMT(jv_get_str(claims, "jti")));
    struct str hash = str_is_absent(id) ? id : secret_text_hash(rq->arena, id);
    if (str_is_absent(hash))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    return oauth_assertions_use(sv->db, rq->arena, hash, now + LIMIT_CONNECT_LIFE_MS * 2, now, e);
}

static bool sessions_end(struct http_request *rq, const struct oidc_provider *p,
                         const struct jvalue *claims, struct err *e)
{
    struct services *sv = rq->context;
    struct str subject = jv_get_str(claims, "sub");
    struct identity_row who = {.user_id = STR_NONE};
    int64_t n = 0;
    if (!str_is_absent(subject) &&
        !identities_find(sv->db, rq->arena, p->row.id, p->config.issuer, subject, &who, e))
        return e->code == ERR_NOT_FOUND; /* nobody of ours: there is nothing to end */
    if (!browser_sessions_end_proved(sv->db, rq->arena, p->row.id, who.user_id,
                                     jv_get_str(claims, "sid"), &n, e))
        return false;
    const struct login_event event = {.method = "signout",
                                      .user_id = who.user_id,
                                      .org_id = p->row.org_id,
                                      .name = STR("oidc"),
                                      .outcome = "ok"};
    return n == 0 || login_audit(sv, rq, &event, e);
}

static bool receive(struct http_request *rq, struct jws *token, struct err *e)
{
    struct services *sv = rq->context;
    struct form form;
    struct oidc_provider p;
    int64_t now = clock_wall_ms();
    if (!wire_form_read(rq, &form, e))
        return false;
    struct str text = wire_param(&form, "logout_token");
    if (str_is_absent(text) || !jws_parse(rq->arena, text, token, e))
        return err_set(e, ERR_BAD_REQUEST, "logout_token is missing, or no signed token");
    if (!oidc_provider_load(sv, rq->arena, rq->params[0], &p, e))
        return false;
    const struct oidc_expected x = {.config = &p.config, .now_s = now / 1000};
    const struct jvalue *claims = jdoc_root(token->claims);
    return !p.config.is_github && oidc_claims_check_logout(token, &x, e) &&
           jwks_cache_verify(sv, rq->arena, p.config.jwks_uri, token, e) &&
           token_use(rq, p.row.id, claims, now, e) && sessions_end(rq, &p, claims, e);
}

void oidc_logout_post(struct http_request *rq)
{
    struct jws token = {0};
    struct err e = {.code = ERR_NONE};
    struct err refused;
    bool is_good = receive(rq, &token, &e);
    jws_end(&token);
    http_set_header(rq, STR("Cache-Control"), STR("no-store"));
    if (is_good) {
        http_answer(rq, 200, STR_NONE, STR(""));
    } else if (e.code == ERR_UNAVAILABLE || e.code == ERR_TIMEOUT || e.code == ERR_RATE_LIMITED) {
        wire_answer_error(rq, &e);
    } else {
        err_set(&refused, ERR_BAD_REQUEST, "the logout token was refused");
        wire_answer_error(rq, &refused);
    }
}
