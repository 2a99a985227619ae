/* Domains that organizations claim. Several may try; one can have proven it. */
#pragma once

#include "store/db.h"

struct org_domain {
    struct str id; /* dom_ */
    struct str org_id, domain;
    struct str proof;       /* what the DNS must say */
    int64_t verified_at;    /* 0: not proven */
    bool is_forced;         /* its people must sign in through provider_id */
    struct str provider_id; /* absent: any way */
    struct str join_role;   /* whoever has such an address joins with it; absent: nobody */
    int64_t created_at;
};
/* Inserts, or changes is_forced, provider_id and join_role of the one that is there. ERR_CONFLICT:
 * no such organization or provider. */
bool org_domains_put(struct db *db, struct arena *a, const struct org_domain *d,
                     struct err *e) must_use;
/* ERR_NOT_FOUND. */
bool org_domains_get(struct db *db, struct arena *a, struct str org_id, struct str domain,
                     struct org_domain *out, struct err *e) must_use;
bool org_domains_list(struct db *db, struct arena *a, struct str org_id, const struct db_page *page,
                      struct org_domain **out, size_t *n, struct err *e) must_use;
bool org_domains_count(struct db *db, struct arena *a, struct str org_id, int64_t *out,
                       struct err *e) must_use;
/* Proven ones whose people must sign in through this provider. */
bool org_domains_count_forced(struct db *db, struct arena *a, struct str org_id,
                              struct str provider_id, int64_t *out, struct err *e) must_use;
/* verified_at 0: the proof is gone. ERR_NOT_FOUND; ERR_CONFLICT: another organization has proven
 * it. */
bool org_domains_verify(struct db *db, struct arena *a, struct str org_id, struct str domain,
                        int64_t verified_at, struct err *e) must_use;
bool org_domains_delete(struct db *db, struct arena *a, struct str org_id, struct str domain,
                        struct err *e) must_use; /* ERR_NOT_FOUND */
/* Whoever has proven it. ERR_NOT_FOUND: nobody. Point look-up. */
bool org_domains_proven(struct db *db, struct arena *a, struct str domain, struct org_domain *out,
                        struct err *e) must_use;

/* One look at a proven domain whose turn it is. */
struct org_domain_check {
    struct org_domain domain;
    int64_t n_missing;     /* looks in a row that found no record */
    int64_t missing_since; /* the first of them; 0: none */
    int64_t lease_end;     /* names the lease; proving the domain anew ends it */
};
/* Leases the one that is due longest. ERR_NOT_FOUND: none is. */
bool org_domains_check_take(struct db *db, struct arena *a, int64_t now, int64_t lease_end,
                            struct org_domain_check *out, struct err *e) must_use;
/* Writes n_missing and missing_since down, and when it is due again. ERR_NOT_FOUND: the lease has
 * ended. */
bool org_domains_check_done(struct db *db, struct arena *a, const struct org_domain_check *c,
                            int64_t next_at, struct err *e) must_use;
/* The proof is gone. ERR_NOT_FOUND: the lease has ended. */
bool org_domains_check_lost(struct db *db, struct arena *a, const struct org_domain_check *c,
                            struct err *e) must_use;
