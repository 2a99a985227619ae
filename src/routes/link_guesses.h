/*
 * Links that let somebody in (invitations, sign-in by mail, resets, the first start): their tokens
 * are 256 random bits, and still nobody may try them without end. Wrong ones are counted by
 * address, right ones never; addresses that many may have are not counted (contract "Limits").
 */
#pragma once

#include "io/http.h"
#include "io/router.h"

/* Before the handler. False: too many wrong ones; 429 has been answered. */
bool link_guesses_admit(struct http_request *rq, const struct route *route) must_use;
/* After it. */
void link_guesses_note(const struct http_request *rq, const struct route *route);
