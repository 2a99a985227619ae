#include "auth/login/domain_proof.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/rand.h"
#include "core/domain_rules.h"
#include "io/dns_txt.h"
#include "store/audit.h"

enum { ARENA_BYTES = 256 * 1024 };

bool domain_proof_find(struct services *sv, struct arena *a, const struct org_domain *d, bool *out,
                       struct err *e)
{
    struct str *records, wanted = domain_rules_txt_value(a, d->proof);
    struct str name = domain_rules_txt_name(a, d->domain);
    size_t n;
    *out = false;
    if (str_is_absent(wanted) || str_is_absent(name))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    if (!dns_txt_find(sv->offload, a, sv->config->dns_server, name, &records, &n, e))
        return e->code == ERR_NOT_FOUND;
    for (size_t i = 0; i < n && !*out; i++)
        *out = str_eq(str_trim(records[i]), wanted);
    return true;
}

/* ---- again ---- */

static int64_t about_a_day(void)
{
    int64_t day = LIMIT_DOMAIN_CHECK_MS;
    return day - day / 4 + (int64_t)(rand_u64() % (uint64_t)(day / 2));
}

/* The place in the audit comes first: what happens can be recorded. */
static bool take_away(struct services *sv, struct arena *a, const struct org_domain_check *c,
                      int64_t now, struct err *e)
{
    const struct audit_row row = {.at = now,
                                  .org_id = c->domain.org_id,
                                  .kind = STR("auth"),
                                  .method = STR("domain_lost"),
                                  .name = c->domain.id,
                                  .outcome = STR("ok"),
                                  .error = STR("the TXT record that proved it is gone")};
    if (!audit_reserve(sv->audit, e))
        return false;
    if (org_domains_check_lost(sv->db, a, c, e))
        return audit_submit(sv->audit, &row, e);
    audit_release(sv->audit);
    return false;
}

/* One domain. False: nothing is left to do, or nothing can be done now. */
static bool recheck_one(struct services *sv, struct arena *a)
{
    struct org_domain_check c;
    struct err e;
    bool is_there;
    int64_t now = clock_wall_ms();
    if (!org_domains_check_take(sv->db, a, now, now + LIMIT_DOMAIN_LEASE_MS, &c, &e))
        return false;
    /* Whose lease has ended is somebody else's to look at, now or later. */
    if (!domain_proof_find(sv, a, &c.domain, &is_there, &e))
        return e.code != ERR_CANCELLED &&
               (org_domains_check_done(sv->db, a, &c, now + LIMIT_DOMAIN_RETRY_MS, &e) ||
                e.code == ERR_NOT_FOUND);
    c.n_missing = is_there ? 0 : c.n_missing + 1;
    c.missing_since = is_there ? 0 : c.missing_since ? c.missing_since : now;
    bool is_lost = c.n_missing >= LIMIT_DOMAIN_MISSES &&
                   now - c.missing_since >= (int64_t)LIMIT_DOMAIN_GRACE_MS;
    return (is_lost ? take_away(sv, a, &c, now, &e)
                    : org_domains_check_done(sv->db, a, &c, now + about_a_day(), &e)) ||
           e.code == ERR_NOT_FOUND;
}

void domain_proof_recheck(struct services *sv)
{
    bool goes_on = true;
    while (goes_on) {
        struct arena *a = arena_new(ARENA_BYTES);
        goes_on = a && recheck_one(sv, a);
        arena_end(a);
    }
}
