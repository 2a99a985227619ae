/* Decides who is calling from the credential of a request: API keys and OAuth access tokens. */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "core/caller.h"
#include "core/services.h"

struct foreign_shown; /* auth/foreign/foreign_check.h */

struct token_cache; /* one worker's: digest of a token -> caller, dropped with db_epoch */
struct token_cache *token_cache_new(void) must_use;
void token_cache_free(struct token_cache *c);

/*
 * bearer: the token as sent, without "Bearer ", at most LIMIT_TOKEN bytes; only its SHA-256 is
 * kept. now: Unix time, ms. *out is valid until the arena ends.
 *
 * ERR_UNAUTHENTICATED: unknown, expired, revoked, its user disabled or no longer a member;
 * ERR_UNAVAILABLE, ERR_TIMEOUT, ERR_CANCELLED: the store. Source: RFC 6750; spec/tenancy.md.
 * Cost: one SHA-256, on a cache miss three look-ups.
 */
bool token_check(struct services *sv, struct arena *a, struct str bearer, int64_t now,
                 const struct caller **out, struct err *e) must_use;

/* The same for a token that may be another authorization server's: one of ours is judged as above,
 * theirs by foreign_check, whose errors are added. Never at the management server. */
bool token_check_at(struct services *sv, struct arena *a, const struct foreign_shown *shown,
                    int64_t now, const struct caller **out, struct err *e) must_use;

/* Does the credential that made this caller still hold? For streams that outlive their request.
 * Errors as token_check; a foreign token whose scope stands for nothing any more holds no more. */
bool token_check_again(struct services *sv, struct arena *a, const struct caller *before,
                       int64_t now, const struct caller **out, struct err *e) must_use;

/* Builds the caller of a person without any key, as the command line and POLICY_EXPLAIN need it.
 * ERR_NOT_FOUND: no such member. */
bool caller_of_member(struct services *sv, struct arena *a, struct str org_id, struct str user_id,
                      const struct caller **out, struct err *e) must_use;
