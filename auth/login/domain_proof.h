/*
 * Is a domain of e-mail addresses an organization's? A TXT record says so (core/domain_rules.h).
 * Proven domains are looked at again about once a day, by one node at a time: whoever lets a domain
 * go loses what it proves.
 */
#pragma once

#include "base/arena.h"
#include "core/services.h"
#include "store/org_domains.h"

/* Does the DNS hold the record? What cannot be asked just now is an error (io/dns_txt.h), and
 * proves neither. Waits. */
bool domain_proof_find(struct services *sv, struct arena *a, const struct org_domain *d, bool *out,
                       struct err *e) must_use;
/*
 * Looks at each proven domain whose turn it is. One whose record was not there LIMIT_DOMAIN_MISSES
 * times in a row, for LIMIT_DOMAIN_GRACE_MS, is proven no more, which the organization finds in its
 * audit log. A DNS that cannot be asked takes nothing away. Waits.
 */
void domain_proof_recheck(struct services *sv);
