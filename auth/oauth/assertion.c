#include "auth/oauth/assertion.h"

#include "auth/jwks_cache.h"
#include "auth/oauth/client_document.h"
#include "base/clock.h"
#include "base/limits.h"
#include "crypto/hash.h"
#include "crypto/jws.h"
#include "store/oauth_assertions.h"

enum { SKEW_S = 60, LIFE_MAX_S = 10 * 60, JTI_MAX = 256 };

static bool refused(struct err *e, const char *why)
{
    err_set(e, ERR_INVALID_CLIENT, "the client is unknown or its authentication is wrong");
    return err_detail(e, "client assertion: %s", why);
}

struct str assertion_subject(struct arena *a, struct str assertion)
{
    struct jws t;
    struct err ignored;
    if (!jws_parse(a, assertion, &t, &ignored))
        return STR_NONE;
    struct str subject = arena_dup(a, jv_get_str(jdoc_root(t.claims), "sub"));
    jws_end(&t);
    return subject;
}

/* A NumericDate: a JSON number, perhaps with a fraction, in a range that seconds have. */
static bool date_read(const struct jvalue *claims, const char *name, int64_t *out)
{
    const struct jvalue *v = jv_get(claims, name);
    double d = jv_double(v, -1);
    *out = 0;
    if (!jv_is_number(v) || !(d >= 0) || d > 9007199254740992.0)
        return false;
    *out = (int64_t)d;
    return true;
}

static bool is_for_us(const struct services *sv, struct arena *a, const struct jvalue *aud)
{
    struct str one = jv_is_array(aud) && jv_count(aud) == 1 ? jv_str(jv_at(aud, 0)) : jv_str(aud);
    struct str issuer = str_c(sv->config->origin);
    struct str endpoint = arena_printf(a, "%.*s/oauth/token", STR_FMT(issuer));
    return !str_is_absent(one) && (str_eq(one, issuer) || str_eq(one, endpoint));
}

static bool claims_check(struct http_request *rq, const struct jvalue *c, struct str client_id,
                         int64_t *expires, struct err *e)
{
    int64_t now = clock_wall_ms() / 1000, at;
    struct str jti = jv_get_str(c, "jti");
    if (!str_eq(jv_get_str(c, "iss"), client_id) || !str_eq(jv_get_str(c, "sub"), client_id))
        return refused(e, "iss and sub must be the client_id");
    if (!is_for_us(rq->context, rq->arena, jv_get(c, "aud")))
        return refused(e, "aud is another server");
    if (!date_read(c, "exp", expires) || *expires <= now - SKEW_S)
        return refused(e, "expired");
    if (*expires > now + LIFE_MAX_S + SKEW_S)
        return refused(e, "lives too long");
    if (jv_get(c, "nbf") && (!date_read(c, "nbf", &at) || at > now + SKEW_S))
        return refused(e, "not valid yet");
    if (jv_get(c, "iat") && (!date_read(c, "iat", &at) || at > now + SKEW_S))
        return refused(e, "from the future");
    return (jti.n > 0 && jti.n <= JTI_MAX) || refused(e, "no jti");
}

/* The key that its header names, or any where it names none. */
static bool is_signed(const struct jws *t, struct str jwks)
{
    struct err ignored;
    auto_free(jdoc_freep) struct jdoc *doc =
        str_is_absent(jwks) ? NULL : jdoc_parse(jwks, &ignored);
    const struct jvalue *keys = doc ? jv_get(jdoc_root(doc), "keys") : NULL;
    size_t tried = 0;
    for (size_t i = 0; i < jv_count(keys) && tried < LIMIT_KEYS_TRIED; i++) {
        const struct jvalue *key = jv_at(keys, i);
        struct str kid = jv_get_str(key, "kid");
        if (!str_is_absent(t->kid) && !str_is_absent(kid) && !str_eq(kid, t->kid))
            continue;
        if (!jwks_key_fits(key, t->alg))
            continue;
        tried++;
        if (jws_verify(t, key))
            return true;
    }
    return false;
}

static bool check(struct http_request *rq, const struct jws *t, struct oauth_client *client,
                  struct err *e)
{
    const struct services *sv = rq->context;
    const struct jvalue *claims = jdoc_root(t->claims);
    int64_t expires = 0;
    char name[65];
    if (!claims_check(rq, claims, client->id, &expires, e))
        return false;
    bool is_good = is_signed(t, client->jwks);
    if (!is_good && client_document_is_id(client->id)) {
        if (!client_document_again(rq, client, e))
            return refused(e, "its keys cannot be read");
        is_good = is_signed(t, client->jwks);
    }
    if (!is_good)
        return refused(e, "signed by none of the client's keys");
    struct str parts[] = {client->id, STR("\n"), jv_get_str(claims, "jti")};
    struct sha256 digest = hash_sha256_of(parts, ARRAY_LEN(parts));
    hash_hex(&digest, name);
    if (oauth_assertions_use(sv->db, rq->arena, str_c(name), (expires + 2 * SKEW_S) * 1000,
                             clock_wall_ms(), e))
        return true;
    return e->code == ERR_CONFLICT ? refused(e, "used before") : false;
}

bool assertion_check(struct http_request *rq, struct str assertion, struct oauth_client *client,
                     struct err *e)
{
    struct jws t;
    struct err ignored;
    if (!jws_parse(rq->arena, assertion, &t, &ignored))
        return refused(e, "ill-formed");
    bool is_good = check(rq, &t, client, e);
    jws_end(&t);
    return is_good;
}
