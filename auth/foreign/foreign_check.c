#include "auth/foreign/foreign_check.h"

#include "auth/caller_build.h"
#include "auth/foreign/claims.h"
#include "auth/foreign/introspect_ask.h"
#include "auth/foreign/place.h"
#include "auth/foreign/subject.h"
#include "auth/jwks_cache.h"
#include "base/clock.h"
#include "base/limits.h"
#include "core/rates.h"

bool foreign_looks_so(struct str token)
{
    return !str_starts(token, STR("tulle_"));
}

/* A name in the table of rates. */
static struct str meter_of(struct arena *a, const char *kind, struct str name)
{
    return arena_printf(a, "foreign %s %.*s", kind, STR_FMT(name));
}

static bool too_many(struct err *e)
{
    return err_set(e, ERR_RATE_LIMITED, "too many access tokens that are not valid; wait a minute");
}

/* One issuer's keys, or its server, are asked this often, whoever shows tokens. */
static bool may_ask(struct services *sv, struct arena *a, const struct org_issuer *issuer,
                    struct err *e)
{
    int64_t retry;
    struct str name = meter_of(a, "issuer", issuer->id);
    if (str_is_absent(name))
        return err_set(e, ERR_UNAVAILABLE, "out of memory");
    return rates_pass(sv->rates, name, LIMIT_FOREIGN_CHECKS, clock_mono_ms(), &retry) ||
           too_many(e);
}

static bool signature_check(struct services *sv, struct arena *a, const struct org_issuer *issuer,
                            const struct jws *t, struct err *e)
{
    const struct jvalue *metadata;
    struct str url = issuer->jwks_uri;
    if (str_is_absent(url)) {
        if (!jwks_cache_metadata(sv, a, issuer->issuer, &metadata, e))
            return false;
        url = jv_get_str(metadata, "jwks_uri");
    }
    if (str_is_absent(url) || url.n > LIMIT_URL)
        return err_set(e, ERR_UPSTREAM, "the issuer's metadata names no jwks_uri");
    return jwks_cache_verify(sv, a, url, t, e);
}

/* jws NULL: an opaque token. What is cheap to judge comes before what others must be asked for. */
static bool claims_get(struct services *sv, struct arena *a, const struct org_issuer *issuer,
                       const struct jws *jws, const struct foreign_shown *shown, int64_t now,
                       struct foreign_claims *out, struct err *e)
{
    const struct jvalue *answer = NULL;
    if (str_eq(issuer->kind, STR("opaque")))
        return may_ask(sv, a, issuer, e) &&
               introspect_ask(sv, a, issuer, shown->token, &answer, e) &&
               foreign_claims_read(a, issuer, answer, now, out, e);
    if (!jws)
        return foreign_refused(e, "no JWT");
    return foreign_typ_check(issuer, jws->typ, e) &&
           foreign_claims_read(a, issuer, jdoc_root(jws->claims), now, out, e) &&
           may_ask(sv, a, issuer, e) && signature_check(sv, a, issuer, jws, e);
}

static bool caller_fill(struct services *sv, struct arena *keep, const struct org_issuer *issuer,
                        const struct foreign_place *place, const struct foreign_claims *c,
                        struct caller *out, struct err *e)
{
    struct str user_id, scope;
    if (!foreign_audience(sv, keep, place, issuer->audiences, jv_get(c->all, "aud"), e) ||
        !foreign_subject(sv, keep, issuer, c, &user_id, e))
        return false;
    if (!caller_build(sv, keep, place->org_id, user_id, NULL, out, e))
        return e->code == ERR_NOT_FOUND ? foreign_refused(e, "its person is no member") : false;
    /* Whoever decides whom the issuer's tokens are would be an owner by them. */
    if (!issuer->is_owners && (out->builtin_roles & ROLE_OWNER))
        return foreign_refused(e, "of an owner, by an issuer that no owner configured");
    if (!foreign_scope(keep, issuer, c, &scope, e) || !caller_scope_apply(keep, scope, out, e))
        return false;
    out->is_management_audience = false;
    out->is_proxy_audience = true;
    out->audience_connection_id = arena_dup(keep, place->target);
    out->client_id = arena_dup(keep, issuer->id);
    out->expires_at = c->expires_at;
    out->principal =
        arena_printf(keep, "%.*s|%.*s|%.*s|%.*s", STR_FMT(out->org_id), STR_FMT(out->user_id),
                     STR_FMT(issuer->id), STR_FMT(str_slice(c->client, 0, 100)));
    return (!str_is_absent(out->principal) && !str_is_absent(out->client_id) &&
            !str_is_absent(out->audience_connection_id)) ||
           err_set(e, ERR_UNAVAILABLE, "out of memory");
}

