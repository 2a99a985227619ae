/*
 * TXT records of a name, asked of a resolver by c-ares: UDP, then TCP where the answer does not
 * fit. Source: RFC 1035.
 */
#pragma once

#include "base/arena.h"
#include "io/offload.h"

/*
 * server: "ADDRESS", "ADDRESS:PORT", "[v6]:PORT", several separated by commas; NULL: the system's.
 * *out: each record's strings put together, at most LIMIT_DNS_RECORDS. Waits (offload), at most
 * LIMIT_DNS_MS. ERR_NOT_FOUND: no such name, or no TXT record there. ERR_TIMEOUT. ERR_UNAVAILABLE:
 * the resolver refuses, fails or says nonsense, or too many look-ups run. ERR_INVALID: the name or
 * `server` is none.
 */
bool dns_txt_find(struct offload *o, struct arena *a, const char *server, struct str name,
                  struct str **out, size_t *n, struct err *e) must_use;
