/* Links that let people in. */
#include "routes/pages_invite.h"

#include "auth/login/accounts.h"
#include "auth/login/login_audit.h"
#include "auth/login/mailed_proof.h"
#include "auth/login/signin.h"
#include "auth/secret_text.h"
#include "auth/session/password_work.h"
#include "auth/session/return_to.h"
#include "base/clock.h"
#include "crypto/password.h"
#include "routes/page_tools.h"
#include "store/browser_sessions.h"
#include "store/invitations.h"
#include "store/mail_links.h"

/* What a link means, and for whom. */
struct link {
    struct str token;
    struct str proof;               /* that the link came by mail; "": it did not */
    struct invitation invitation;   /* into an organization */
    struct one_time_token password; /* or this */
    bool is_password;
    struct user user;               /* who has the address; id absent: nobody yet */
    struct browser_session session; /* user_id absent: nobody is signed in */
};

static bool user_or_none(struct http_request *rq, struct str id, struct str email, struct user *out,
                         struct err *e)
{
    struct services *sv = rq->context;
    *out = (struct user){0};
    bool is_found = str_is_absent(id) ? users_by_email(sv->db, rq->arena, email, out, e)
                                      : users_get(sv->db, rq->arena, id, out, e);
    return is_found || e->code == ERR_NOT_FOUND;
}

static bool link_find(struct http_request *rq, struct link *l, struct err *e)
{
    struct services *sv = rq->context;
    int64_t now = clock_wall_ms();
    *l = (struct link){.token = rq->params[0]};
    struct str hash = secret_text_hash(rq->arena, l->token);
    if (str_is_absent(hash))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    bool is_found = invitations_by_hash(sv->db, rq->arena, hash, now, &l->invitation, e);
    if (!is_found && e->code == ERR_NOT_FOUND) {
        l->is_password = true;
        is_found =
            one_time_tokens_find(sv->db, rq->arena, hash, STR("password"), now, &l->password, e);
    }
    if (!is_found)
        return e->code == ERR_NOT_FOUND ? err_set(e, ERR_NOT_FOUND,
                                                  "this link is used up, cancelled or too old: ask "
                                                  "whoever sent it for a new one")
                                        : false;
    if (!user_or_none(rq, l->is_password ? l->password.user_id : STR_NONE, l->invitation.email,
                      &l->user, e))
        return false;
    return session_find(rq, &l->session, e) || e->code == ERR_UNAUTHENTICATED;
}

static void invite_show(struct http_request *rq, int status, const struct link *l, struct str name,
                        const struct err *why)
{
    struct str csrf;
    struct err e;
    if (!csrf_token_for(rq, &csrf, &e)) {
        page_error(rq, &e);
        return;
    }
    const struct page_value values[] = {
        PV("error", why ? str_c(why->msg) : STR_NONE),
        PV("org_name", l->invitation.org_name),
        PV("email", l->is_password ? l->user.email : l->invitation.email),
        PV("name", name),
        PV("token", l->token),
        PV("proof", l->proof),
        PV_FLAG("is_password", l->is_password),
        PV_FLAG("is_new", l->is_password || str_is_absent(l->user.id)),
        PV("csrf_token", csrf),
        PV_END};
    page_answer(rq, status, "invite", values, STR_NONE);
}

/* An invitation to somebody who has an account is accepted by that account only. True: answered. */
static bool must_sign_in(struct http_request *rq, const struct link *l)
{
    if (l->is_password || (str_is_absent(l->user.id) && str_is_absent(l->session.user_id)) ||
        (!str_is_absent(l->user.id) && str_eq(l->user.id, l->session.user_id)))
        return false;
    if (str_is_absent(l->session.user_id)) {
        struct str here = l->proof.n == 0 ? rq->path
                                          : arena_printf(rq->arena, "%.*s?proof=%.*s",
                                                         STR_FMT(rq->path), STR_FMT(l->proof));
        struct str login = return_to_login(rq->arena, here);
        page_redirect(rq, str_is_absent(login) ? STR("/login") : login);
        return true;
    }
    const struct page_value values[] = {PV("email", l->invitation.email),
                                        PV("signed_in", l->session.email),
                                        PV("csrf_token", l->session.csrf_token), PV_END};
    page_answer(rq, 403, "invite_other", values, STR_NONE);
    return true;
}

