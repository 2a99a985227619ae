#include "auth/downstream/client_assertion.h"

#include "base/clock.h"
#include "base/ids.h"
#include "base/limits.h"
#include "base/secret.h"
#include "base/text.h"
#include "crypto/jws.h"
#include "crypto/sign.h"
#include "json/jout.h"

enum { LIFE_S = 60, DER_MAX = 8 * 1024 };

static void claims_write(const struct downstream_identity *c, struct str issuer, struct buf *out)
{
    struct id jti = id_new("jti");
    struct jout j;
    int64_t now = clock_wall_ms() / 1000;
    jout_init(&j, out);
    jout_object(&j);
    jout_kstr(&j, "iss", c->client_id);
    jout_kstr(&j, "sub", c->client_id);
    jout_kstr(&j, "aud", issuer);
    jout_kstr(&j, "jti", id_str(&jti));
    jout_ki64(&j, "iat", now);
    jout_ki64(&j, "exp", now + LIFE_S);
    jout_object_end(&j);
}

static bool sign(const struct downstream_identity *c, struct str der, struct str claims,
                 struct buf *out)
{
    struct sign_public ignored;
    const char *alg = sign_key_public(der, &ignored) ? "ES256" : "RS256";
    return jws_sign(der, alg, c->private_key_id, claims, out);
}

bool client_assertion_add(struct arena *a, const struct downstream_identity *c, struct str issuer,
                          struct buf *form)
{
    struct buf der, claims, token;
    buf_init(&der, DER_MAX);
    buf_init(&claims, LIMIT_BODY_SMALL);
    buf_init(&token, JWS_MAX);
    /* In one piece, so that nothing is left behind where it grew. */
    bool is_good = buf_reserve(&der, DER_MAX - 1) && text_b64url_decode(c->private_key, &der);
    claims_write(c, issuer, &claims);
    is_good = is_good && !str_is_absent(issuer) && buf_ok(&claims) &&
              sign(c, buf_str(&der), buf_str(&claims), &token);
    struct str made = is_good ? arena_dup(a, buf_str(&token)) : STR_NONE;
    if (der.p)
        secret_wipe(der.p, der.cap);
    buf_end(&der);
    buf_end(&claims);
    buf_end(&token);
    if (str_is_absent(made))
        return false;
    downstream_form_add(form, "client_assertion_type",
                        STR("urn:ietf:params:oauth:client-assertion-type:jwt-bearer"));
    downstream_form_add(form, "client_assertion", made);
    return true;
}
