/* Which domains an organization may claim. Pure but for the public suffix list, which libpsl holds.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"

/*
 * The domain as it is stored: ASCII (names in other scripts as xn--...), lower case, without a dot
 * at its end. ERR_INVALID: no domain name. ERR_UNPROCESSABLE: one that anybody may have names in or
 * addresses of: public suffixes (co.uk, github.io), e-mail providers (gmail.com), special-use
 * names.
 */
bool domain_rules_read(struct arena *a, struct str given, struct str *out, struct err *e) must_use;
/* The domain of an e-mail address, as it is stored; absent: there is none. */
struct str domain_rules_of_email(struct arena *a, struct str email);
/* What the TXT record at _tulle.DOMAIN must be. STR_NONE: memory. */
struct str domain_rules_txt_name(struct arena *a, struct str domain) must_use;
struct str domain_rules_txt_value(struct arena *a, struct str proof) must_use;
