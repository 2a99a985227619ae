/* Mail that waits to be written or sent. Every row is taken by one sender at a time: a lease with
 * an end, so that what a sender that died had is taken again. */
#pragma once

#include "store/db.h"

struct mail_row {
    struct str id;     /* mail_ */
    struct str sealed; /* the request, or the message once is_written */
    bool is_written;
    int64_t attempts; /* begun, this one included */
    int64_t created_at, expires_at;
};
/* Waits to be taken from `now` on. */
bool mail_queue_add(struct db *db, struct arena *a, const struct mail_row *m, int64_t now,
                    struct err *e) must_use;
/* The same in a batch. */
void mail_queue_add_to(struct db_batch *b, const struct mail_row *m, int64_t now);
/* Is there one to be taken? Cheap. */
bool mail_queue_is_due(struct db *db, struct arena *a, int64_t now, bool *out,
                       struct err *e) must_use;
/* Takes the one that has waited longest. ERR_NOT_FOUND: none, or another was quicker. */
bool mail_queue_take(struct db *db, struct arena *a, struct str lease, int64_t now,
                     int64_t lease_end, struct mail_row *out, struct err *e) must_use;
/* In a batch: the request has become a message. Rolls the batch back when the lease is lost. */
void mail_queue_written_in(struct db_batch *b, struct str id, struct str lease, struct str sealed,
                           int64_t expires_at);
/* Gone. ERR_NOT_FOUND: the lease is lost. */
bool mail_queue_done(struct db *db, struct arena *a, struct str id, struct str lease,
                     struct err *e) must_use;
/* Not before `at`. ERR_NOT_FOUND: the lease is lost. */
bool mail_queue_put_off(struct db *db, struct arena *a, struct str id, struct str lease, int64_t at,
                        struct err *e) must_use;
