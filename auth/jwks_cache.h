/*
 * What other authorization servers publish: key sets (RFC 7517 section 5) and metadata. Fetched
 * through the outgoing guard without credentials, kept for the process, one fetch at a time for
 * each address. What was last read keeps serving for LIMIT_PUBLISHED_STALE_MS while fetching fails
 * (again after LIMIT_PUBLISHED_PAUSE_MS); where nothing was read yet, after ten seconds.
 */
#pragma once

#include "core/services.h"
#include "crypto/jws.h"
#include "json/jread.h"

/*
 * The JSON object at url, at most LIMIT_PUBLISHED_FRESH_MS old; lives as long as the arena. Waits.
 * newer_than: clock_mono_ms; what was fetched before then is read again, though never more than
 * once in LIMIT_PUBLISHED_PAUSE_MS (then what is there is given). 0: no such wish. ERR_EGRESS,
 * ERR_UPSTREAM, ERR_TIMEOUT, ERR_CANCELLED, ERR_UNAVAILABLE.
 */
bool jwks_cache_get(struct services *sv, struct arena *a, struct str url, int64_t newer_than,
                    const struct jvalue **out, struct err *e) must_use;

/*
 * Is the token signed by a key of the set at url? Its kid chooses the key; without one every key of
 * its kind is tried, LIMIT_KEYS_TRIED at most. A kid that is not there reads the set again,
 * throttled as above. ERR_UNAUTHENTICATED: by none of them; else what jwks_cache_get gives.
 */
bool jwks_cache_verify(struct services *sv, struct arena *a, struct str url, const struct jws *t,
                       struct err *e) must_use;

/* May this key (a JWK) be one of the algorithm, by what it says of itself? */
bool jwks_key_fits(const struct jvalue *key, struct str alg);

/* The metadata of an issuer (RFC 8414 section 3, OpenID Connect Discovery 4): read from the
 * addresses that these name, and of that very issuer. ERR_UPSTREAM: there is none, or it is
 * another's. */
bool jwks_cache_metadata(struct services *sv, struct arena *a, struct str issuer,
                         const struct jvalue **out, struct err *e) must_use;
