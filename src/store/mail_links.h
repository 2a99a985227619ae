/* Links that travel by mail, good once: the store knows their SHA-256. A new one for an address and
 * a purpose kills the older ones. */
#pragma once

#include "store/db.h"
#include "store/users.h"

struct mail_link {
    struct str hash;
    struct str purpose;      /* magic, reset, signup, email_change */
    struct str email;        /* where it went */
    struct str user_id;      /* absent: an account to be made */
    struct str browser_hash; /* of the cookie of the browser that asked; absent: it had none */
    struct str peer, user_agent, return_to;
    int64_t created_at, expires_at;
};
/* In a batch: inserts, kills older ones of this address and purpose, removes what has expired. */
void mail_links_insert_in(struct db_batch *b, const struct mail_link *l);
/* One that could be used now. ERR_NOT_FOUND: unknown, used, expired, or of another purpose. */
bool mail_links_find(struct db *db, struct arena *a, struct str hash, struct str purpose,
                     int64_t now, struct mail_link *out, struct err *e) must_use;
/* The person reads mail to this address; nothing happens when they have another by now. */
bool mail_links_note_verified(struct db *db, struct arena *a, struct str user_id, struct str email,
                              int64_t now, struct err *e) must_use;
/* All below use the link up, in one transaction with what it is for. ERR_NOT_FOUND: not good any
 * more. */
/* For a sign-in: the address is proven. */
bool mail_links_take_magic(struct db *db, struct arena *a, const struct mail_link *l, int64_t now,
                           struct err *e) must_use;
/* Sets the password as passwords_put does; the address is proven. */
bool mail_links_take_reset(struct db *db, struct arena *a, const struct mail_link *l,
                           struct str password_hash, int64_t now, struct err *e) must_use;
/* Makes the person. ERR_CONFLICT: the address has an account by now. */
bool mail_links_take_signup(struct db *db, struct arena *a, const struct mail_link *l,
                            const struct user *user, struct str password_hash,
                            struct err *e) must_use;
/* Changes the person's address to the link's; other links to the old one die, sessions but
 * keep_session_id end. ERR_CONFLICT: it has an account by now. */
bool mail_links_take_email(struct db *db, struct arena *a, const struct mail_link *l,
                           struct str old_email, struct str keep_session_id, int64_t now,
                           struct err *e) must_use;
