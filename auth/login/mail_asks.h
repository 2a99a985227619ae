/*
 * People who ask for a mail: a link to sign in, a new password, an account, another address. The
 * answer, the headers and the work are the same whether or not there is such an account; limits
 * count for each address and each public peer, and beyond them no mail is sent and nothing is said.
 */
#pragma once

#include "auth/mail/mailer.h"
#include "base/err.h"
#include "io/http.h"

/* email: as typed; user_id: of MAIL_EMAIL_CHANGE. *clean: as it will be used, for the page. Sets
 * the browser's cookie. Waits (store). ERR_INVALID: it cannot be an address. ERR_UNAVAILABLE and
 * the store's. */
bool mail_asks_add(struct http_request *rq, enum mail_kind kind, struct str email,
                   struct str user_id, struct str return_to, struct str *clean,
                   struct err *e) must_use;
/* A notice to somebody, with this request's browser in it. Without mail nothing happens. */
bool mail_asks_notice(struct http_request *rq, enum mail_kind kind, struct str email, struct str by,
                      struct err *e) must_use;
/* Trimmed, in lower case. ERR_INVALID. */
bool mail_asks_clean(struct arena *a, struct str email, struct str *clean, struct err *e) must_use;
