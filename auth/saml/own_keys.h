/*
 * Our own pairs of keys for a provider, sealed as sso_providers.sealed_secret. One signs; another
 * may stand beside it while they roll over: both are in our metadata, and both decrypt.
 * Source: reference/auth.md 2.10.
 */
#pragma once

#include "auth/saml/settings.h"

/* A fresh pair for a provider, sealed. Waits (offload, store). */
bool saml_keys_make(struct services *sv, struct arena *a, struct str org_id, struct str provider_id,
                    struct str *sealed, struct err *e) must_use;
/* Opens p's into out->keys, the one that signs first. They are wiped with the arena. ERR_INTERNAL:
 * they do not open. Waits (store). */
bool saml_keys_open(struct services *sv, struct arena *a, const struct sso_provider *p,
                    struct saml_settings *out, struct err *e) must_use;
/*
 * One step of a roll-over; *sealed is what p has from now on. "publish": a new pair, which does not
 * sign yet; "switch": the other one signs; "retire": the one that does not sign goes. ERR_CONFLICT:
 * not the time for this step. Waits (offload, store).
 */
bool saml_keys_turn(struct services *sv, struct arena *a, const struct sso_provider *p,
                    struct str step, struct str *sealed, struct err *e) must_use;
/* The bytes of a private key in an arena are wiped when it ends. False: memory. */
bool saml_key_wipe_later(struct arena *a, struct str key) must_use;
