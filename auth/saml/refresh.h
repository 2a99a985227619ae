/*
 * Metadata of identity providers, read again by itself where an administrator named its address:
 * looked for every LIMIT_SAML_REFRESH_TICK_MS by each node, done by the one that took it. How soon
 * depends on cacheDuration and validUntil, between LIMIT_SAML_REFRESH_LEAST_MS and _MOST_MS. What
 * fails leaves the last good one as it is. Source: reference/auth.md 2.10; SAML V2.0 metadata.
 */
#pragma once

#include "core/services.h"
#include "store/sso_providers.h"

/* Starts the fiber (sv->saml_refresher), which ends when it is cancelled. */
bool saml_refresh_start(struct services *sv, struct err *e) must_use;
/* Reads what is due now. Waits (store, HTTP, offload). */
void saml_refresh_due(struct services *sv, struct arena *a);
/* ms until metadata that says this is read again; chance is any number. */
int64_t saml_refresh_pause_ms(int64_t now, int64_t valid_until, int64_t cache_ms, uint64_t chance);
