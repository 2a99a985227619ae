/*
 * What an organization that has proven a domain says of sign-ins by its addresses: which provider
 * they are led to, whether they must use it, whether links by mail work. It depends on the domain
 * only, never on whether there is such an account.
 */
#pragma once

#include "auth/login/signin_options.h"
#include "core/caller.h"
#include "core/services.h"

/* Applies it to the sign-in page's options. Waits (store). */
bool signin_domains_apply(struct http_request *rq, struct str email, struct signin_options *out,
                          struct err *e) must_use;
/*
 * May this person sign in so at all? ERR_FORBIDDEN: the address's domain must use its provider, or
 * every organization of theirs requires another sign-in; the message says what to do. Operators
 * may: the installation is theirs. Waits (store).
 */
bool signin_domains_admit(struct services *sv, struct arena *a, struct str user_id,
                          const struct proof *proof, struct err *e) must_use;
