/* Secrets that are handed out as text: tokens, codes, links. The store knows only their SHA-256. */
#pragma once

#include "base/arena.h"
#include "base/str.h"

enum { SECRET_TEXT_SIZE = 64 };
/* A prefix and the base64url of 32 random bytes, NUL-ended; and the hex SHA-256 of that. */
struct secret_text {
    char text[SECRET_TEXT_SIZE];
    char hash_hex[65];
};
/* prefix: at most 20 bytes. Wipe *t when it has been handed out. */
void secret_text_make(struct secret_text *t, const char *prefix);
/* Hex SHA-256 of a text as somebody gave it. STR_NONE: out of memory. */
struct str secret_text_hash(struct arena *a, struct str given) must_use;