void page_invite_get(struct http_request *rq)
{
    struct link l;
    struct err e;
    if (!link_find(rq, &l, &e)) {
        page_error(rq, &e);
        return;
    }
    l.proof = page_query(rq, "proof");
    if (!must_sign_in(rq, &l))
        invite_show(rq, 200, &l, STR_NONE, NULL);
}

/* ---- accepting ---- */

static bool record(struct http_request *rq, const char *method, const struct link *l,
                   struct str user_id, struct err *e)
{
    const struct login_event event = {.method = method,
                                      .user_id = user_id,
                                      .org_id = l->is_password ? STR_NONE : l->invitation.org_id,
                                      .name = l->is_password ? STR_NONE : l->invitation.id,
                                      .outcome = "ok"};
    return login_audit(rq->context, rq, &event, e);
}

static bool enter(struct http_request *rq, struct str user_id, struct str *next, struct err *e)
{
    const struct signin who = {.user_id = user_id, .method = "password"};
    return signin_complete(rq, &who, STR("/account"), next, e);
}

static bool password_set(struct http_request *rq, const struct link *l, struct str password,
                         struct str *next, struct err *e)
{
    struct services *sv = rq->context;
    struct str hash;
    if (l->user.disabled_at)
        return err_set(e, ERR_NOT_FOUND, "this account is disabled");
    return password_check(password, e) && password_work_hash(sv, rq->arena, password, &hash, e) &&
           one_time_tokens_take_password(sv->db, rq->arena, &l->password, hash, clock_wall_ms(),
                                         e) &&
           record(rq, "password_set", l, l->user.id, e) && enter(rq, l->user.id, next, e);
}

/* An address that a mail reached is its reader's. */
static bool address_note(struct http_request *rq, const struct link *l, struct str user_id,
                         struct err *e)
{
    struct services *sv = rq->context;
    return !mailed_proof_check(sv, rq->arena, l->token, l->proof) ||
           mail_links_note_verified(sv->db, rq->arena, user_id, l->invitation.email,
                                    clock_wall_ms(), e);
}

static bool join_new(struct http_request *rq, const struct link *l, const struct form *form,
                     struct str *next, struct err *e)
{
    struct services *sv = rq->context;
    struct account_form account = {l->invitation.email, page_field(form, "name"),
                                   page_field(form, "password")};
    struct invitation_guest guest = {.user_id = accounts_new_id(rq->arena)};
    if (str_is_absent(guest.user_id))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    if (!accounts_form_check(rq->arena, &account, e) ||
        !password_work_hash(sv, rq->arena, account.password, &guest.password_hash, e))
        return false;
    guest.name = account.name;
    return invitations_accept(sv->db, rq->arena, &l->invitation, &guest, clock_wall_ms(), e) &&
           address_note(rq, l, guest.user_id, e) &&
           record(rq, "invitation_accept", l, guest.user_id, e) &&
           enter(rq, guest.user_id, next, e);
}

static bool join_known(struct http_request *rq, const struct link *l, struct err *e)
{
    struct services *sv = rq->context;
    const struct invitation_guest guest = {.user_id = l->user.id};
    struct str proof_org = l->session.proof_org_id;
    if (!str_is_absent(proof_org) && !str_eq(proof_org, l->invitation.org_id))
        return err_set(e, ERR_FORBIDDEN,
                       "another organization's sign-in provider brought you here, which counts "
                       "only there: sign out, and in again without it, to accept");
    return invitations_accept(sv->db, rq->arena, &l->invitation, &guest, clock_wall_ms(), e) &&
           address_note(rq, l, l->user.id, e) &&
           record(rq, "invitation_accept", l, l->user.id, e) &&
           browser_sessions_set_org(sv->db, rq->arena, l->session.id, l->invitation.org_id, e);
}

void page_invite_post(struct http_request *rq)
{
    struct link l;
    struct form form;
    struct str next = STR("/account");
    struct err e;
    if (!page_form_read(rq, &form, &e) || !link_find(rq, &l, &e)) {
        page_error(rq, &e);
        return;
    }
    l.proof = page_field(&form, "proof");
    if (must_sign_in(rq, &l))
        return;
    bool is_good = l.is_password ? password_set(rq, &l, page_field(&form, "password"), &next, &e)
                   : str_is_absent(l.user.id) ? join_new(rq, &l, &form, &next, &e)
                                              : join_known(rq, &l, &e);
    if (is_good)
        page_redirect(rq, next);
    else if (e.code == ERR_INVALID)
        invite_show(rq, 400, &l, page_field(&form, "name"), &e);
    else
        page_error(rq, &e);
}
