#include "auth/login/second.h"

#include "auth/factors/codes.h"
#include "auth/factors/passkeys.h"
#include "auth/secret_text.h"
#include "auth/session/csrf.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/secret.h"
#include "core/services.h"

static struct str cookie_name(const struct http_request *rq)
{
    const struct services *sv = rq->context;
    return sv->config->base_is_https ? STR("__Host-tulle-second") : STR("tulle-dev-second");
}

static bool over(struct err *e)
{
    return err_set(e, ERR_UNAUTHENTICATED, "this sign-in took too long: begin it again");
}

bool second_is_needed(struct http_request *rq, struct str user_id, bool *out, struct err *e)
{
    struct services *sv = rq->context;
    struct factors_row has;
    if (!factors_get(sv->db, rq->arena, user_id, &has, e))
        return false;
    *out = has.has_totp || has.n_passkeys > 0;
    return true;
}

bool second_begin(struct http_request *rq, const struct signin *s, struct str return_to,
                  struct err *e)
{
    struct services *sv = rq->context;
    char cookie[COOKIE_VALUE_SIZE];
    int64_t now = clock_wall_ms();
    session_cookie_make(cookie);
    const struct pending_signin p = {.hash = secret_text_hash(rq->arena, str_c(cookie)),
                                     .user_id = s->user_id,
                                     .method = str_c(s->method),
                                     .provider_id = s->provider_id,
                                     .org_id = s->org_id,
                                     .provider_session = s->provider_session,
                                     .ends_at = s->session_ends_at,
                                     .return_to = return_to,
                                     .created_at = now,
                                     .expires_at = now + LIMIT_FACTOR_WAIT_MS};
    bool is_good =
        (!str_is_absent(p.hash) || err_set(e, ERR_UNAVAILABLE, "out of memory")) &&
        pending_signins_insert(sv->db, rq->arena, &p, e) &&
        session_cookie_set(rq, cookie_name(rq), str_c(cookie), LIMIT_FACTOR_WAIT_MS / 1000, e);
    secret_wipe(cookie, sizeof(cookie));
    return is_good;
}

bool second_find(struct http_request *rq, struct pending_signin *out, struct err *e)
{
    struct services *sv = rq->context;
    struct str cookie = session_cookie_value(rq, cookie_name(rq));
    if (str_is_absent(cookie))
        return over(e);
    struct str hash = secret_text_hash(rq->arena, cookie);
    if (str_is_absent(hash))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    if (pending_signins_find(sv->db, rq->arena, hash, clock_wall_ms(), out, e))
        return true;
    return e->code == ERR_NOT_FOUND ? over(e) : false;
}

bool second_prove_code(struct http_request *rq, const struct pending_signin *p, struct str code,
                       struct err *e)
{
    struct services *sv = rq->context;
    bool is_recovery;
    if (!pending_signins_count(sv->db, rq->arena, p->hash, clock_wall_ms(), e))
        return e->code == ERR_NOT_FOUND ? over(e) : false;
    return codes_prove(rq, p->user_id, code, &is_recovery, e);
}

bool second_prove_passkey(struct http_request *rq, const struct pending_signin *p,
                          const struct form *form, struct err *e)
{
    struct passkey_ask ask = {.purpose = "second", .user_id = p->user_id};
    struct str who;
    bool is_verified;
    (void)form_get(form, STR("csrf_token"), &ask.browser);
    return passkeys_prove(rq, &ask, form, &who, &is_verified, e);
}

bool second_finish(struct http_request *rq, const struct pending_signin *p, struct str *next,
                   struct err *e)
{
    struct services *sv = rq->context;
    const struct signin s = {.user_id = p->user_id,
                             .method = arena_cstr(rq->arena, p->method),
                             .provider_id = p->provider_id,
                             .org_id = p->org_id,
                             .provider_session = p->provider_session,
                             .is_two_factor = true,
                             .session_ends_at = p->ends_at};
    if (!s.method)
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    if (p->ends_at != 0 && p->ends_at <= clock_wall_ms())
        return over(e);
    if (!pending_signins_take(sv->db, rq->arena, p->hash, e))
        return e->code == ERR_NOT_FOUND ? over(e) : false;
    return session_cookie_set(rq, cookie_name(rq), STR(""), 0, e) &&
           signin_complete(rq, &s, p->return_to, next, e);
}
