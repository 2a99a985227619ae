#include "auth/saml/refresh.h"

#include "auth/saml/settings.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/rand.h"
#include "crypto/certificate.h"
#include "io/fiber.h"
#include "store/audit.h"
#include "store/saml_metadata.h"

enum { ARENA_BYTES = 16 * 1024 * 1024 };

/* An eighth of it at most goes off by chance, so that nodes and providers do not all ask at once,
 * and nothing is read after it is over. */
static int64_t jittered(int64_t ms, uint64_t chance)
{
    return ms - (int64_t)(chance % (uint64_t)(ms / 8));
}

int64_t saml_refresh_pause_ms(int64_t now, int64_t valid_until, int64_t cache_ms, uint64_t chance)
{
    int64_t ms = LIMIT_SAML_REFRESH_MOST_MS;
    if (cache_ms > 0 && cache_ms < ms)
        ms = cache_ms;
    if (valid_until > 0 && valid_until - now < ms)
        ms = valid_until - now;
    return jittered(ms < LIMIT_SAML_REFRESH_LEAST_MS ? LIMIT_SAML_REFRESH_LEAST_MS : ms, chance);
}

/* ---- what the audit log says ---- */

static bool audit(struct services *sv, const struct sso_provider *p, const char *outcome,
                  const char *error, struct str arguments, struct err *e)
{
    const struct audit_row row = {.at = clock_wall_ms(),
                                  .org_id = p->org_id,
                                  .kind = STR("auth"),
                                  .method = STR("saml_metadata_refresh"),
                                  .name = p->id,
                                  .outcome = str_c(outcome),
                                  .error = str_c(error),
                                  .arguments = arguments};
    return audit_submit(sv->audit, &row, e);
}

static bool has_certificate(const struct saml_idp *idp, struct str der)
{
    for (size_t i = 0; i < idp->n_certificates; i++)
        if (str_eq(idp->certificates[i], der))
            return true;
    return false;
}

/* Those of `of` that `without` does not have. */
static bool certificates_write(struct arena *a, const char *name, const struct saml_idp *of,
                               const struct saml_idp *without, struct jout *j, struct err *e)
{
    jout_key(j, str_c(name));
    jout_array(j);
    for (size_t i = 0; i < of->n_certificates; i++) {
        struct certificate c;
        if (has_certificate(without, of->certificates[i]))
            continue;
        if (!certificate_read_der(a, of->certificates[i], &c, e))
            return false;
        jout_str(j, c.sha256);
    }
    jout_array_end(j);
    return true;
}

static bool is_same(const struct saml_reread *r)
{
    bool is_same = r->is.n_certificates == r->was.n_certificates &&
                   str_eq(r->is.sso_url, r->was.sso_url) && str_eq(r->is.slo_url, r->was.slo_url) &&
                   r->is.sso_is_post == r->was.sso_is_post &&
                   r->is.slo_is_post == r->was.slo_is_post;
    for (size_t i = 0; is_same && i < r->is.n_certificates; i++)
        is_same = has_certificate(&r->was, r->is.certificates[i]);
    return is_same;
}

static bool change_describe(struct arena *a, const struct saml_reread *r, struct str *out,
                            struct err *e)
{
    struct buf text;
    struct jout j;
    buf_init(&text, LIMIT_ORG_POLICY);
    jout_init(&j, &text);
    jout_object(&j);
    bool is_good = certificates_write(a, "certificates_added", &r->is, &r->was, &j, e) &&
                   certificates_write(a, "certificates_removed", &r->was, &r->is, &j, e);
    if (!str_eq(r->is.sso_url, r->was.sso_url))
        jout_kstr(&j, "sso_url", r->is.sso_url);
    if (!str_eq(r->is.slo_url, r->was.slo_url))
        jout_kstr(&j, "slo_url", r->is.slo_url);
    jout_object_end(&j);
    *out = is_good && buf_ok(&text) ? arena_dup(a, buf_str(&text)) : STR_NONE;
    buf_end(&text);
    return is_good && (!str_is_absent(*out) || err_set(e, ERR_UNAVAILABLE, "out of memory"));
}

/* ---- one provider ---- */

