/*
 * The sign-in providers of the installation, from AUTH_CONFIG (auth-config.json): socialProviders
 * {google, github, microsoft, gitlab, or any name with an issuer} and ssoConfig. Each gets a random
 * id at its first start and keeps it; what has left the file is disabled, not forgotten.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "core/services.h"

/* At the start of the server. ERR_INVALID: one line about the file. Waits (store). */
bool installation_providers_start(struct services *sv, struct arena *a, struct err *e) must_use;
