/* What a sign-in in a browser proved: of a session, or of the grant that was made with one. */
#pragma once

#include "base/str.h"

struct proof {
    struct str by;     /* a method ("password"), or a provider's id; absent: no such sign-in */
    struct str org_id; /* the organization whose provider that is; absent: none's */
    bool is_two_factor;
};
