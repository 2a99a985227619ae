/*
 * How accounts come to be: the first operator (setup link, or ADMIN_EMAIL and ADMIN_PASSWORD),
 * links that set a password. Links hold 256 random bits; the store knows their SHA-256.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "core/services.h"
#include "store/one_time_tokens.h"

/* A fresh link BASE_URL/setup?token=... ERR_CONFLICT: there is an operator already. */
bool accounts_setup_link(struct services *sv, struct arena *a, struct str *url,
                         struct err *e) must_use;
/* A fresh link BASE_URL/invite/... that sets the password of an account. */
bool accounts_password_link(struct services *sv, struct arena *a, struct str user_id,
                            struct str *url, struct err *e) must_use;
/*
 * At the start of the server: makes the first operator from ADMIN_EMAIL and ADMIN_PASSWORD if there
 * is none; without those settings *url is a setup link, absent when there is an operator.
 * ERR_INVALID: a setting is ill-formed or alone.
 */
bool accounts_first_operator(struct services *sv, struct arena *a, struct str *url,
                             struct err *e) must_use;

/* What a person types to get an account. */
struct account_form {
    struct str email, name, password; /* name empty: from the address */
};
/* Trims, lower-cases and checks. ERR_INVALID says what to change. */
bool accounts_form_check(struct arena *a, struct account_form *f, struct err *e) must_use;
/* Uses up a setup link: makes the first operator. ERR_NOT_FOUND, ERR_CONFLICT:
 * one_time_tokens_take_setup. Waits. */
bool accounts_setup_redeem(struct services *sv, struct arena *a, struct str token,
                           struct account_form *f, struct str *user_id, struct err *e) must_use;
/* A random id usr_... in the arena. */
struct str accounts_new_id(struct arena *a) must_use;
