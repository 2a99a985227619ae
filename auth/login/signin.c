#include "auth/login/signin.h"

#include "auth/login/login_audit.h"
#include "auth/login/new_browser.h"
#include "auth/login/signin_domains.h"
#include "auth/login/second.h"
#include "auth/session/return_to.h"
#include "auth/session/session.h"
#include "store/users.h"

/* Who it is must still be there, and enabled: links and providers know nothing about that. */
static bool person_check(struct http_request *rq, struct str user_id, struct err *e)
{
    struct services *sv = rq->context;
    struct user user;
    if (!users_get(sv->db, rq->arena, user_id, &user, e))
        return e->code == ERR_NOT_FOUND ? err_set(e, ERR_FORBIDDEN, "this account is gone") : false;
    return !user.disabled_at ||
           err_set(e, ERR_FORBIDDEN, "this account is disabled: ask an administrator");
}

static bool record(struct http_request *rq, const struct signin *s, const char *what,
                   const char *outcome, const char *error, struct err *e)
{
    const struct login_event event = {.method = what,
                                      .user_id = s->user_id,
                                      .org_id = s->org_id,
                                      .name = str_c(s->method),
                                      .outcome = outcome,
                                      .error = error};
    return login_audit(rq->context, rq, &event, e);
}

static bool session_begin(struct http_request *rq, const struct signin *s, struct err *e)
{
    const struct session_proof proof = {
        .user_id = s->user_id,
        .proof = str_is_absent(s->provider_id) ? str_c(s->method) : s->provider_id,
        .proof_org_id = s->org_id,
        .provider_session = s->provider_session,
        .is_two_factor = s->is_two_factor,
        .ends_at = s->session_ends_at,
    };
    return record(rq, s, "signin", "ok", NULL, e) && session_start(rq, &proof, e) &&
           new_browser_note(rq, s->user_id, e);
}

bool signin_complete(struct http_request *rq, const struct signin *s, struct str return_to,
                     struct str *next, struct err *e)
{
    bool needs_second = false;
    const struct proof proof = {str_is_absent(s->provider_id) ? str_c(s->method) : s->provider_id,
                                s->org_id, s->is_two_factor};
    *next = return_to_safe(return_to);
    if (!person_check(rq, s->user_id, e) ||
        !signin_domains_admit(rq->context, rq->arena, s->user_id, &proof, e)) {
        struct err ignored; /* *e says what happened */
        (void)!record(rq, s, "signin", "denied", e->msg, &ignored);
        return false;
    }
    if (!s->is_two_factor && !second_is_needed(rq, s->user_id, &needs_second, e))
        return false;
    if (!needs_second)
        return session_begin(rq, s, e);
    if (!second_begin(rq, s, *next, e) || !record(rq, s, "first_factor", "ok", NULL, e))
        return false;
    *next = STR("/login/second");
    return true;
}
