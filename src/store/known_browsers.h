/* Browsers in which a person has signed in before, by the SHA-256 of a cookie that stays. */
#pragma once

#include "store/db.h"

enum browser_novelty {
    BROWSER_KNOWN, /* or much like one that is */
    BROWSER_FIRST, /* the person has used none before */
    BROWSER_NEW
};
struct known_browser {
    struct str user_id, hash;
    struct str origin; /* a digest of what it calls itself and of its range of addresses */
    int64_t seen_at;   /* ms */
};
/* Notes a sign-in. Forgets browsers not seen for LIMIT_MAIL_BROWSER_DAYS. */
bool known_browsers_note(struct db *db, struct arena *a, const struct known_browser *k,
                         enum browser_novelty *out, struct err *e) must_use;
/* Has whoever has this address signed in with this browser before? */
bool known_browsers_has(struct db *db, struct arena *a, struct str email, struct str hash,
                        bool *out, struct err *e) must_use;
