/*
 * A provider's secret (client secret, private keys): sealed under the organization's data key, or
 * under the installation's keys when the provider is the installation's. It opens for one provider
 * only.
 */
#pragma once

#include "base/secret.h"
#include "base/arena.h"
#include "core/services.h"

/* Waits (store). */
bool provider_secret_seal(struct services *sv, struct arena *a, struct str org_id,
                          struct str provider_id, struct str plain, struct str *sealed,
                          struct err *e) must_use;
/* out is wiped by secret_end. ERR_INTERNAL: it does not open. Waits (store). */
bool provider_secret_open(struct services *sv, struct arena *a, struct str org_id,
                          struct str provider_id, struct str sealed, struct secret *out,
                          struct err *e) must_use;
