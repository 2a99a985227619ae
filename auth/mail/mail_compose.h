/* From a request of the queue to a mail: who has the address, which link. Private to auth/mail. */
#pragma once

#include "auth/mail/mailer.h"
#include "io/mime.h"
#include "store/mail_links.h"

struct mail_composed {
    bool is_void;        /* nobody to write to: no mail */
    bool has_link;       /* link is to be inserted with the message */
    struct mail message; /* without `id`, `from` and `date_ms` */
    struct mail_link link;
    int64_t expires_at; /* when sending it is useless; 0: the queue's own */
};
/* Waits (store). */
bool mail_compose(struct services *sv, struct arena *a, const struct mail_request *r, int64_t now,
                  struct mail_composed *out, struct err *e) must_use;
