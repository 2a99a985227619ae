/* Proof key for code exchange, S256 only (RFC 7636 sections 4.1, 4.2, 4.6). Pure. */
#pragma once

#include "base/attrs.h"
#include "base/str.h"

/* 43 characters of base64url: what the SHA-256 of a verifier looks like. */
bool pkce_challenge_is_good(struct str challenge) must_use;
/* 43 to 128 unreserved characters whose SHA-256 is the challenge. */
bool pkce_verify(struct str challenge, struct str verifier) must_use;
