#include "auth/session/session_caller.h"

#include "auth/login/signin_policy.h"
#include "auth/token_check.h"

bool session_caller(struct services *sv, struct arena *a, const struct browser_session *session,
                    struct caller *out, struct err *e)
{
    const struct caller *member;
    struct str org_id = session->org_id;
    const struct proof proof = session_proves(session);
    enum signin_need need = SIGNIN_ENOUGH;
    if (!str_is_absent(org_id) &&
        !signin_policy_judge(sv, a, org_id, session->user_id, &proof, &need, e))
        return false;
    if (!str_is_absent(org_id) && need == SIGNIN_ENOUGH) {
        if (caller_of_member(sv, a, org_id, session->user_id, &member, e)) {
            *out = *member;
            out->is_proxy_audience = false;
            out->is_operator = member->is_operator && str_is_absent(proof.org_id);
            out->proof = proof;
            out->proved_at = session->proved_at;
            return true;
        }
        if (e->code != ERR_NOT_FOUND)
            return false;
    }
    *out = (struct caller){.user_id = session->user_id,
                           .user_email = session->email,
                           .is_operator = session->is_operator && str_is_absent(proof.org_id),
                           .proof = proof,
                           .proved_at = session->proved_at,
                           .is_management_audience = true,
                           .principal = arena_printf(a, "|%.*s|", STR_FMT(session->user_id))};
    return !str_is_absent(out->principal) || err_set(e, ERR_UNAVAILABLE, "out of memory");
}
