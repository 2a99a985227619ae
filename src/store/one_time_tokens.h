/* Links that are good once: the setup of the installation, and a person's first or new password. */
#pragma once

#include "store/db.h"
#include "store/users.h"

struct one_time_token {
    struct str hash;    /* lower-case hex SHA-256 of the token */
    struct str purpose; /* "setup", "password" */
    struct str user_id; /* absent: the installation's */
    int64_t created_at, expires_at;
};
/* Inserts, and removes what has expired. */
bool one_time_tokens_insert(struct db *db, struct arena *a, const struct one_time_token *t,
                            struct err *e) must_use;
/* One that could be used now. ERR_NOT_FOUND: unknown, used, expired, or of another purpose. */
bool one_time_tokens_find(struct db *db, struct arena *a, struct str hash, struct str purpose,
                          int64_t now, struct one_time_token *out, struct err *e) must_use;
/*
 * Uses up a setup link and makes the first operator, in one transaction; other setup links die
 * with it. ERR_NOT_FOUND: the link is not good any more or there is an operator. ERR_CONFLICT: the
 * address is taken.
 */
bool one_time_tokens_take_setup(struct db *db, struct arena *a, struct str hash,
                                const struct user *operator, struct str password_hash,
                                struct err *e) must_use;
/*
 * Uses up a password link: sets the password as passwords_put does, in one transaction.
 * ERR_NOT_FOUND: not good any more.
 */
bool one_time_tokens_take_password(struct db *db, struct arena *a, const struct one_time_token *t,
                                   struct str password_hash, int64_t now, struct err *e) must_use;
/* Is there an operator, disabled ones not counted? */
bool one_time_tokens_has_operator(struct db *db, struct arena *a, bool *out,
                                  struct err *e) must_use;
