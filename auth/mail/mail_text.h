/* The words of mails. Private to auth/mail. */
#pragma once

#include "auth/mail/mailer.h"
#include "base/buf.h"

/* What becomes of a request. */
struct mail_text {
    struct str subject;
    struct str lines[4]; /* paragraphs; absent: no more */
    struct str url, label;
    struct str notes[3]; /* small, below */
};
/* What people may see in a mail about the request's account. */
enum mail_fate {
    MAIL_WITH_LINK,   /* as asked; `url` is the link */
    MAIL_HAS_ACCOUNT, /* there is one already: sign in instead */
    MAIL_USE_SSO      /* the address's domain signs in with its provider */
};
/* Words in the arena. ERR_UNAVAILABLE: out of memory. */
bool mail_text_make(const struct services *sv, struct arena *a, const struct mail_request *m,
                    enum mail_fate fate, struct str url, struct mail_text *out,
                    struct err *e) must_use;
/* The two bodies of the same words. */
void mail_text_plain(struct buf *out, const struct mail_text *t);
void mail_text_html(struct buf *out, const struct mail_text *t);
