/* The second step of a sign-in, signing in by passkey, and proving again who one is. */
#pragma once

#include "io/http.h"

/* /login/second: a code or a passkey after the first factor. */
void page_second_get(struct http_request *rq);
void page_second_post(struct http_request *rq);
/* POST /login/passkey: signs in by a passkey alone. */
void page_passkey_post(struct http_request *rq);
/* POST /login/passkey/options: what a script hands to the browser; `purpose` says what for. */
void page_passkey_options(struct http_request *rq);
/* /login/again: before a dangerous act, when the last proof is old. */
void page_again_get(struct http_request *rq);
void page_again_post(struct http_request *rq);
/* GET /login/again/provider: the same by the provider that proved the session. */
void page_again_provider(struct http_request *rq);
/*
 * May the present session change how its person signs in? ERR_PROOF_OLD (page_error leads to
 * /login/again): the proof is old, or was one factor where the person has two. ERR_FORBIDDEN: an
 * organization's provider proved it, which must not come to own the whole account. Waits (store).
 */
bool page_proof_check(struct http_request *rq, struct err *e) must_use;
/* The first half alone: whoever proved it. */
bool page_proof_is_fresh(struct http_request *rq, struct err *e) must_use;
/* "/login/again?return_to=..." */
struct str page_again_path(struct http_request *rq, struct str return_to);
