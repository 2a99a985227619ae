/* ORGANIZATION_DOMAIN_*: domains of e-mail addresses, proven by DNS. */
#include "auth/login/domain_proof.h"
#include "base/clock.h"
#include "base/ids.h"
#include "base/limits.h"
#include "base/rand.h"
#include "base/text.h"
#include "core/domain_rules.h"
#include "management-tools/role_words.h"
#include "management-tools/tool_io.h"
#include "store/org_domains.h"
#include "store/sso_providers.h"

tool_fn tool_organization_domain_add, tool_organization_domain_verify,
    tool_organization_domain_list, tool_organization_domain_remove;

enum { PROOF_BYTES = 16 };

/* Who proves a domain decides about the accounts of its addresses: no custom role gives that away.
 */
static bool may_claim(const struct tool_call *c, struct err *e)
{
    return io_is_admin(c) || err_set(e, ERR_FORBIDDEN, "only administrators claim domains");
}

static void domain_write(const struct tool_call *c, struct jout *j, const struct org_domain *d)
{
    jout_object(j);
    jout_kstr(j, "id", d->id);
    jout_kstr(j, "domain", d->domain);
    jout_kbool(j, "verified", d->verified_at != 0);
    jout_ktime(j, "verified_at", d->verified_at);
    jout_kstr(j, "txt_name", domain_rules_txt_name(c->arena, d->domain));
    jout_kstr(j, "txt_value", domain_rules_txt_value(c->arena, d->proof));
    jout_kbool(j, "forced", d->is_forced);
    jout_kstr(j, "provider_id", d->provider_id);
    jout_kstr(j, "join_role", d->join_role);
    jout_ktime(j, "created_at", d->created_at);
    jout_object_end(j);
}

static bool not_found(struct err *e)
{
    return e->code == ERR_NOT_FOUND ? err_set(e, ERR_NOT_FOUND, "no such domain here") : false;
}

static bool domain_answer(struct tool_call *c, struct str domain, struct err *e)
{
    struct org_domain d = {0};
    struct jout j;
    if (!org_domains_get(c->sv->db, c->arena, c->org_id, domain, &d, e))
        return not_found(e);
    c->object = d.id;
    jout_init(&j, c->out);
    jout_object(&j);
    jout_key(&j, STR("item"));
    domain_write(c, &j, &d);
    jout_object_end(&j);
    return true;
}

/* ---- add ---- */

static bool provider_read(struct tool_call *c, struct org_domain *d, struct err *e)
{
    const struct jvalue *given = jv_get(c->arguments, "provider_id");
    struct sso_provider p;
    if (given)
        d->provider_id = jv_str(given);
    d->is_forced = jv_get_bool(c->arguments, "forced", d->is_forced);
    if (d->is_forced && str_is_absent(d->provider_id))
        return err_set(e, ERR_UNPROCESSABLE, "forced needs a provider_id");
    if (str_is_absent(d->provider_id))
        return true;
    if (!sso_providers_get_of_org(c->sv->db, c->arena, c->org_id, d->provider_id, &p, e))
        return e->code == ERR_NOT_FOUND ? err_set(e, ERR_NOT_FOUND, "no such sign-in provider")
                                        : false;
    return !d->is_forced || p.is_owners ||
           err_set(e, ERR_UNPROCESSABLE,
                   "owners could not sign in any more: an owner configures, or confirms, the "
                   "provider that a domain is forced to");
}

static bool role_read(struct tool_call *c, struct org_domain *d, struct err *e)
{
    const struct jvalue *given = jv_get(c->arguments, "join_role");
    struct buf words;
    if (!given)
        return true;
    d->join_role = jv_str(given);
    if (str_is_absent(d->join_role))
        return true;
    if (str_eq(d->join_role, STR("owner")))
        return err_set(e, ERR_UNPROCESSABLE, "arguments.join_role: nobody becomes owner so");
    buf_init(&words, LIMIT_NAME);
    bool is_good = role_words_take(c, d->join_role, &words, e);
    d->join_role = is_good ? arena_dup(c->arena, buf_str(&words)) : STR_NONE;
    buf_end(&words);
    return is_good && (!str_is_absent(d->join_role) || io_no_memory(e));
}

/* The domain as it is, or a fresh one. */
static bool domain_begin(struct tool_call *c, struct str domain, struct org_domain *d,
                         struct err *e)
{
    uint8_t proof[PROOF_BYTES];
    char hex[2 * PROOF_BYTES + 1];
    struct id id = id_new("dom");
    int64_t n;
    if (org_domains_get(c->sv->db, c->arena, c->org_id, domain, d, e))
        return true;
    if (e->code != ERR_NOT_FOUND || !org_domains_count(c->sv->db, c->arena, c->org_id, &n, e))
        return false;
    if (n >= LIMIT_ORG_DOMAINS)
        return err_set(e, ERR_UNPROCESSABLE, "an organization claims at most %d domains",
                       LIMIT_ORG_DOMAINS);
    rand_bytes(proof, sizeof(proof));
    text_hex(hex, proof, sizeof(proof));
    *d = (struct org_domain){.id = arena_dup(c->arena, id_str(&id)),
                             .org_id = c->org_id,
                             .domain = domain,
                             .proof = arena_dup(c->arena, str_c(hex)),
                             .created_at = clock_wall_ms()};
    return (!str_is_absent(d->id) && !str_is_absent(d->proof)) || io_no_memory(e);
}

