/* There: a state, a cookie, a request. */
#include "auth/saml/flow.h"

#include "auth/saml/flow_parts.h"
#include "auth/secret_text.h"
#include "auth/session/csrf.h"
#include "auth/session/return_to.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/text.h"
#include "crypto/hash.h"
#include "store/sso_states.h"

static bool no_memory(struct err *e)
{
    return err_set(e, ERR_UNAVAILABLE, "out of memory");
}

struct str saml_request_id(struct arena *a, struct str handle)
{
    const struct str parts[] = {STR("saml-request|"), handle};
    struct sha256 digest = hash_sha256_of(parts, ARRAY_LEN(parts));
    char hex[65];
    hash_hex(&digest, hex);
    return arena_printf(a, "_%.40s", hex);
}

/* ---- the browser's cookie ---- */

static struct str cookie_name(const struct services *sv)
{
    return sv->config->base_is_https ? STR("__Host-tulle-saml") : STR("tulle-dev-saml");
}

/* The hash of the cookie that the browser has, or is given now: two tabs share one. */
static bool browser_bind(struct http_request *rq, struct str *hash, struct err *e)
{
    struct services *sv = rq->context;
    char made[COOKIE_VALUE_SIZE];
    struct str value = session_cookie_value(rq, cookie_name(sv));
    if (str_is_absent(value)) {
        session_cookie_make(made);
        value = str_c(made);
    }
    *hash = secret_text_hash(rq->arena, value);
    return (!str_is_absent(*hash) || no_memory(e)) &&
           session_cookie_set(rq, cookie_name(sv), value, LIMIT_SAML_REQUEST_MS / 1000, e);
}

struct str saml_browser_hash(struct http_request *rq)
{
    struct str value = session_cookie_value(rq, cookie_name(rq->context));
    return str_is_absent(value) ? STR("") : secret_text_hash(rq->arena, value);
}

/* ---- there ---- */

/* The errand's context is no secret: it is sealed to be nobody's to change. */
static bool context_seal(struct http_request *rq, const struct saml_errand *errand, struct str hash,
                         struct str *sealed, struct err *e)
{
    const struct services *sv = rq->context;
    struct buf out;
    buf_init(&out, LIMIT_URL);
    bool is_good = keyring_seal(sv->keys, SAML_STATE, hash,
                                str_is_absent(errand->context) ? STR("") : errand->context, &out);
    *sealed = is_good ? arena_dup(rq->arena, buf_str(&out)) : STR_NONE;
    buf_end(&out);
    return !str_is_absent(*sealed) || no_memory(e);
}

static bool state_keep(struct http_request *rq, struct str provider_id,
                       const struct saml_errand *errand, struct str hash, struct err *e)
{
    struct services *sv = rq->context;
    int64_t now = clock_wall_ms();
    struct str return_to = errand->return_to;
    struct sso_state row = {.hash = hash,
                            .provider_id = provider_id,
                            .purpose = str_c(errand->purpose),
                            .return_to =
                                str_is_absent(return_to) ? return_to : return_to_safe(return_to),
                            .user_id = errand->user_id,
                            .created_at = now,
                            .expires_at = now + LIMIT_SAML_REQUEST_MS};
    return context_seal(rq, errand, hash, &row.sealed, e) &&
           browser_bind(rq, &row.browser_hash, e) && sso_states_insert(sv->db, rq->arena, &row, e);
}

bool saml_begin(struct http_request *rq, struct str provider_id, const struct saml_errand *errand,
                struct saml_departure *out, struct err *e)
{
    struct services *sv = rq->context;
    struct saml_settings s;
    struct secret_text handle;
    if (!saml_settings_load(sv, rq->arena, provider_id, &s, e))
        return false;
    secret_text_make(&handle, "");
    struct str relay = arena_dup(rq->arena, str_c(handle.text));
    struct str hash = arena_dup(rq->arena, str_c(handle.hash_hex));
    secret_wipe(&handle, sizeof(handle));
    if (str_is_absent(relay) || str_is_absent(hash))
        return no_memory(e);
    const struct saml_outgoing m = {
        .kind = SAML_AUTHN_REQUEST,
        .id = saml_request_id(rq->arena, relay),
        .destination = s.idp_sso_url,
        .is_post = s.idp_sso_is_post,
        .is_signed = s.sign_requests,
        .relay_state = relay,
        .is_forced = str_eq(str_c(errand->purpose), STR("reauth")),
    };
    return state_keep(rq, provider_id, errand, hash, e) &&
           saml_depart(sv, rq->arena, &s, &m, out, e);
}
