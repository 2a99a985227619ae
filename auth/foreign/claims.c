#include "auth/foreign/claims.h"

#include "base/limits.h"
#include "base/text.h"

enum { SKEW_S = 60, SUBJECT_MAX = 255 };

bool foreign_refused(struct err *e, const char *why)
{
    err_set(e, ERR_UNAUTHENTICATED, "the access token or API key is not valid");
    return err_detail(e, "foreign token: %s", why);
}

bool foreign_typ_check(const struct org_issuer *issuer, struct str typ, struct err *e)
{
    if (str_ieq(typ, STR("at+jwt")) || str_ieq(typ, STR("application/at+jwt")))
        return true;
    if (issuer->accepts_plain_jwt && (str_is_absent(typ) || str_ieq(typ, STR("JWT"))))
        return true;
    return foreign_refused(e, "typ is not at+jwt");
}

/* A NumericDate: a JSON number, perhaps with a fraction, in a range that seconds have. */
static bool date_read(const struct jvalue *all, const char *name, int64_t *out)
{
    const struct jvalue *v = jv_get(all, name);
    double d = jv_double(v, -1);
    if (!jv_is_number(v) || !(d >= 0) || d > 253402300800.0) /* the year 10000 */
        return false;
    *out = (int64_t)d;
    return true;
}

static bool dates_check(const struct jvalue *all, bool needs_end, int64_t now_ms,
                        int64_t *expires_at, struct err *e)
{
    int64_t now = now_ms / 1000, at;
    bool has_end = jv_get(all, "exp") != NULL;
    *expires_at = 0;
    if (!has_end && needs_end)
        return foreign_refused(e, "no exp");
    if (has_end && (!date_read(all, "exp", &at) || at <= now - SKEW_S))
        return foreign_refused(e, "expired");
    if (has_end) /* the skew is for their clock; nothing lives on by it */
        *expires_at = (at <= now ? now + 1 : at) * 1000;
    if (jv_get(all, "nbf") && (!date_read(all, "nbf", &at) || at > now + SKEW_S))
        return foreign_refused(e, "not valid yet");
    if (jv_get(all, "iat") && (!date_read(all, "iat", &at) || at > now + SKEW_S))
        return foreign_refused(e, "from the future");
    return true;
}

/* scope as RFC 9068 has it, or scp as a text or an array, as some servers do. */
static bool scope_read(struct arena *a, const struct jvalue *all, struct str *out, struct err *e)
{
    const struct jvalue *v = jv_get(all, "scope");
    struct buf text;
    if (!v)
        v = jv_get(all, "scp");
    if (!v || jv_is_string(v)) {
        *out = v ? jv_str(v) : STR("");
        return true;
    }
    buf_init(&text, LIMIT_SCOPE_GRANTED);
    for (size_t i = 0; i < jv_count(v); i++) {
        buf_add(&text, i ? STR(" ") : STR(""));
        buf_add(&text, jv_str(jv_at(v, i)));
    }
    *out = jv_is_array(v) && buf_ok(&text) ? arena_dup(a, text.n ? buf_str(&text) : STR(""))
                                           : STR_NONE;
    buf_end(&text);
    return !str_is_absent(*out) || foreign_refused(e, "its scope cannot be read");
}

/* An ID token must never pass: it is for a client, and says so. */
static bool is_id_token(const struct jvalue *all)
{
    return jv_get(all, "nonce") || jv_get(all, "at_hash") || jv_get(all, "c_hash");
}

bool foreign_claims_read(struct arena *a, const struct org_issuer *issuer, const struct jvalue *all,
                         int64_t now, struct foreign_claims *out, struct err *e)
{
    bool is_jwt = str_eq(issuer->kind, STR("jwt"));
    const struct jvalue *iss = jv_get(all, "iss"), *sub = jv_get(all, "sub");
    *out = (struct foreign_claims){.all = all, .subject = jv_str(sub)};
    if ((is_jwt || iss) && !str_eq(jv_str(iss), issuer->issuer))
        return foreign_refused(e, "another issuer");
    if (!dates_check(all, is_jwt, now, &out->expires_at, e))
        return false;
    if ((is_jwt || sub) &&
        (out->subject.n == 0 || out->subject.n > SUBJECT_MAX || text_has_control(out->subject)))
        return foreign_refused(e, "no good sub");
    if (jv_get(all, "cnf"))
        return foreign_refused(e, "bound to a key that cannot be shown here");
    if (is_jwt && is_id_token(all))
        return foreign_refused(e, "an ID token");
    out->client = jv_get_str(all, "client_id");
    if (str_is_absent(out->client))
        out->client = jv_get_str(all, "azp");
    return scope_read(a, all, &out->scope, e);
}

static bool insufficient(struct err *e, const char *why)
{
    err_set(e, ERR_INSUFFICIENT_SCOPE, "the access token has not the scope for this");
    return err_detail(e, "foreign token: %s", why);
}

bool foreign_scope(struct arena *a, const struct org_issuer *issuer, const struct foreign_claims *c,
                   struct str *out, struct err *e)
{
    struct str rest = issuer->required_scopes, word;
    while (str_next(&rest, ' ', &word))
        if (word.n > 0 && !str_list_has(c->scope, word))
            return insufficient(e, "a required scope is missing");
    if (str_is_absent(issuer->scope_map)) {
        *out = STR("mcp");
        return true;
    }
    auto_free(jdoc_freep) struct jdoc *map = jdoc_parse(issuer->scope_map, e);
    struct buf ours;
    if (!map)
        return err_set(e, ERR_INTERNAL, "a stored scope map is damaged");
    buf_init(&ours, LIMIT_SCOPE_GRANTED);
    struct str theirs;
    const struct jvalue *value;
    for (void *iter = NULL; jv_member(jdoc_root(map), &iter, &theirs, &value);) {
        if (!str_list_has(c->scope, theirs))
            continue;
        buf_add(&ours, ours.n ? STR(" ") : STR(""));
        buf_add(&ours, jv_str(value));
    }
    *out = ours.n && buf_ok(&ours) ? arena_dup(a, buf_str(&ours)) : STR_NONE;
    buf_end(&ours);
    return !str_is_absent(*out) || insufficient(e, "none of its scopes is mapped");
}
