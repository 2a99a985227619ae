/* Requests and messages as they lie in the queue: JSON, sealed to their row. Private to auth/mail.
 */
#pragma once

#include "auth/mail/mailer.h"
#include "io/mime.h"
#include "store/mail_queue.h"

/* Fills m->id (from `id`) and m->sealed. */
bool mail_pack_request(struct services *sv, struct arena *a, struct str id,
                       const struct mail_request *r, struct str *sealed, struct err *e) must_use;
bool mail_pack_message(struct services *sv, struct arena *a, enum mail_kind kind,
                       const struct mail *m, struct str *sealed, struct err *e) must_use;
/* What a row holds: strings live as long as the arena. ERR_INTERNAL: it does not open. */
struct mail_packed {
    enum mail_kind kind;
    struct mail_request request; /* unless the row is_written */
    struct mail message;         /* if it is; without `from` and `date_ms` */
};
bool mail_unpack(struct services *sv, struct arena *a, const struct mail_row *row,
                 struct mail_packed *out, struct err *e) must_use;
/* "magic", "reset" ...: for the queue and the log. */
struct str mail_kind_name(enum mail_kind kind);
