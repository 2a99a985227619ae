/*
 * Mail: asked for by anybody, written and sent by one fiber of each process. Nothing is written or
 * looked up while a request is answered: whether an address has an account shows in no answer and
 * in no time. What waits is sealed in the store: a restart loses none.
 */
#pragma once

#include "auth/mail/mail_settings.h"
#include "base/arena.h"
#include "core/services.h"

enum mail_kind {
    MAIL_MAGIC,            /* a link that signs in */
    MAIL_RESET,            /* a link that sets a password */
    MAIL_SIGNUP,           /* a link that makes an account */
    MAIL_EMAIL_CHANGE,     /* a link that proves the new address */
    MAIL_INVITATION,       /* the link into an organization */
    MAIL_EMAIL_CHANGED,    /* notices: to the old address */
    MAIL_PASSWORD_CHANGED, /* by a link */
    MAIL_NEW_BROWSER,      /* a sign-in from a browser not seen before */
    MAIL_KINDS
};
/* What to write to whom. Absent members: not of this kind. */
struct mail_request {
    enum mail_kind kind;
    struct str email;    /* where it goes, lower case */
    struct str user_id;  /* EMAIL_CHANGE: whose address */
    struct str org_name; /* INVITATION */
    struct str by;       /* INVITATION: who invites; EMAIL_CHANGED: the new address */
    struct str url;      /* INVITATION */
    struct str browser_hash, peer, user_agent; /* of the browser that asked, or signed in */
    struct str return_to;
};
/* Can mail of this kind be sent? */
bool mailer_can(const struct services *sv, enum mail_kind kind);
/* Puts it into the queue. Waits (store). ERR_UNAVAILABLE and the store's: it is not there. Without
 * a transport nothing happens. */
bool mailer_add(struct services *sv, struct arena *a, const struct mail_request *m,
                struct err *e) must_use;
/* Starts this worker's sender, sv->mail_sender: one worker of a process has it. */
bool mailer_start(struct services *sv, struct err *e) must_use;
/* Breaks off what is being handed over; it is sent after the next start. */
void mailer_stop(struct services *sv);
