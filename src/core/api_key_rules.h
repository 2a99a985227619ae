/* A key can only narrow. Pure. */
#pragma once

#include "base/err.h"
#include "core/caller.h"

/* What a key limits, read. tools, connection_ids NULL: not limited. */
struct api_key_limits {
    unsigned scopes; /* enum scope bits; 0: not limited */
    const struct str *tools, *connection_ids;
    size_t n_tools, n_connection_ids;
    int64_t expires_at; /* ms; 0: never */
};
/*
 * Is a key with these limits at most as wide as the one that the caller uses? A caller without a
 * key or grant (nothing narrowed, no expiry) may make any. ERR_FORBIDDEN names the limit that would
 * be widened.
 */
bool api_key_rules_within(const struct caller *c, const struct api_key_limits *k,
                          struct err *e) must_use;
/* A pattern of a key's tools: a name, or one ending in '*'. */
bool api_key_rules_pattern(struct str pattern);
