/* Rules for what people choose: addresses, names, slugs; and the making of API keys. Pure. */
#pragma once

#include "base/err.h"
#include "base/str.h"

/* `where` names the value in the message: "--name", "arguments.name". ERR_INVALID. */
bool principal_email_check(struct str email_lower, struct err *e)
    must_use; /* local@domain, no spaces or controls, at most LIMIT_EMAIL */
bool principal_name_check(struct str name, const char *where, struct err *e)
    must_use; /* 1..LIMIT_NAME bytes of UTF-8 without controls */
/* [a-z0-9-], 2-50, no "--", not reserved, nothing that looks like an id. */
bool principal_slug_check(struct str slug, const char *where, struct err *e) must_use;

enum { KEY_TEXT_SIZE = 64, KEY_PREFIX_SIZE = 17 };
struct key_text {
    char key[KEY_TEXT_SIZE];      /* "tulle_key_" + base64url of 32 random bytes */
    char prefix[KEY_PREFIX_SIZE]; /* its first 16 characters, to recognise it */
    char hash_hex[65];            /* SHA-256 of the whole text */
};
void key_text_make(struct key_text *k);
void key_text_end(struct key_text *k); /* wipes */
