/* Arguments for the audit without what looks like a secret. Best effort by names and shapes: it
 * narrows what is kept. */
#pragma once

#include "base/arena.h"

/*
 * json      one JSON text, as a client sent it
 * Returns JSON text in the arena, at most LIMIT_AUDIT_ARGUMENTS bytes: the values of members whose
 * names speak of secrets (password, token, api_key, Authorization, cookie...) and strings shaped
 * like tokens, JWTs, private keys or URLs with a password are "[redacted]". A text that stays too
 * long becomes {"cut": "its beginning"}. STR_NONE: not JSON, or no memory.
 */
struct str redact_json(struct arena *a, struct str json) must_use;
/* True when a member of this name holds a secret by its name: words are found in snake_case,
 * kebab-case and camelCase. */
bool redact_name_is_secret(struct str name);
/* True when the text holds something shaped like a secret. */
bool redact_text_is_secret(struct str text);
