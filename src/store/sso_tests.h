/* Dry runs of sign-in providers: what was seen, for ten minutes. */
#pragma once

#include "store/db.h"

struct sso_test {
    struct str id; /* sst_ */
    struct str org_id, provider_id, created_by;
    struct str report;  /* JSON object */
    struct str outcome; /* absent: nobody has come back yet */
    int64_t created_at, finished_at, expires_at;
};
/* Inserts, and removes what has expired. */
bool sso_tests_insert(struct db *db, struct arena *a, const struct sso_test *t,
                      struct err *e) must_use;
/* By its id alone, as its page names it. ERR_NOT_FOUND, also when expired. */
bool sso_tests_get(struct db *db, struct arena *a, struct str id, int64_t now, struct sso_test *out,
                   struct err *e) must_use;
/* Writes what was seen, once. ERR_NOT_FOUND: expired, finished, or of another provider. */
bool sso_tests_finish(struct db *db, struct arena *a, struct str id, struct str provider_id,
                      struct str report, struct str outcome, int64_t now, struct err *e) must_use;
