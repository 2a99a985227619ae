/* What hangs on a member when they go. */
#pragma once

#include "store/db.h"

struct offboarding {
    int64_t n_grants, n_credentials; /* theirs; both end with the membership */
    struct str *connection_ids;      /* that work for everybody by their authorization */
    size_t n_connections;
};
bool offboarding_look(struct db *db, struct arena *a, struct str org_id, struct str user_id,
                      struct offboarding *out, struct err *e) must_use;
