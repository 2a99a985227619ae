/* Cookies: reading a Cookie header and writing our own Set-Cookie (RFC 6265 sections 4.1 and 5.4).
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

struct cookie_pair {
    struct str name;
    struct str value; /* as sent, quotes included */
};

struct cookies {
    struct cookie_pair *pairs; /* in the order sent; spans of the header */
    size_t n;
};

enum cookie_presence { COOKIE_ABSENT, COOKIE_ONCE, COOKIE_REPEATED };

/*
 * Reads one Cookie header (absent: none). Other programs under the same host set cookies too, so
 * pieces without '=' or without a name are skipped, not refused. ERR_BAD_REQUEST: more than
 * LIMIT_COOKIES. ERR_UNAVAILABLE: memory.
 */
bool cookies_parse(struct arena *a, struct str header, struct cookies *out, struct err *e) must_use;
/* Looks a name up, by exact bytes. *value is the first one, STR_NONE when absent. */
enum cookie_presence cookies_get(const struct cookies *c, struct str name, struct str *value);

/* A cookie of ours: Path=/, HttpOnly, SameSite=Lax always. */
struct cookie {
    struct str name;   /* an RFC 9110 token */
    struct str value;  /* cookie-octets: printable ASCII without space, '"', ',', ';' and '\' */
    bool is_secure;    /* required for names that begin with __Host- or __Secure- */
    int64_t max_age_s; /* -1: until the browser ends; 0: removes the cookie */
};

/* Appends the value of a Set-Cookie header. False, and nothing appended, when name or value may not
 * be sent so. */
bool cookie_write(struct buf *out, const struct cookie *c) must_use;