static bool issuer_find(struct services *sv, struct arena *a, struct str org_id,
                        const struct jws *jws, struct org_issuer *out, struct err *e)
{
    struct str iss = jws ? jv_get_str(jdoc_root(jws->claims), "iss") : STR_NONE;
    /* A JWT that names nobody is shown to nobody. */
    if (jws && str_is_absent(iss))
        return foreign_refused(e, "a JWT without issuer");
    if (!org_issuers_find(sv->db, a, org_id, iss, out, e))
        return e->code == ERR_NOT_FOUND ? foreign_refused(e, "its issuer is not trusted here")
                                        : false;
    return true;
}

static bool check(struct services *sv, struct arena *keep, const struct foreign_shown *shown,
                  const struct jws *jws, int64_t now, struct caller *out, int64_t *good_until,
                  struct err *e)
{
    struct foreign_place place = {STR_NONE, STR_NONE};
    struct org_issuer issuer = {.is_enabled = false};
    struct foreign_claims claims = {.all = NULL};
    if (!foreign_place_find(sv, keep, shown->path, &place, e) ||
        !issuer_find(sv, keep, place.org_id, jws, &issuer, e) ||
        !claims_get(sv, keep, &issuer, jws, shown, now, &claims, e) ||
        !caller_fill(sv, keep, &issuer, &place, &claims, out, e))
        return false;
    int64_t end = now + LIMIT_FOREIGN_KEPT_MS;
    *good_until = claims.expires_at && claims.expires_at < end ? claims.expires_at : end;
    int64_t last = now + LIMIT_FOREIGN_OPAQUE_MS;
    if (str_eq(issuer.kind, STR("opaque")) && (!out->expires_at || out->expires_at > last))
        out->expires_at = last;
    return true;
}

/* What is wrong stays in the log. What the store suffered, and a request that is over, are no
 * verdict. */
static bool failure_hide(struct err *e)
{
    struct err why = *e;
    bool is_theirs = why.code == ERR_UPSTREAM || why.code == ERR_EGRESS ||
                     why.code == ERR_TOO_LARGE || why.code == ERR_PARSE ||
                     why.code == ERR_UNAUTHENTICATED || why.code == ERR_TIMEOUT;
    if (!is_theirs)
        return false;
    foreign_refused(e, "");
    return err_detail(e, "%.120s %.120s", why.code == ERR_UNAUTHENTICATED ? "" : why.msg,
                      why.detail);
}

static bool token_check(struct services *sv, struct arena *keep, const struct foreign_shown *shown,
                        int64_t now, struct caller *out, int64_t *good_until, struct err *e)
{
    struct jws jws = {0};
    struct err ignored;
    bool is_jws = jws_parse(keep, shown->token, &jws, &ignored);
    /* A token that says who made it is shown to nobody else, however broken it is. */
    if (!is_jws && str_starts(shown->token, STR("eyJ")) &&
        str_find_char(shown->token, '.') != SIZE_MAX)
        return foreign_refused(e, "ill-formed");
    bool is_good = check(sv, keep, shown, is_jws ? &jws : NULL, now, out, good_until, e);
    if (is_jws)
        jws_end(&jws);
    return is_good;
}

/*
 * Bad ones are counted by address, and good ones never, for many people may have one. What is bad
 * is known only afterwards: how many are looked at in the meantime is limited, too.
 */
bool foreign_check(struct services *sv, struct arena *keep, const struct foreign_shown *shown,
                   int64_t now, struct caller *out, int64_t *good_until, struct err *e)
{
    int64_t retry;
    struct str address = meter_of(keep, "address", shown->address);
    bool is_counted = !str_is_absent(shown->address) && !str_is_absent(address);
    if (shown->token.n > LIMIT_FOREIGN_TOKEN)
        return foreign_refused(e, "over-long");
    if (is_counted &&
        (!rates_would_pass(sv->rates, address, LIMIT_FOREIGN_FAILURES, clock_mono_ms(), &retry) ||
         !rates_enter(sv->rates, address, LIMIT_FOREIGN_AT_ONCE, clock_mono_ms())))
        return too_many(e);
    bool is_good = token_check(sv, keep, shown, now, out, good_until, e);
    if (is_counted)
        rates_leave(sv->rates, address);
    if (is_good)
        return true;
    if (is_counted && e->code == ERR_UNAUTHENTICATED)
        (void)!rates_pass(sv->rates, address, LIMIT_FOREIGN_FAILURES, clock_mono_ms(), &retry);
    return failure_hide(e);
}
