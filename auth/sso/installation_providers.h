/*
 * The sign-in providers of the installation, from AUTH_CONFIG (auth-config.json): socialProviders
 * {google, github, microsoft, gitlab, or any name with an issuer} and ssoConfig. Each gets a random
 * id at its first start and keeps it; what has left the file is disabled, not forgotten.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "core/services.h"
#include "store/sso_providers.h"

/* At the start of the server. ERR_INVALID: one line about the file. Waits (store). */
bool installation_providers_start(struct services *sv, struct arena *a, struct err *e) must_use;
/* What the file says, as at the start, changing nothing: slot, kind, name and config, and the id of
 * those that have one already (else absent). ERR_INVALID as above. Waits (store). */
bool installation_providers_read(struct services *sv, struct arena *a, struct sso_provider **out,
                                 size_t *n, struct err *e) must_use;