static bool config_write(struct services *sv, struct arena *a, const struct jvalue *present,
                         struct buf *out, struct saml_reread *r, struct err *e)
{
    const struct jvalue *roles = jv_get(present, "group_roles");
    struct jout j;
    jout_init(&j, out);
    jout_object(&j);
    if (roles) {
        struct buf text;
        buf_init(&text, LIMIT_ORG_POLICY);
        jv_write(roles, &text);
        bool is_good = buf_ok(&text);
        if (is_good)
            jout_kraw(&j, "group_roles", buf_str(&text));
        buf_end(&text);
        if (!is_good)
            return err_set(e, ERR_UNAVAILABLE, "out of memory");
    }
    if (!saml_settings_reread(sv, a, present, &j, r, e))
        return false;
    jout_object_end(&j);
    return buf_ok(out) || err_set(e, ERR_INVALID, "the configuration would be too long");
}

/* What can be recorded only; what an administrator changed meanwhile stays. */
static bool change(struct services *sv, struct arena *a, const struct sso_provider *p,
                   const struct saml_reread *r, struct str config, struct err *e)
{
    struct str what;
    if (!change_describe(a, r, &what, e) || !audit_reserve(sv->audit, e))
        return false;
    if (sso_providers_set_config(sv->db, a, p->id, p->config, config, clock_wall_ms(), e))
        return audit(sv, p, "ok", NULL, what, e);
    audit_release(sv->audit);
    return false;
}

static bool reread(struct services *sv, struct arena *a, const struct sso_provider *p,
                   struct saml_reread *r, struct err *e)
{
    struct jdoc *present auto_free(jdoc_freep) = jdoc_parse(p->config, e);
    struct buf config;
    if (!present)
        return err_set(e, ERR_INTERNAL, "the stored configuration is damaged");
    buf_init(&config, LIMIT_ORG_POLICY);
    bool is_good = config_write(sv, a, jdoc_root(present), &config, r, e) &&
                   (is_same(r) || change(sv, a, p, r, buf_str(&config), e));
    buf_end(&config);
    return is_good;
}

/* A problem is in the audit log once, when it is new: every hour it would hide the rest. */
static bool problem_audit(struct services *sv, struct arena *a, const struct sso_provider *p,
                          const struct err *why, struct err *e)
{
    struct saml_metadata_state state;
    if (!saml_metadata_get(sv->db, a, p->id, &state, e))
        return false;
    if (str_eq(state.problem, str_c(why->msg)))
        return true;
    return audit_reserve(sv->audit, e) &&
           audit(sv, p, why->code == ERR_INVALID ? "denied" : "failed", why->msg, STR_NONE, e);
}

static bool one(struct services *sv, struct arena *a, struct str provider_id, struct err *e)
{
    struct sso_provider p;
    struct saml_reread r = {.is.n_certificates = 0};
    struct err why;
    int64_t now = clock_wall_ms();
    if (!saml_metadata_lease(sv->db, a, provider_id, now, now + LIMIT_SAML_REFRESH_LEASE_MS, e) ||
        !sso_providers_get(sv->db, a, provider_id, &p, e))
        return false;
    if (reread(sv, a, &p, &r, &why))
        return saml_metadata_note(
            sv->db, a, p.id, now,
            now + saml_refresh_pause_ms(now, r.is.valid_until, r.is.cache_ms, rand_u64()), STR_NONE,
            e);
    if (why.code == ERR_CANCELLED)
        return false;
    return problem_audit(sv, a, &p, &why, e) &&
           saml_metadata_note(sv->db, a, p.id, now,
                              now + jittered(LIMIT_SAML_REFRESH_LEAST_MS, rand_u64()),
                              str_c(why.msg), e);
}

/* What fails is due again when its lease is over, here or at another node. */
void saml_refresh_due(struct services *sv, struct arena *a)
{
    struct str *ids;
    size_t n;
    struct err ignored;
    if (!saml_metadata_due(sv->db, a, clock_wall_ms(), &ids, &n, &ignored))
        return;
    for (size_t i = 0; i < n; i++) {
        struct arena *own = arena_new(ARENA_BYTES);
        if (own)
            (void)!one(sv, own, ids[i], &ignored);
        arena_end(own);
    }
}

static void run(void *arg)
{
    struct services *sv = arg;
    struct err e;
    do {
        struct arena *a = arena_new(ARENA_BYTES);
        if (a)
            saml_refresh_due(sv, a);
        arena_end(a);
    } while (
        fiber_sleep_until(clock_mono_ms() + jittered(LIMIT_SAML_REFRESH_TICK_MS, rand_u64()), &e));
}

bool saml_refresh_start(struct services *sv, struct err *e)
{
    return fiber_start(sv->loop, run, sv, &sv->saml_refresher, e);
}
