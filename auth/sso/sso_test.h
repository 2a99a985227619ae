/*
 * Dry runs of an organization's sign-in provider (ORGANIZATION_SSO_TEST): the whole way there and
 * back, every check noted, nobody signed in. The test's id is a random name that opens its page for
 * ten minutes.
 */
#pragma once

#include "auth/sso/identity.h"
#include "auth/sso/steps.h"
#include "store/sso_tests.h"

/* A fresh one, and the address to open in a browser. Waits (store). */
bool sso_test_start(struct services *sv, struct arena *a, const struct sso_test *t, struct str *url,
                    struct err *e) must_use;
/*
 * The end of one that came back: what was seen, and (identity not NULL, why NULL) what would become
 * of the identity; changes nothing else. *next: the page that shows it. ERR_NOT_FOUND: expired or
 * finished. Waits (store).
 */
struct sso_test_end {
    struct str test_id, provider_id;
    const struct identity *identity; /* NULL: the checks failed */
    const struct err *why;           /* of that */
    struct sso_steps *steps;
};
bool sso_test_finish(struct services *sv, struct arena *a, const struct sso_test_end *end,
                     struct str *next, struct err *e) must_use;