bool tool_organization_domain_add(struct tool_call *c, struct err *e)
{
    struct str domain = STR_NONE;
    struct org_domain d = {0};
    if (!may_claim(c, e) ||
        !domain_rules_read(c->arena, jv_get_str(c->arguments, "domain"), &domain, e) ||
        !domain_begin(c, domain, &d, e))
        return false;
    c->object = d.id;
    return provider_read(c, &d, e) && role_read(c, &d, e) &&
           org_domains_put(c->sv->db, c->arena, &d, e) && domain_answer(c, domain, e);
}

/* ---- verify ---- */

/*
 * The domain has come to somebody else: who had proven it before loses that, if the DNS does not
 * say it any more. False with ERR_CONFLICT: it does, or cannot be asked just now.
 */
static bool holder_release(struct tool_call *c, struct str domain, struct err *e)
{
    struct org_domain held = {0};
    struct err why;
    bool is_there = true;
    if (!org_domains_proven(c->sv->db, c->arena, domain, &held, e))
        return e->code == ERR_NOT_FOUND;
    if (domain_proof_find(c->sv, c->arena, &held, &is_there, &why) && !is_there)
        return org_domains_verify(c->sv->db, c->arena, held.org_id, domain, 0, e);
    return err_set(e, ERR_CONFLICT, "another organization here has proven this domain");
}

static bool proof_store(struct tool_call *c, struct str domain, int64_t verified_at, struct err *e)
{
    if (org_domains_verify(c->sv->db, c->arena, c->org_id, domain, verified_at, e))
        return true;
    if (e->code == ERR_CONFLICT)
        return holder_release(c, domain, e) &&
               org_domains_verify(c->sv->db, c->arena, c->org_id, domain, verified_at, e);
    return not_found(e);
}

bool tool_organization_domain_verify(struct tool_call *c, struct err *e)
{
    struct str domain = STR_NONE;
    struct org_domain d = {0};
    bool is_there;
    if (!may_claim(c, e) ||
        !domain_rules_read(c->arena, jv_get_str(c->arguments, "domain"), &domain, e))
        return false;
    if (!org_domains_get(c->sv->db, c->arena, c->org_id, domain, &d, e))
        return not_found(e);
    c->object = d.id;
    if (!domain_proof_find(c->sv, c->arena, &d, &is_there, e))
        return false;
    if (!is_there && d.verified_at == 0)
        return err_set(e, ERR_UNPROCESSABLE,
                       "there is no TXT record _tulle.%.*s with the value tulle-verification=%.*s "
                       "yet; the DNS may need some minutes",
                       STR_FMT(domain), STR_FMT(d.proof));
    int64_t verified_at = !is_there ? 0 : d.verified_at ? d.verified_at : clock_wall_ms();
    return proof_store(c, domain, verified_at, e) && domain_answer(c, domain, e);
}

/* ---- list, remove ---- */

bool tool_organization_domain_list(struct tool_call *c, struct err *e)
{
    struct db_page page;
    struct org_domain *list;
    struct jout j;
    size_t n;
    struct io_list_end end = {0};
    if (!io_page_read(c, &page, e) ||
        !org_domains_list(c->sv->db, c->arena, c->org_id, &page, &list, &n, e) ||
        !org_domains_count(c->sv->db, c->arena, c->org_id, &end.total, e))
        return false;
    io_list_begin(c, &j);
    for (size_t i = 0; i < n && i < (size_t)page.limit; i++) {
        domain_write(c, &j, &list[i]);
        end.last_at = list[i].created_at;
        end.last_id = list[i].id;
    }
    end.has_more = n > (size_t)page.limit;
    return io_list_end(c, &j, &end, e);
}

bool tool_organization_domain_remove(struct tool_call *c, struct err *e)
{
    struct str domain = STR_NONE;
    struct org_domain d = {0};
    if (!may_claim(c, e) ||
        !domain_rules_read(c->arena, jv_get_str(c->arguments, "domain"), &domain, e))
        return false;
    if (!org_domains_get(c->sv->db, c->arena, c->org_id, domain, &d, e))
        return not_found(e);
    c->object = d.id;
    if (!org_domains_delete(c->sv->db, c->arena, c->org_id, domain, e))
        return not_found(e);
    io_deleted(c, d.id);
    return true;
}
