/*
 * Which member a foreign token is, as its issuer's `subject` says:
 *   {"by":"email"}                                     its verified e-mail address, of a domain
 * that the organization has proven
 *   {"by":"claim","claim":"sub","users":{"X":"usr_"}}  whom an administrator wrote down
 *   {"by":"service_account","service_account_id":"sa_"}  all of them that one
 * Nobody becomes a member by a token.
 */
#pragma once

#include "auth/foreign/claims.h"
#include "core/services.h"

/* ERR_UNAUTHENTICATED: nobody. Waits (store). */
bool foreign_subject(struct services *sv, struct arena *a, const struct org_issuer *issuer,
                     const struct foreign_claims *c, struct str *user_id, struct err *e) must_use;
